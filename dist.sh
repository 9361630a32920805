#!/usr/bin/env bash
# What is shipped, in dist/: the stripped program (static if the musl target and its compiler are installed), manual
# pages, completions, licences, an SBOM (CycloneDX; needs cargo-cyclonedx) and SHA256SUMS over all of it.
set -euo pipefail
cd "$(dirname "$0")"
# 20 MiB; a fifth of it reads tokenizer.json and chat templates.
MOST_BYTES=20971520

host="$(rustc -vV | sed -n 's/^host: //p')"
target="$host"
musl="${host%-gnu}-musl"
if [ "$musl" != "$host" ] && command -v musl-gcc >/dev/null && [ -d "$(rustc --print sysroot)/lib/rustlib/$musl" ]; then
    target="$musl"
else
    echo "not static: install musl-gcc and \`rustup target add $musl\` for that" >&2
fi
cargo build --locked --profile dist --features tokenizer --bin gleaner --target "$target"

rm -rf dist
mkdir -p dist/man dist/completions
cp "${CARGO_TARGET_DIR:-target}/$target/dist/gleaner" LICENSE-APACHE LICENSE-MIT dist/
bytes="$(wc -c <dist/gleaner)"
[ "$bytes" -lt $MOST_BYTES ] || { echo "dist/gleaner has $bytes bytes, more than $MOST_BYTES" >&2; exit 1; }
dist/gleaner man dist/man
for shell in bash zsh fish powershell; do
    dist/gleaner completions $shell >"dist/completions/gleaner.$shell"
done

if cargo cyclonedx --version >/dev/null 2>&1; then
    cargo cyclonedx --quiet --features tokenizer --format json --spec-version 1.5 --target "$target" --no-build-deps --override-filename gleaner.cdx
    mv gleaner.cdx.json dist/
    rm -f crates/*/gleaner.cdx.json
else
    echo "no SBOM: \`cargo install cargo-cyclonedx\` for that" >&2
fi
(cd dist && find . -type f ! -name SHA256SUMS -printf '%P\n' | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
echo "dist/gleaner: $bytes bytes, $target"
