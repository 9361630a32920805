#!/usr/bin/env bash
# A float in a Spark VARIANT becomes an integer on its way back to JSON.
#
# Versions: pyspark 4.3.0 (Python), a Java of 17 or later
# Guess:    `to_json(parse_json(text))` gives numbers back with the type they had: 1.0 stays a float; zeros
#           behind other digits may go.
# Seen:     a number with a point and no exponent is kept as a decimal without the zeros at its end: 1.0 and
#           100.0 come back as 1 and 100, and schema_of_variant calls them DECIMAL(1,0). With an exponent it
#           is a double: 1e0 comes back as 1.0, so the integer is the one that looked like a float, and the
#           float the one that did not. 1e400, valid JSON, comes back as the text "Infinity". Keys are sorted.
# Output:   {"b":[1,2.5,100,1.0,"Infinity"],"f":1} OBJECT<b: ARRAY<DOUBLE>, f: DECIMAL(1,0)>
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pyspark==4.3.0
cat >look.py <<'PY'
from pyspark.sql import SparkSession

spark = (
    SparkSession.builder.master("local[1]")
    .config("spark.ui.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .getOrCreate()
)
text = '{"f":1.0,"b":[1.0,2.50,100.0,1e0,1e400]}'
back, schema = spark.sql(
    f"select to_json(parse_json('{text}')), schema_of_variant(parse_json('{text}'))"
).first()
print(back, schema)
assert back == '{"b":[1,2.5,100,1.0,"Infinity"],"f":1}'
assert "f: DECIMAL(1,0)" in schema
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
