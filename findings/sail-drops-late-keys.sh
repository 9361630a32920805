#!/usr/bin/env bash
# Sail's spark.read.json looks at the first 1,000 rows for columns, where Spark looks at all: a later key is not read.
#
# Versions: pysail 0.7.2, pyspark-client 4.2.0 (Python)
# Guess:    "a key that first comes in row 2,000 is a column, as in Spark, for which Sail is a drop-in" (written before it
#           was run).
# Seen:     It is a column if it comes in row 1,000, and not if it comes in row 1,001. Neither an error nor a warning:
#           the values are gone from what is written next. Spark's samplingRatio is 1 by default, which is all rows.
# Output:   row 1000: ['id', 'toolCalls'], row 1001: ['id'], with samplingRatio 1: ['id']
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
"${PYTHON:-python3}" -m venv v
v/bin/pip install -q --disable-pip-version-check pysail==0.7.2 pyspark-client==4.2.0 pyarrow 'pandas<3'
cat >look.py <<'PY'
import json
import pathlib

from pysail.spark import SparkConnectServer
from pyspark.sql import SparkSession

server = SparkConnectServer("127.0.0.1", 0)
server.start()
_, port = server.listening_address
spark = SparkSession.builder.remote(f"sc://localhost:{port}").getOrCreate()
here = pathlib.Path.cwd()


def columns(row, **options):
    """The columns of 3,000 rows, of which only this one (from 1) has tool calls."""
    lines = [{"id": n} if n != row else {"id": n, "toolCalls": "[]"} for n in range(1, 3001)]
    path = here / f"{row}.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return spark.read.json(str(path), **options).columns


found = columns(1000), columns(1001), columns(1001, samplingRatio=1.0)
print("row 1000: {}, row 1001: {}, with samplingRatio 1: {}".format(*found))
spark.stop()
server.stop()
assert found == (["id", "toolCalls"], ["id"], ["id"]), found
PY
v/bin/python look.py 2>log || { tail -n 5 log >&2; exit 1; }
