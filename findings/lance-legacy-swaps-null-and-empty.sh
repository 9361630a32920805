#!/usr/bin/env bash
# Lance with data_storage_version="legacy": a null number becomes 0, an empty text null, a null struct one with values.
#
# Versions: pylance 14.0.2, pyarrow 26.0.1 (Python)
# Guess:    null and empty lists, null structs and structs of nulls come back as they were written.
# Seen:     written without a word and read back: null numbers are 0, empty texts are null, null lists are empty, null
#           structs have fields (version 2.0 refuses null structs). An assistant's turn with content "" (it only calls a tool) has content null then.
#           Versions 2.1 and later keep all of them.
# Output:   [{'text': None, 'turns': 0, 'tags': [], 'meta': {'n': 0}}]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pylance==14.0.2 pyarrow==26.0.1
cat >look.py <<'PY'
import lance
import pyarrow as pa

meta = pa.struct([("n", pa.int64())])
schema = pa.schema([("text", pa.string()), ("turns", pa.int64()), ("tags", pa.list_(pa.string())), ("meta", meta)])
rows = [{"text": "", "turns": None, "tags": None, "meta": None}]
table = pa.Table.from_pylist(rows, schema=schema)


def read(version):
    lance.write_dataset(table, f"{version}.lance", data_storage_version=version)
    return lance.dataset(f"{version}.lance").to_table().to_pylist()


legacy = read("legacy")
print(legacy)
assert legacy == [{"text": None, "turns": 0, "tags": [], "meta": {"n": 0}}]
assert read("2.1") == rows
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
