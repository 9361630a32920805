#!/usr/bin/env bash
# Zeros behind a gzip member are padding to gzip and Python, and an error to pyarrow, DuckDB and Polars.
#
# Versions: pyarrow 26.0.1, duckdb 2.0.1, polars 2.1.0 (Python); gzip and Python's gzip as installed
# Guess:    what `gzip -t` passes without a word every reader of .jsonl.gz reads: zero padding up to a
#           block (tapes, some archivers and object stores leave it) is allowed by gzip's manual.
# Seen:     gzip and Python's gzip module skip the zeros, and go on with a member that follows them. The
#           three readers fail on the file, after or before its rows: none of them gives the rows.
# Output:   gzip 3, python 3; pyarrow "zlib inflate failed", duckdb "not a GZIP stream", polars "invalid gzip header"
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1 polars==2.1.0
cat >look.py <<'PY'
import gzip
import subprocess

import duckdb
import polars
import pyarrow.json

member = gzip.compress(b'{"a":1}\n' * 3)
open("padded.jsonl.gz", "wb").write(member + bytes(512))
path = "padded.jsonl.gz"


def rows_of(read):
    try:
        return read()
    except Exception as error:
        return str(error).splitlines()[0]


seen = {
    "gzip": subprocess.run(["gzip", "-dc", path], capture_output=True, check=True).stdout.count(b"\n"),
    "python": gzip.open(path).read().count(b"\n"),
    "pyarrow": rows_of(lambda: pyarrow.json.read_json(path).num_rows),
    "duckdb": rows_of(lambda: duckdb.sql(f"select count(*) from read_json('{path}')").fetchall()[0][0]),
    "polars": rows_of(lambda: polars.read_ndjson(path).height),
}
print(seen)
assert seen["gzip"] == seen["python"] == 3
assert all(isinstance(seen[name], str) for name in ("pyarrow", "duckdb", "polars"))
PY
v/bin/python look.py
gzip -t padded.jsonl.gz
