#!/usr/bin/env bash
# Daft reads the first frame of a zstd file of JSON lines and takes that for all of it.
#
# Versions: daft 0.7.26, zstandard 0.25.0 (Python); to compare: DuckDB 2.0.1, Polars 2.1.0
# Guess:    "a .jsonl.zst of several frames gives all rows in every reader" (written before it was run).
# Seen:     Of three frames with 1,000 rows each, which is what appending `zstd`'s output to a log makes, Daft gives
#           1,000 rows and neither an error nor a warning; DuckDB and Polars give 3,000. Of the same three members in
#           gzip Daft gives all.
# Output:   zst: daft 1000, duckdb 3000, polars 3000; gz: daft 3000
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check daft==0.7.26 zstandard==0.25.0 duckdb==2.0.1 polars==2.1.0
cat >look.py <<'PY'
import gzip
import json
import pathlib

import daft
import duckdb
import polars
import zstandard

parts = [
    "".join(json.dumps({"conversationId": f"c{n}", "turnIndex": n}) + "\n" for n in range(first, first + 1000)).encode()
    for first in (0, 1000, 2000)
]
pathlib.Path("rows.jsonl.zst").write_bytes(b"".join(zstandard.compress(part) for part in parts))
pathlib.Path("rows.jsonl.gz").write_bytes(b"".join(gzip.compress(part) for part in parts))

found = (
    daft.read_json("rows.jsonl.zst").count_rows(),
    duckdb.sql("select count(*) from read_json('rows.jsonl.zst')").fetchall()[0][0],
    polars.read_ndjson("rows.jsonl.zst").height,
    daft.read_json("rows.jsonl.gz").count_rows(),
)
print("zst: daft {}, duckdb {}, polars {}; gz: daft {}".format(*found))
assert found == (1000, 3000, 3000, 3000), found
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
