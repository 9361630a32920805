#!/usr/bin/env bash
# DuckDB takes the only field of an Avro list's element for the element.
#
# Versions: duckdb 2.0.1, polars 2.1.0, pyarrow 26.0.1 (Python), parquet 60.1.0 (crate, writes the file)
# Guess:    a repeated group called `array` (Avro) or `..._tuple` (Thrift) is the element, whatever it
#           holds: so say the format's backward-compatibility rules, and so read Polars and pyarrow.
# Seen:     DuckDB does so if the group has two fields; of one with a single field it drops the level:
#           [{a: 1}, {a: 2}] reads as [1, 2]. The schema of the same Avro records changes its shape when
#           the second field is added.
# Output:   duckdb [1, 2]; polars and pyarrow [{'a': 1}, {'a': 2}]
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check duckdb==2.0.1 polars==2.1.0 pyarrow==26.0.1
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
use std::{fs::File, sync::Arc};

use parquet::column::writer::ColumnWriter;
use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

fn write(name: &str, element: &str) {
    let schema = format!("message m {{ optional group l (LIST) {{ repeated group {element} }} }}");
    let file = File::create(format!("{name}.parquet")).unwrap();
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        let ColumnWriter::Int32ColumnWriter(leaf) = column.untyped() else { unreachable!() };
        leaf.write_batch(&[1, 2], Some(&[2, 2]), Some(&[0, 1])).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
}

fn main() {
    write("array", "array { required int32 a; }");
    write("tuple", "l_tuple { required int32 a; }");
    write("two", "array { required int32 a; required int32 b; }");
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
v/bin/python - <<'PY'
import duckdb
import polars
import pyarrow.parquet as pq

for name, expected in (("array", [{"a": 1}, {"a": 2}]), ("tuple", [{"a": 1}, {"a": 2}]), ("two", [{"a": 1, "b": 1}, {"a": 2, "b": 2}])):
    path = f"{name}.parquet"
    duck = duckdb.sql(f"from '{path}'").fetchall()[0][0]
    print(name, "duckdb", duck, "polars", polars.read_parquet(path)["l"].to_list()[0])
    assert polars.read_parquet(path)["l"].to_list() == [expected] == pq.read_table(path)["l"].to_pylist()
    assert duck == (expected if name == "two" else [1, 2])
PY
