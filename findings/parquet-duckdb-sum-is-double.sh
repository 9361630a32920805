#!/usr/bin/env bash
# A sum of integers that DuckDB writes to Parquet is a DOUBLE there.
#
# Versions: duckdb 2.0.1, pyarrow 26.0.1 (Python)
# Guess:    sum() over BIGINT is an integer in the file: INT64, or a DECIMAL if that could be too small.
# Seen:     sum() is HUGEINT, and Parquet has no such type: the column is DOUBLE. Token counts come back
#           as 303.0, and above 2^53 as another number. The same query copied to JSON writes 303.
# Output:   promptTokens: double / {"promptTokens":303} / 9007199254740993 -> 9007199254740992.0
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1 pyarrow==26.0.1
cat >look.py <<'PY'
import duckdb
import pyarrow.parquet as pq

query = "select sum(n) as promptTokens, max(n) as largest from (values (100), (101), (102)) t(n)"
duckdb.sql(f"copy ({query}) to 'sum.parquet' (format parquet)")
duckdb.sql(f"copy ({query}) to 'sum.jsonl' (format json)")
schema = pq.read_schema("sum.parquet")
line = open("sum.jsonl").read().strip()
duckdb.sql("copy (select sum(n) as n from (values (9007199254740993)) t(n)) to 'big.parquet' (format parquet)")
big = pq.read_table("big.parquet").to_pylist()[0]["n"]
print(schema.field("promptTokens"), "/", line, "/", 9007199254740993, "->", big)
assert str(schema.field("promptTokens").type) == "double"
assert str(schema.field("largest").type) == "int32"
assert '"promptTokens":303,' in line
assert isinstance(big, float) and int(big) == 9007199254740992
PY
v/bin/python look.py
