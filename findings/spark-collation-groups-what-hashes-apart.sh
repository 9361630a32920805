#!/usr/bin/env bash
# Under a Spark collation two ids are one group, with two hashes.
#
# Versions: pyspark 4.3.0 (Python), a Java of 17 or later
# Guess:    what groups together hashes together: xxhash64 of a column with the collation UTF8_LCASE is the
#           hash of the collation's key, so that 'ABC' and 'abc' have one.
# Seen:     GROUP BY, joins and windows take them for one id, and show one of the two; xxhash64 and hash, and
#           so any split or rank made of them, see the bytes. Parquet keeps the collation, so that it holds
#           for whoever reads the table with Spark. With UTF8_BINARY_RTRIM it is so for a space at the end.
# Output:   LCASE: 1 group of 2 rows with 2 hashes / RTRIM: 1 group of 2 rows with 2 hashes
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
    .config("spark.sql.shuffle.partitions", "1")
    .getOrCreate()
)
for name, collation, ids in [
    ("LCASE", "UTF8_LCASE", ("ABC", "abc")),
    ("RTRIM", "UTF8_BINARY_RTRIM", ("abc", "abc ")),
]:
    rows = ", ".join(f"('{id}' collate {collation})" for id in ids)
    spark.sql(f"select * from values {rows} t(id)").write.parquet(name)
    groups = (
        spark.read.parquet(name)
        .selectExpr("id", "xxhash64(id) as hash")
        .groupBy("id")
        .agg({"*": "count", "hash": "collect_set"})
        .collect()
    )
    sizes = [(row["count(1)"], len(row["collect_set(hash)"])) for row in groups]
    print(f"{name}: {len(groups)} group of {sizes[0][0]} rows with {sizes[0][1]} hashes")
    assert sizes == [(2, 2)]
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
