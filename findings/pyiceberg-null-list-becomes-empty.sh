#!/usr/bin/env bash
# PyIceberg appends rows whose `tool_calls` are null: the table has empty lists instead, of structs alone.
#
# Versions: pyiceberg 0.12.0, pyarrow 26.0.1 (Python)
# Guess:    rows come back as they were written (noted for Lance, Vortex and Delta, beside which it was run).
# Seen:     null lists of structs become empty ones, also within structs, in the Parquet file that is written; null
#           lists of texts, structs and texts stay null. A turn that had no `tool_calls` has `[]` afterwards, which
#           chat templates that ask for `is none` or `is defined` render in another way.
# Output:   [{'id': '1', 'turn': {'text': None, 'calls': []}, 'calls': [], 'tags': None}, ...]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check "pyiceberg[pyarrow,sql-sqlite]==0.12.0" pyarrow==26.0.1
cat >look.py <<'PY'
import os
import pathlib

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import load_catalog

calls = pa.list_(pa.struct([("name", pa.string())]))
turn = pa.struct([("text", pa.string()), ("calls", calls)])
schema = pa.schema([("id", pa.string()), ("turn", turn), ("calls", calls), ("tags", pa.list_(pa.string()))])
rows = [
    {"id": "1", "turn": {"text": None, "calls": None}, "calls": None, "tags": None},
    {"id": "2", "turn": None, "calls": [{"name": "f"}], "tags": ["a"]},
]
table = pa.Table.from_pylist(rows, schema=schema)
assert table.to_pylist() == rows
os.mkdir("warehouse")
catalog = load_catalog("c", type="sql", uri="sqlite:///catalog.db", warehouse=f"file://{os.getcwd()}/warehouse")
catalog.create_namespace("n")
made = catalog.create_table("n.t", schema=schema)
made.append(table)
read = made.scan().to_arrow().to_pylist()
print(read)
assert read == [{"id": "1", "turn": {"text": None, "calls": []}, "calls": [], "tags": None}, rows[1]]
# It is the writer: the file has them so.
[file] = pathlib.Path("warehouse").rglob("*.parquet")
assert pq.read_table(file).to_pylist() == read
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
