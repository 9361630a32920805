#!/usr/bin/env bash
# DuckDB reads a text column of upper-case UUIDs as UUID and writes it back in lower case.
#
# Versions: duckdb 2.0.1 (Python)
# Guess:    a JSON string stays the text that it is; dates may be inferred, ids are not touched.
# Seen:     if every sampled value of a column is a UUID the column's type is UUID, and a copy to JSON
#           writes other bytes than were read: another id for whoever hashes it. One value that is no
#           UUID, and all of them keep their case, as does a UUID in braces.
# Output:   "A1B2C3D4-0000-4000-8000-00000000000A" -> "a1b2c3d4-0000-4000-8000-00000000000a"
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1
cat >look.py <<'PY'
import json

import duckdb


def through(ids):
    with open("in.jsonl", "w") as file:
        file.writelines(json.dumps({"conversationId": i}) + "\n" for i in ids)
    kind = duckdb.sql("select typeof(conversationId) from read_json('in.jsonl')").fetchall()[0][0]
    duckdb.sql("copy (from read_json('in.jsonl')) to 'out.jsonl' (format json)")
    with open("out.jsonl") as file:
        return kind, [json.loads(line)["conversationId"] for line in file]


upper = "A1B2C3D4-0000-4000-8000-00000000000A"
for ids in ([upper], ["{" + upper + "}"], [upper, "c-2"]):
    print(ids, "->", *through(ids))
assert through([upper]) == ("UUID", [upper.lower()])
assert through(["{" + upper + "}"]) == ("VARCHAR", ["{" + upper + "}"])
assert through([upper, "c-2"]) == ("VARCHAR", [upper, "c-2"])
PY
v/bin/python look.py
