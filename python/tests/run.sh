#!/usr/bin/env bash
# Tests the Python package with what the tests of gleaner have compiled: python/tests/run.sh [ARGUMENTS OF unittest]
# Only PyO3 and crates/gleaner-py are compiled for it. Needs what ./test.sh puts under target/test-tools, or another
# Python with mypy and tqdm, named by GLEANER_TEST_PYTHON.
set -euo pipefail
cd "$(dirname "$0")/../.."
target="${CARGO_TARGET_DIR:-$PWD/target}"
python="${GLEANER_TEST_PYTHON:-$target/test-tools/python/bin/python}"
package="$target/test-tools/package"

# A test beside it, so that all crates have the features that they have in `cargo test`, and none is compiled again.
# Python's symbols are left to the interpreter that loads the extension, as in a wheel.
PYO3_BUILD_EXTENSION_MODULE=1 cargo build --locked --quiet -p gleaner -p gleaner-py --lib --bin gleaner \
    --test leaves_nothing --features gleaner/fault-injection,gleaner/kusto-emulator,gleaner/tokenizer
rm -rf "$package"
mkdir -p "$package"
cp -R python/gleaner_sft "$package/"
cp "$target"/debug/libgleaner_py.* "$package/gleaner_sft/"
rm -f "$package"/gleaner_sft/*.d
mv "$package"/gleaner_sft/libgleaner_py.* "$package/gleaner_sft/_native.abi3.so"

"$python" -m mypy --no-error-summary
export PYTHONPATH="$package:python/tests" GLEANER_TEST_PROGRAM="$target/debug/gleaner"
if [ $# = 0 ]; then set -- test_package test_engine; fi
"$python" -m unittest "$@"
