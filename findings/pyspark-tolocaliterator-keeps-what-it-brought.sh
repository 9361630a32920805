#!/usr/bin/env bash
# PySpark's toLocalIterator leaves all the rows that it has brought in the memory of the driver's JVM.
#
# Versions: pyspark 4.3.0 (Python), Java 17 or later
# Guess:    "the driver then has one partition at a time in memory" (written where it was used, before it ran).
# Seen:     Six calls over a table of 48 MB in 12 partitions, each read to its end and let go of: after a full collection
#           of garbage the heap has some 85 MB more for each call; after six of collect() it has what it had. With the
#           default heap of 1 GB the jobs of a long session then fail.
# Output:   collect: -54 MB more (to 55), toLocalIterator: 513 MB more
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pyspark==4.3.0
cat >look.py <<'PY'
import gc

from pyspark.sql import SparkSession

keys = {"spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false", "spark.driver.memory": "2g"}
builder = SparkSession.builder.master("local[2]")
for key, value in keys.items():
    builder = builder.config(key, value)
spark = builder.getOrCreate()
runtime = spark._jvm.java.lang.Runtime.getRuntime()


def table():
    rows = spark.range(0, 50_000, 1, 12)
    return rows.selectExpr("id", "encode(repeat(cast(id as string), 200), 'UTF-8') text")


def held():
    """Megabytes of the heap that are in use after a full collection."""
    gc.collect()
    for _ in range(3):
        spark._jvm.java.lang.System.gc()
    return (runtime.totalMemory() - runtime.freeMemory()) / 1e6


def grown(bring):
    bring()
    before = held()
    for _ in range(6):
        bring()
    return held() - before


def iterate():
    assert sum(1 for _ in table().toLocalIterator()) == 50_000


def collect():
    assert len(table().collect()) == 50_000


by_collect, by_iterator = grown(collect), grown(iterate)
print(f"collect: {by_collect:.0f} MB more, toLocalIterator: {by_iterator:.0f} MB more")
assert by_collect < 120, by_collect
assert by_iterator > 250, by_iterator
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
