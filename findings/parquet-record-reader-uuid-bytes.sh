#!/usr/bin/env bash
# An id that was text in JSON Lines reaches the parquet crate's record reader as sixteen raw bytes.
#
# Versions: duckdb 2.0.1 (Python), parquet 60.1.0 (crate)
# Guess:    `copy (from 'x.jsonl') to 'x.parquet'` keeps a text column text; and a UUID column, where one
#           is meant, is given out as its text, as decimals and dates are.
# Seen:     DuckDB infers UUID and writes FIXED_LEN_BYTE_ARRAY(16) with the UUID logical type; the record
#           reader ignores that type and gives Field::Bytes. The bytes of some UUIDs are valid UTF-8, so
#           who takes bytes for text gets 16 odd characters for these and an error for the others.
# Output:   41424344-4546-4748-494a-4b4c4d4e4f50 -> bytes "ABCDEFGHIJKLMNOP"
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1
echo '{"conversationId":"41424344-4546-4748-494a-4b4c4d4e4f50"}' >in.jsonl
v/bin/python -c "
import duckdb
duckdb.sql(\"copy (from read_json('in.jsonl')) to 'id.parquet' (format parquet, compression uncompressed)\")
print(duckdb.sql(\"from 'id.parquet'\").fetchall())"
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
use parquet::basic::{LogicalType, Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;

fn main() {
    let reader = SerializedFileReader::new(std::fs::File::open("id.parquet").unwrap()).unwrap();
    let column = reader.metadata().file_metadata().schema_descr().column(0);
    assert_eq!(column.physical_type(), Type::FIXED_LEN_BYTE_ARRAY);
    assert!(matches!(column.logical_type_ref(), Some(LogicalType::Uuid)));
    let row = reader.get_row_iter(None).unwrap().next().unwrap().unwrap();
    let (_, field) = row.get_column_iter().next().unwrap();
    println!("{field:?}");
    assert!(matches!(field, Field::Bytes(bytes) if bytes.data() == b"ABCDEFGHIJKLMNOP"));
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
