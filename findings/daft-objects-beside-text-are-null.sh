#!/usr/bin/env bash
# In a column that has texts and objects, Daft reads every object and list as null, and numbers as text.
#
# Versions: daft 0.7.26 (Python)
# Guess:    "an object in the first row and a text in a later one is an error" (written before it was run).
# Seen:     One text is enough: the column is of the type String, and objects and lists are gone, also those that come
#           before it, without an error or a warning. Tool results and arguments are such columns. DuckDB keeps the text
#           of the JSON in the same file; chdb and DataFusion refuse it.
# Output:   daft [None, 'late', None, '7'], duckdb ['{"ok":true}', '"late"', '[1]', '7']
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check daft==0.7.26 duckdb==2.0.1
cat >look.py <<'PY'
import json
import pathlib

import daft
import duckdb

results = [{"ok": True}, "late", [1], 7]
rows = [json.dumps({"turnIndex": n, "toolResult": result}, separators=(",", ":")) for n, result in enumerate(results)]
pathlib.Path("rows.jsonl").write_text("\n".join(rows) + "\n")

read = daft.read_json("rows.jsonl").sort("turnIndex").to_pydict()["toolResult"]
kept = [text for (text,) in duckdb.sql("select toolResult from read_json('rows.jsonl') order by turnIndex").fetchall()]
print(f"daft {read}, duckdb {kept}")
assert read == [None, "late", None, "7"], read
assert kept == ['{"ok":true}', '"late"', "[1]", "7"], kept
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
