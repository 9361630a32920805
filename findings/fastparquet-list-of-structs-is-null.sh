#!/usr/bin/env bash
# fastparquet reads a column of messages (a list of structs), which pyarrow has written: every value is null.
#
# Versions: fastparquet 2026.9.0, pyarrow 26.0.1 (Python)
# Guess:    it refuses a column that it cannot read, or leaves its values out by an error.
# Seen:     the column is there, of type object, each of its values is None, and nothing says so; a list of texts
#           beside it is read. `pandas.read_parquet(engine="fastparquet")` is the same. A script that joins or
#           filters telemetry this way keeps every row and loses every conversation.
# Output:   messages: [None, None]; tags: [['a', 'b'], ['c']]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check fastparquet==2026.9.0 pyarrow==26.0.1
cat >look.py <<'PY'
import fastparquet
import pyarrow as pa
import pyarrow.parquet as pq

rows = [
    {"id": "1", "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tags": ["a", "b"]},
    {"id": "2", "messages": [{"role": "user", "content": "c"}], "tags": ["c"]},
]
pq.write_table(pa.Table.from_pylist(rows), "rows.parquet")
assert pq.read_table("rows.parquet").to_pylist() == rows
frame = fastparquet.ParquetFile("rows.parquet").to_pandas()
messages, tags = list(frame["messages"]), [list(tags) for tags in frame["tags"]]
print(f"messages: {messages}; tags: {tags}")
assert messages == [None, None]
assert tags == [["a", "b"], ["c"]]
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
