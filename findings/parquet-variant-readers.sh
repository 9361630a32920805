#!/usr/bin/env bash
# One VARIANT column written by DuckDB keeps Polars from reading any column of the file.
#
# Versions: duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1 (Python)
# Guess:    a reader that does not know VARIANT refuses that column, and reads the others. One that does
#           gives back the JSON that went in.
# Seen:     Polars fails on the footer, also if only a text column is asked for. pyarrow reads the text,
#           and hands out the VARIANT as the bytes it is stored in, silently, without a word about the
#           type: a group of `metadata`, `value` and `typed_value`, the integer not in the INT64 column
#           made for it but encoded in `value`.
# Output:   polars: LogicalType union has no variant set / pyarrow: {'metadata': b'\x01\x02...', 'value': None, ...}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
cat >look.py <<'PY'
import duckdb
import polars
import pyarrow.parquet as pq

duckdb.sql("""copy (select 'c1' as conversationId, '{"n":1,"s":"x"}'::json::variant as trajectory)
              to 'variant.parquet' (format parquet)""")
try:
    polars_says = polars.read_parquet("variant.parquet", columns=["conversationId"]).to_dicts()
except Exception as error:
    polars_says = str(error).splitlines()[0]
text = pq.read_table("variant.parquet", columns=["conversationId"]).to_pylist()
whole = pq.read_table("variant.parquet").to_pylist()[0]["trajectory"]
print("polars:", polars_says)
print("pyarrow:", text, whole)
assert "LogicalType union has no variant set" in polars_says
assert text == [{"conversationId": "c1"}]
assert set(whole) == {"metadata", "value", "typed_value"} and whole["value"] is None
assert whole["typed_value"]["s"]["typed_value"] == "x"
assert whole["typed_value"]["n"]["typed_value"] is None and whole["typed_value"]["n"]["value"]
PY
v/bin/python look.py
