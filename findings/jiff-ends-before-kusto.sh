#!/usr/bin/env bash
# Kusto's largest datetime is no Timestamp to jiff, and NaT in the Kusto client's DataFrame.
#
# Versions: jiff 1.0.1 (crate), azure-kusto-data 6.0.4, pandas 3.1.1 (Python)
# Guess:    jiff has the years -9999 to 9999, so 9999-12-31T23:59:59.9999999Z, which Kusto prints for
#           datetime(max) and tables hold for "never", parses.
# Seen:     the last Timestamp is in the second 9999-12-30T22:00:00Z, so that each has a civil time at
#           every offset: the last 26 hours are an error, also as a count of microseconds. A civil DateTime
#           takes it. The client's rows have it (cut to .999999); its DataFrame silently has no value.
# Output:   Timestamp: overflowed; civil::DateTime: 9999-12-31T23:59:59.9999999; frame: NaT
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "look"
version = "0.0.0"
edition = "2021"

[dependencies]
jiff = { version = "=1.0.1", default-features = false, features = ["std"] }
TOML
cat >src/main.rs <<'RS'
use jiff::{civil::DateTime, Timestamp};

fn main() {
    let largest = "9999-12-31T23:59:59.9999999";
    let refused = format!("{largest}Z").parse::<Timestamp>().unwrap_err();
    println!("Timestamp: {refused}\nlast: {}", Timestamp::MAX);
    println!("civil: {}", largest.parse::<DateTime>().unwrap());
    assert!("9999-12-30T22:00:00Z".parse::<Timestamp>().is_ok());
    assert!("9999-12-30T22:00:01Z".parse::<Timestamp>().is_err());
    assert!(Timestamp::from_microsecond(253_402_300_799_999_999).is_err());
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check azure-kusto-data==6.0.4 pandas==3.1.1
v/bin/python -W ignore - <<'PY'
from azure.kusto.data.helpers import dataframe_from_result_table
from azure.kusto.data.response import KustoResponseDataSetV2

table = KustoResponseDataSetV2([
    {"FrameType": "DataSetHeader", "IsProgressive": False, "Version": "v2.0"},
    {"FrameType": "DataTable", "TableId": 0, "TableKind": "PrimaryResult", "TableName": "PrimaryResult",
     "Columns": [{"ColumnName": "x", "ColumnType": "datetime"}], "Rows": [["9999-12-31T23:59:59.9999999Z"]]},
    {"FrameType": "DataSetCompletion", "HasErrors": False, "Cancelled": False},
]).primary_results[0]
row, frame = next(iter(table))["x"], dataframe_from_result_table(table)["x"][0]
print("row", row, "frame", frame)
assert row.year == 9999 and str(frame) == "NaT"
PY
