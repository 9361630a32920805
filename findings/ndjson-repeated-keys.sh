#!/usr/bin/env bash
# Of a key that an object has twice, Polars keeps the first value, Python the last, and the others refuse.
#
# Versions: polars 2.1.0, duckdb 2.0.1, pyarrow 26.0.1 (Python)
# Guess:    the last value wins, as in Python, JavaScript and jq: RFC 8259 leaves it open, and that is
#           what nearly every parser does.
# Seen:     four readers, three answers. At the top of a row Polars silently has another value than
#           json; below the top it fails the file. DuckDB and pyarrow fail the whole file, not the row.
# Output:   top: json 2, polars 1, duckdb "has duplicate key", pyarrow "was specified twice";
#           nested: json 2, polars "multiple fields with name 'a' found", the others as before
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1
cat >look.py <<'PY'
import json

import duckdb
import polars
import pyarrow.json


def read(line):
    open("in.jsonl", "w").write(line + "\n")
    ways = {
        "json": lambda: json.loads(line),
        "polars": lambda: polars.read_ndjson("in.jsonl").to_dicts()[0],
        "duckdb": lambda: duckdb.sql("from read_json('in.jsonl')").fetchall(),
        "pyarrow": lambda: pyarrow.json.read_json("in.jsonl").to_pylist()[0],
    }
    seen = {}
    for name, way in ways.items():
        try:
            seen[name] = way()
        except Exception as error:
            seen[name] = str(error).splitlines()[0]
    print(line, seen)
    return seen


top = read('{"a":1,"a":2}')
nested = read('{"o":{"a":1,"a":2}}')
assert top["json"] == {"a": 2} and nested["json"] == {"o": {"a": 2}}
assert top["polars"] == {"a": 1} and "multiple fields" in nested["polars"]
for seen in (top, nested):
    assert "duplicate key" in seen["duckdb"] and "specified twice" in seen["pyarrow"]
PY
v/bin/python look.py
