#!/usr/bin/env bash
# The Kusto client's streaming reader ends with "Unexpected end of stream" at the smallest long.
#
# Versions: azure-kusto-data 6.0.4, ijson 3.4.0.post0 (Python)
# Guess:    `execute` and `execute_streaming_query` read the same body to the same rows.
# Seen:     a cell of -9223372036854775808, a valid long and a value that hash() can have, is an integer
#           overflow to the streaming reader's JSON backend; the client says that the stream ended, which
#           sends one looking for a network fault. So does a larger integer inside a dynamic cell. The
#           neighbour, -9223372036854775807, is read; `execute` reads them all.
# Output:   whole [[-9223372036854775808]] / streaming: Unexpected end of stream
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-kusto-data==6.0.4 ijson==3.4.0.post0
cat >look.py <<'PY'
import io
import json

from azure.kusto.data.response import KustoResponseDataSetV2, KustoStreamingResponseDataSet
from azure.kusto.data.streaming_response import JsonTokenReader, StreamingDataSetEnumerator


def frames(kind, cell):
    columns = [{"ColumnName": "x", "ColumnType": kind}]
    return [
        {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
        {"FrameType": "DataTable", "TableId": 0, "TableKind": "PrimaryResult", "TableName": "PrimaryResult",
         "Columns": columns, "Rows": [[cell]]},
        {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False},
    ]


def read(kind, cell):
    body = frames(kind, cell)
    whole = [row.to_list() for row in KustoResponseDataSetV2(json.loads(json.dumps(body))).primary_results[0]]
    try:
        reader = JsonTokenReader(io.BytesIO(json.dumps(body).encode()))
        results = KustoStreamingResponseDataSet(StreamingDataSetEnumerator(reader)).iter_primary_results()
        streamed = [row.to_list() for row in next(results)]
    except Exception as error:
        streamed = str(error)
    print(kind, "whole", whole, "streaming", streamed)
    return whole, streamed


smallest = -(2**63)
assert read("long", smallest + 1) == ([[smallest + 1]], [[smallest + 1]])
assert read("long", smallest) == ([[smallest]], "Unexpected end of stream")
assert read("dynamic", {"n": 2**63}) == ([[{"n": 2**63}]], "Unexpected end of stream")
PY
v/bin/python look.py
