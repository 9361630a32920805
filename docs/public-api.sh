#!/usr/bin/env bash
# Prints all that is public: docs/public-api.sh > docs/public-api.txt (`just public-api`). Needs cargo-public-api 0.52,
# which `./test.sh --install` puts under target/.
set -euo pipefail
# A stable rustdoc writes its unstable JSON when it is told to. It alone is told, as the program that cargo calls
# for it: in cargo's own environment this would compile every dependency anew.
if [ "${GLEANER_AS_RUSTDOC:-}" = yes ]; then
    RUSTC_BOOTSTRAP=1 exec rustdoc "$@"
fi
cd "$(dirname "$0")/.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
tool="$target/test-tools/cargo/bin/cargo-public-api"
[ -x "$tool" ] || tool=cargo-public-api
for crate in gleaner gleaner-domain; do
    RUSTDOC="$PWD/docs/public-api.sh" GLEANER_AS_RUSTDOC=yes \
        cargo rustdoc --package $crate --lib --locked --quiet -- -Zunstable-options --output-format json
    "$tool" public-api --rustdoc-json "$target/doc/${crate//-/_}.json" -sss
done
