#!/usr/bin/env bash
# Builds the wheel of the Python package into dist/, tries it in a fresh environment, and says how large it is.
# maturin comes from PyPI into target/maturin.
set -euo pipefail
cd "$(dirname "$0")/.."
# 20 MiB, as for the program.
MOST_BYTES=20971520
target="${CARGO_TARGET_DIR:-$PWD/target}"
if [ ! -x "$target/maturin/bin/maturin" ]; then
    python3 -m venv "$target/maturin"
    "$target/maturin/bin/pip" install --quiet --disable-pip-version-check maturin==1.16.0
fi
rm -f dist/gleaner_sft-*.whl
"$target/maturin/bin/maturin" build --out dist "$@"
wheel="$(echo dist/gleaner_sft-*.whl)"
bytes="$(wc -c <"$wheel")"
[ "$bytes" -lt $MOST_BYTES ] || { echo "$wheel has $bytes bytes, more than $MOST_BYTES" >&2; exit 1; }

trial="$(mktemp -d)"
trap 'rm -rf "$trial"' EXIT
python3 -m venv "$trial/python"
"$trial/python/bin/pip" install --quiet --disable-pip-version-check --no-index "$wheel"
(cd "$trial" && "$trial/python/bin/python" -c '
import gleaner_sft
made = gleaner_sft.export(config={"source": {"kind": "synthetic", "synthetic": {"conversations": 200}}}, targets="all", out="out")
assert gleaner_sft.verify(made.location).good
')
echo "$wheel: $bytes bytes"
