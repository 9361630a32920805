#!/usr/bin/env bash
# The JSON type of chDB loses empty objects and turns keys with a dot into objects.
#
# Versions: chdb 4.4.0 (Python; engine 26.9)
# Guess:    a column of type JSON gives a document back with its keys in order; texts that look like times
#           may be written in another way.
# Seen:     an argument that is {} is gone, with its key, as are nulls; the key "k.l" comes back as the object
#           {"k":{"l":...}}; 1.0 is 1; an integer above 64 bits is a text; a time is written with a space
#           and nine digits. Read without the type (a tuple by inference), keys with a dot stay as they are.
# Output:   {"a":{"k":{"l":5}},"big":"12345678901234567890123","f":1,"t":"2026-03-01 12:00:00.123456700"}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check chdb==4.4.0
cat >look.py <<'PY'
import json
import pathlib

import chdb

call = {
    "t": "2026-03-01T12:00:00.1234567Z",
    "a": {"k.l": 5},
    "none": {},
    "deep": {"none": {}},
    "f": 1.0,
    "null": None,
    "big": 12345678901234567890123,
}
pathlib.Path("in.jsonl").write_text(json.dumps({"call": call}) + "\n")
back = chdb.query("select call from file('in.jsonl', 'JSONEachRow', 'call JSON') format JSONEachRow")
text = str(back).strip()
print(text.removeprefix('{"call":').removesuffix("}"))
assert json.loads(text)["call"] == {
    "a": {"k": {"l": 5}},
    "big": "12345678901234567890123",
    "f": 1,
    "t": "2026-03-01 12:00:00.123456700",
}
assert '"f":1,' in text
PY
v/bin/python look.py
