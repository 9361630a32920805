//! Peak memory over Parquet files of shapes that are unlike those of `memory.rs`: within the same limit, four
//! unpacked pages of the largest column for each file that is read at once, and what thousands of columns take.

use std::sync::Arc;

use parquet::basic::Compression;
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::memory::{assert_bounded_with, create};
use crate::support::Sandbox;

const CONVERSATION: &str = "required binary conversationId (UTF8); required binary userName (UTF8); required binary turnsArray (UTF8);";

/// A file of rows of conversations with other columns of INT64. A row's `message` has so many bytes, and a column in a
/// list as many numbers as `list` says.
struct Shape {
    others: String,
    groups: usize,
    rows: usize,
    message: usize,
    list: fn(usize) -> usize,
    codec: Compression,
}

impl Shape {
    fn write(&self, sandbox: &Sandbox) {
        let schema = format!("message m {{ {CONVERSATION} {} }}", self.others);
        let schema = Arc::new(parse_message_type(&schema).expect("a schema"));
        let properties = WriterProperties::builder().set_compression(self.codec);
        let file = create(sandbox, "a.parquet");
        let mut writer =
            SerializedFileWriter::new(file, schema, Arc::new(properties.build())).expect("a file");
        for number in 0..self.groups {
            let ids = number * self.rows..(number + 1) * self.rows;
            let mut group = writer.next_row_group().expect("a group");
            let mut place = 0;
            while let Some(mut column) = group.next_column().expect("a column") {
                for row in ids.clone() {
                    self.write_value(column.untyped(), place, row);
                }
                column.close().expect("written");
                place += 1;
            }
            group.close().expect("written");
        }
        writer.close().expect("written");
    }

    fn write_value(&self, column: &mut ColumnWriter<'_>, place: usize, row: usize) {
        match column {
            ColumnWriter::Int64ColumnWriter(w) if w.get_descriptor().max_rep_level() > 0 => {
                let numbers: Vec<i64> = (0..(self.list)(row) as i64).collect();
                let definitions = vec![1; numbers.len()];
                let mut repetitions = definitions.clone();
                repetitions[0] = 0;
                w.write_batch(&numbers, Some(&definitions), Some(&repetitions))
            }
            ColumnWriter::Int64ColumnWriter(w) => w.write_batch(&[row as i64], None, None),
            ColumnWriter::ByteArrayColumnWriter(w) => {
                let text = match place {
                    0 => format!("c{row}"),
                    1 => "ann".to_owned(),
                    _ => turns(row, self.message),
                };
                w.write_batch(&[ByteArray::from(text.as_str())], None, None)
            }
            _ => unreachable!("columns of text and of INT64"),
        }
        .expect("written");
    }
}

fn turns(row: usize, message: usize) -> String {
    let turn = |n: usize, text: &str| {
        format!(r#"{{"turnIndex":{n},"userMessage":"u{row}","modelMessage":"{text}"}}"#)
    };
    let text = "text ".repeat(message / 5);
    format!("[{},{},{}]", turn(1, &text), turn(2, "b"), turn(3, "c"))
}

/// What ten thousand columns take above the base. (A column takes 2.8 KB in all, for its footer and its reader.)
const OF_THOUSANDS_OF_COLUMNS: u64 = 4_000_000;

/// The unpacked bytes of a page, as the writer limits them.
const PAGE: u64 = 1 << 20;

const PLAIN: Shape = Shape {
    others: String::new(),
    groups: 1,
    rows: 1,
    message: 100,
    list: |_| 1,
    codec: Compression::SNAPPY,
};

#[test]
fn of_rows_of_megabytes() {
    let sandbox = Sandbox::new();
    let shape = Shape {
        groups: 3,
        rows: 5,
        message: 5_000_000,
        ..PLAIN
    };
    shape.write(&sandbox);
    // A row is a page, and one file is read at a time. What each thread has freed of such sizes the system's allocator
    // keeps for it, more or less of it as they take turns.
    assert_bounded_with(&sandbox, "2", 15, 5_001_000, 10 * 5_001_000);
}

#[test]
fn of_thousands_of_columns() {
    let sandbox = Sandbox::new();
    let others = (0..10_000).map(|n| format!("required int64 x{n};"));
    let shape = Shape {
        others: others.collect(),
        rows: 20,
        codec: Compression::ZSTD(Default::default()),
        ..PLAIN
    };
    shape.write(&sandbox);
    assert_bounded_with(&sandbox, "2", 20, 200_000, OF_THOUSANDS_OF_COLUMNS);
}

#[test]
fn of_one_list_of_millions_of_numbers() {
    let sandbox = Sandbox::new();
    let shape = Shape {
        others: "repeated int64 numbers;".to_owned(),
        rows: 10,
        list: |row| if row == 3 { 1_000_000 } else { 3 },
        ..PLAIN
    };
    shape.write(&sandbox);
    assert_bounded_with(&sandbox, "2", 10, 6_890_000, 4 * PAGE);
}
