#!/usr/bin/env bash
# A negative timespan of more than a day is another span in the Kusto client's DataFrame than in its rows.
#
# Versions: azure-kusto-data 6.0.4, pandas 3.1.1 (Python)
# Guess:    rows and DataFrame give the same span: "-1.12:30:00" is minus one day, twelve and a half hours.
# Seen:     the row has -36.5 hours, the DataFrame -11.5: there the sign holds for the days alone. And the
#           seventh digit goes different ways: of one row the datetime is cut at the microsecond and the
#           timespan is rounded, so that start + span may lie behind the end that the row gives.
# Output:   row -36.5 h, frame -11.5 h / .9999999: datetime .999999, timespan 1:00:00
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


def read(kind, cell):
    table = KustoResponseDataSetV2([
        {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
        {"FrameType": "DataTable", "TableId": 0, "TableKind": "PrimaryResult", "TableName": "PrimaryResult",
         "Columns": [{"ColumnName": "x", "ColumnType": kind}], "Rows": [[cell]]},
        {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False},
    ]).primary_results[0]
    row, frame = next(iter(table))["x"], dataframe_from_result_table(table)["x"][0]
    print(cell, "row", row, "frame", frame)
    return row, frame


row, frame = read("timespan", "-1.12:30:00")
assert (row.total_seconds() / 3600, frame.total_seconds() / 3600) == (-36.5, -11.5)
row, frame = read("timespan", "1.12:30:00")
assert row.total_seconds() == frame.total_seconds() == 36.5 * 3600
span, _ = read("timespan", "00:59:59.9999999")
instant, _ = read("datetime", "2026-01-05T10:59:59.9999999Z")
assert span.total_seconds() == 3600.0
assert (instant.minute, instant.second, instant.microsecond) == (59, 59, 999999)
PY
v/bin/python -W ignore look.py
