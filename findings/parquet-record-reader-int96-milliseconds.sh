#!/usr/bin/env bash
# The parquet crate's record reader cuts INT96 timestamps to milliseconds.
#
# Versions: parquet 60.1.0 (crate), pyarrow 26.0.1, duckdb 2.0.1 (Python)
# Guess:    INT96 has nanoseconds, the reader knows microseconds (Field::TimestampMicros): it uses them.
# Seen:     Field::TimestampMillis: 10:00:00.000001 and 10:00:00.000999 are one instant. pyarrow and
#           DuckDB read both. Spark and Hive write INT96, so of two rows that came within a millisecond
#           the later can no longer be told.
# Output:   record reader [.000, .000]; pyarrow and duckdb [.000001, .000999]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1 duckdb==2.0.1
v/bin/python - <<'PY'
import datetime

import duckdb
import pyarrow
import pyarrow.parquet as pq

at = [datetime.datetime(2026, 1, 5, 10, 0, 0, us) for us in (1, 999)]
table = pyarrow.table({"at": pyarrow.array(at, pyarrow.timestamp("us"))})
pq.write_table(table, "at.parquet", use_deprecated_int96_timestamps=True, compression="none")
print("pyarrow", pq.read_table("at.parquet")["at"].to_pylist())
assert [v.replace(tzinfo=None) for v in pq.read_table("at.parquet")["at"].to_pylist()] == at
assert [v.replace(tzinfo=None) for v, in duckdb.sql("from 'at.parquet'").fetchall()] == at
PY
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "look"
version = "0.0.0"
edition = "2021"

[dependencies]
parquet = { version = "=60.1.0", default-features = false }
TOML
cat >src/main.rs <<'RS'
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

fn main() {
    let reader = SerializedFileReader::new(std::fs::File::open("at.parquet").unwrap()).unwrap();
    for row in reader.get_row_iter(None).unwrap() {
        let row = row.unwrap();
        let (_, field) = row.get_column_iter().next().unwrap();
        println!("record reader {field:?}");
        assert_eq!(*field, Field::TimestampMillis(1_767_607_200_000));
    }
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
