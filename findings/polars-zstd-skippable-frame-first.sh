#!/usr/bin/env bash
# Polars takes a zstd file that begins with a skippable frame for plain text.
#
# Versions: polars 2.1.0, duckdb 2.0.1, pyarrow 26.0.1, cramjam 2.14.0 (Python)
# Guess:    zstd is recognised by any of its magic numbers; a skippable frame (RFC 8878, 3.1.2; parallel
#           and seekable compressors write them) is skipped wherever it stands.
# Seen:     between and after data frames all three skip it. As the first frame DuckDB and pyarrow skip
#           it too; Polars does not see that the file is compressed and complains of its UTF-8.
# Output:   polars: stream did not contain valid UTF-8 / duckdb 3 / pyarrow 3
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check polars==2.1.0 duckdb==2.0.1 pyarrow==26.0.1 cramjam==2.14.0
cat >look.py <<'PY'
import struct

import cramjam
import duckdb
import polars
import pyarrow.json

rows = bytes(cramjam.zstd.compress(b'{"a":1}\n' * 3))
skip = struct.pack("<II", 0x184D2A50, 4) + b"note"
open("first.jsonl.zst", "wb").write(skip + rows)
open("middle.jsonl.zst", "wb").write(rows + skip + rows)


def rows_of(read):
    try:
        return read()
    except Exception as error:
        return str(error).splitlines()[0]


seen = {}
for name in ("first", "middle"):
    path = f"{name}.jsonl.zst"
    seen[name] = [
        rows_of(lambda: polars.read_ndjson(path).height),
        rows_of(lambda: duckdb.sql(f"select count(*) from read_json('{path}')").fetchall()[0][0]),
        rows_of(lambda: pyarrow.json.read_json(path).num_rows),
    ]
    print(name, *zip(("polars", "duckdb", "pyarrow"), seen[name]))
assert "UTF-8" in str(seen["first"][0]) and seen["first"][1:] == [3, 3]
assert seen["middle"] == [6, 6, 6]
PY
v/bin/python look.py
