#!/usr/bin/env bash
# One null in a long column changes the other rows of the Kusto client's DataFrame.
#
# Versions: azure-kusto-data 6.0.4, pandas 3.1.1 (Python)
# Guess:    a nullable Int64 column is made for just this: the null is <NA>, every other value is exact.
# Seen:     the column is built as doubles and cast afterwards: a hash of 1846988464401551951 becomes
#           1846988464401551872, without an error, since that is what the double holds. Without the null
#           it is exact. A null bool is False. Rows of the same result, read one by one, are right.
# Output:   [1846988464401551951, None] -> [1846988464401551872, <NA>] / [True, None] -> [True, False]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-kusto-data==6.0.4 pandas==3.1.1
cat >look.py <<'PY'
from azure.kusto.data.helpers import dataframe_from_result_table
from azure.kusto.data.response import KustoResponseDataSetV2


def read(kind, cells):
    table = KustoResponseDataSetV2([
        {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
        {"FrameType": "DataTable", "TableId": 0, "TableKind": "PrimaryResult", "TableName": "PrimaryResult",
         "Columns": [{"ColumnName": "x", "ColumnType": kind}], "Rows": [[cell] for cell in cells]},
        {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False},
    ]).primary_results[0]
    rows = [row["x"] for row in table]
    frame = dataframe_from_result_table(table)["x"].tolist()
    print(kind, "rows", rows, "frame", frame)
    return rows, frame


world = 1846988464401551951  # hash("World")
assert read("long", [world]) == ([world], [world])
rows, frame = read("long", [world, None])
assert rows == [world, None] and int(frame[0]) == 1846988464401551872
rows, frame = read("bool", [True, None])
assert rows == [True, None] and frame == [True, False]
PY
v/bin/python look.py
