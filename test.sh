#!/usr/bin/env bash
# Runs all tests, those that `cargo test` leaves out too. Needs the Rust toolchain, a C compiler, Node, Python and
# Chromium; the lock files decide the versions of what the tests need besides, which comes into target/test-tools, once.
# With --install it installs a missing Chromium too, which needs root and apt-get, and cargo-public-api (into target/);
# with --install-only it does that and runs nothing.
# GLEANER_SHARED names the folder with the real data (data/sgd, kusto); without it those tests say so.
set -euo pipefail
cd "$(dirname "$0")"
install=no
only=no
case "${1:-}" in
--install) install=yes && shift ;;
--install-only) install=yes && only=yes ;;
esac
tools="${CARGO_TARGET_DIR:-$PWD/target}/test-tools"
if ! cmp -s tests/tools/requirements.txt "$tools/requirements.txt"; then
    mkdir -p "$tools"
    python3 -m venv --clear "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir -r tests/tools/requirements.txt
    cp tests/tools/requirements.txt "$tools/requirements.txt"
fi
if ! cmp -s tests/tools/package-lock.json "$tools/package-lock.json"; then
    mkdir -p "$tools/node"
    cp tests/tools/package.json tests/tools/package-lock.json "$tools/node/"
    (cd "$tools/node" && npm ci --silent --no-audit --no-fund --cache "$tools/npm-cache")
    cp tests/tools/package-lock.json "$tools/package-lock.json"
fi
# Lists what is public; it takes some minutes to compile.
if [ ! -x "$tools/cargo/bin/cargo-public-api" ] && [ $install = yes ]; then
    cargo install --quiet --locked --debug --config profile.dev.debug=0 --root "$tools/cargo" \
        --target-dir "$tools/cargo-build" cargo-public-api@0.52.0
    rm -rf "$tools/cargo-build"
fi
# The page is looked at in a real browser: the system's, or the one that CHROMIUM names.
if [ -z "${CHROMIUM:-}" ]; then
    CHROMIUM="$(command -v chromium || command -v chromium-browser || command -v google-chrome || true)"
    if [ -z "$CHROMIUM" ] && [ $install = yes ]; then
        apt-get update -qq >/dev/null
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null
        CHROMIUM="$(command -v chromium)"
    fi
    [ -n "$CHROMIUM" ] || { echo "install chromium (./test.sh --install does), or name a browser with CHROMIUM" >&2; exit 1; }
fi
[ $only = no ] || exit 0
export CHROMIUM
export GLEANER_TEST_PYTHON="$tools/python/bin/python" GLEANER_TEST_NODE="$tools/node"

# The storage emulator takes a free port by itself and says which; it keeps everything in memory.
log="$(mktemp)"
node "$tools/node/node_modules/azurite/dist/src/blob/main.js" --blobHost 127.0.0.1 --blobPort 0 --disableTelemetry \
    --skipApiVersionCheck --inMemoryPersistence >"$log" 2>&1 &
azurite=$!
trap 'kill $azurite; rm -f "$log"' EXIT
for _ in $(seq 600); do
    port="$(sed -n 's|.*listens on http://127.0.0.1:\([0-9]*\).*|\1|p' "$log" | head -n 1)"
    [ -n "$port" ] && break
    kill -0 $azurite || { cat "$log" >&2; exit 1; }
    sleep 0.1
done
[ -n "$port" ] || { echo "the storage emulator does not start:" >&2; cat "$log" >&2; exit 1; }
export GLEANER_TEST_AZURITE="http://127.0.0.1:$port/devstoreaccount1"
# Arguments go to cargo, and after a -- to the tests, as with `cargo test`.
all=("$@")
case " $* " in *" -- "*) ;; *) all+=(--) ;; esac
all+=(--include-ignored)
if [ ! -x "$tools/cargo/bin/cargo-public-api" ]; then
    echo "without cargo-public-api (./test.sh --install) nothing holds docs/public-api.txt against the code" >&2
    all+=(--skip the_public_surface_is_as_listed)
fi
cargo test --locked --features fault-injection,kusto-emulator,tokenizer "${all[@]}"

# A host with other features of serde_json gets the same. With all tests only: it compiles the 34 crates on
# serde_json once more (80 s on two busy cores). The lock file above gives the versions.
if [ $# = 0 ]; then
    target="${CARGO_TARGET_DIR:-$PWD/target}"
    cp Cargo.lock tests/host/Cargo.lock
    GLEANER_TEST_PROGRAM="$target/debug/gleaner" CARGO_TARGET_DIR="$target" \
        cargo test --manifest-path tests/host/Cargo.toml
    python/tests/run.sh
fi
