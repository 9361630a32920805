#!/usr/bin/env bash
# Tries the wheel in dist/ (python/wheel.sh) on Spark and Ray: kills, resuming, cost. Needs Java 17 or later. Installs about
# 2 GB under target/scale.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
place="$target/scale"
[ -x "$place/python/bin/python" ] || python3 -m venv "$place/python"
"$place/python/bin/pip" install --quiet --disable-pip-version-check -r python/scale/requirements.txt
"$place/python/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps dist/gleaner_sft-*.whl
cargo build --locked --quiet --release
export GLEANER="$target/release/gleaner" PYSPARK_PYTHON="$place/python/bin/python"
rm -rf "$place/data" "$place/out"
mkdir -p "$place/data" "$place/out"
"$GLEANER" synth --conversations 40000 --out "$place/data/small"
"$GLEANER" synth --conversations 335000 --out "$place/data/large"
for what in spark stragglers ray "drivers spark" "drivers ray"; do
    # Words apart: a mode and its engine.
    # shellcheck disable=SC2086
    "$PYSPARK_PYTHON" python/scale/kills.py $what --input "$place/data/small" --out "$place/out/${what// /-}"
done
for executors in 1 2; do
    "$PYSPARK_PYTHON" python/scale/cost.py "$place/data/large" "$place/out/cost$executors" "$executors"
done
