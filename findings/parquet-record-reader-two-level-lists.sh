#!/usr/bin/env bash
# The parquet crate's record reader puts a list of its own around every two-level list.
#
# Versions: parquet 60.1.0 (crate), pyarrow 26.0.1 (Python)
# Guess:    a list in the older two-level form (Avro's and Thrift's writers make it by default) reads as
#           in the three-level form: the format's backward-compatibility rules name these very cases.
# Seen:     get_row_iter gives [[1, 2]] for the row [1, 2], and keeps [] and null as they are; so too for
#           groups called `array` or `..._tuple`, and for groups of several fields. Nothing fails. pyarrow
#           reads [1, 2]. A two-level list inside a list is right in both.
# Output:   record reader {l: [[1, 2]]}, pyarrow {'l': [1, 2]}
# Fails if the behaviour changes.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
python3 -m venv v
v/bin/pip install -q --disable-pip-version-check pyarrow==26.0.1
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
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
use parquet::schema::parser::parse_message_type;

/// The rows [1, 2], [] and null; every leaf of the schema is an INT32.
fn look(name: &str, schema: &str) -> Vec<String> {
    let (path, schema) = (format!("{name}.parquet"), Arc::new(parse_message_type(schema).unwrap()));
    let file = File::create(&path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        let ColumnWriter::Int32ColumnWriter(leaf) = column.untyped() else { unreachable!() };
        leaf.write_batch(&[1, 2], Some(&[2, 2, 1, 0]), Some(&[0, 1, 0, 0])).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string());
    rows.inspect(|row| println!("{name}: {row}")).collect()
}

fn main() {
    let l = "optional group l (LIST)";
    let plain = look("plain", &format!("message m {{ {l} {{ repeated int32 element; }} }}"));
    let array = look("array", &format!("message m {{ {l} {{ repeated group array {{ required int32 a; }} }} }}"));
    let pair = look("pair", &format!("message m {{ {l} {{ repeated group x {{ required int32 a; required int32 b; }} }} }}"));
    let three = look("three", &format!("message m {{ {l} {{ repeated group list {{ required int32 element; }} }} }}"));
    assert_eq!(three, ["{l: [1, 2]}", "{l: []}", "{l: null}"]);
    assert_eq!(plain, ["{l: [[1, 2]]}", "{l: []}", "{l: null}"]);
    assert_eq!(array[0], "{l: [[{a: 1}, {a: 2}]]}");
    assert_eq!(pair[0], "{l: [[{a: 1, b: 1}, {a: 2, b: 2}]]}");
}
RS
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$dir/target}"
cargo run -q
v/bin/python - <<'PY'
import pyarrow.parquet as pq

plain, array, pair, three = (pq.read_table(f"{n}.parquet").to_pylist() for n in ("plain", "array", "pair", "three"))
print("pyarrow:", plain, array, pair, sep="\n")
assert plain == three == [{"l": [1, 2]}, {"l": []}, {"l": None}]
assert array[0] == {"l": [{"a": 1}, {"a": 2}]}
assert pair[0] == {"l": [{"a": 1, "b": 1}, {"a": 2, "b": 2}]}
PY
