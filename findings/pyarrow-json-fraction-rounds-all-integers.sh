#!/usr/bin/env bash
# pyarrow reads JSON lines: one fraction anywhere in a key rounds all large integers of it, in other blocks too.
#
# Versions: pyarrow 26.0.1 (Python)
# Guess:    integers of 64 bits that a double cannot hold are an error once the key turns out to have fractions.
# Seen:     the whole column becomes double, rows of earlier blocks included, which had been read as integers: an id
#           of a span or a message 9007199254740993 is 9007199254740992 then, and 18446744073709551615 becomes a
#           double without any fraction. (A text among numbers is an error.) `datasets` and Ray Data read with it.
# Output:   double [9007199254740992.0, 0.5] from 51 blocks; int64 [9007199254740993, 1] without the fraction
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1
cat >look.py <<'PY'
import io
import json

import pyarrow.json as pj


def read(last):
    lines = [{"n": 9007199254740993, "pad": "x" * 500}] * 50 + [{"n": last, "pad": ""}]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    # A block holds one row or two.
    table = pj.read_json(io.BytesIO(text.encode()), read_options=pj.ReadOptions(block_size=1024))
    column = table.column("n")
    return str(column.type), [column[0].as_py(), column[-1].as_py()]


print(*read(0.5), "with a fraction in the last block;", *read(1), "without")
assert read(0.5) == ("double", [9007199254740992.0, 0.5])
assert read(1) == ("int64", [9007199254740993, 1])
assert str(pj.read_json(io.BytesIO(b'{"n": 18446744073709551615}\n')).schema.field("n").type) == "double"
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
