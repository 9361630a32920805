#!/usr/bin/env bash
# Runs all tests. Needs the Rust toolchain and a C compiler; the lock file decides the versions.
# GLEANER_SHARED names the folder with the real data (data/sgd); without it those tests say so.
set -euo pipefail
cd "$(dirname "$0")"
exec cargo test --locked --features fault-injection "$@"
