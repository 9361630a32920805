//! One frame: its small values, and what becomes of its rows.

use serde_json::Value;

use super::error::Failure;
use super::frames::{Column, damaged};

/// What becomes of a frame's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowDisposition {
    /// Not known yet: they are held.
    #[default]
    Undecided,
    /// Given to the sink.
    Given,
    /// Held, and looked at when the frame ends.
    Held,
    /// Of no interest.
    Dropped,
}

/// The values of a frame, but for its rows.
#[derive(Debug, Default)]
pub struct Frame {
    pub kind: Option<String>,
    pub table_id: Option<i64>,
    pub table_kind: Option<String>,
    pub columns: Option<Vec<Column>>,
    pub row_count: Option<u64>,
    pub fragment: Option<String>,
    pub errors: Option<Value>,
    pub has_errors: bool,
    pub cancelled: bool,
    pub version: Option<String>,
    /// Whether the rows have begun.
    pub has_rows: bool,
    pub disposition: RowDisposition,
    /// Rows that are held, one a line.
    pub held: Vec<Vec<u8>>,
    pub held_bytes: usize,
    /// Whether rows were given away before it was known what they are.
    pub provisional: bool,
}

impl Frame {
    /// Takes a value.
    ///
    /// # Errors
    /// If it is of a kind that it must not be.
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), Failure> {
        let odd = || damaged(format!("the frame's {key} is of another kind"));
        let is_again = match key {
            "FrameType" => self.kind.is_some(),
            "TableKind" => self.table_kind.is_some(),
            "TableFragmentType" => self.fragment.is_some(),
            "TableId" => self.table_id.is_some(),
            "RowCount" => self.row_count.is_some(),
            "OneApiErrors" => self.errors.is_some(),
            "Columns" => self.columns.is_some(),
            _ => false,
        };
        if is_again {
            return Err(damaged(format!("a frame has {key} twice")));
        }
        let text = |value: &Value| value.as_str().map(str::to_owned).ok_or_else(odd);
        match key {
            "FrameType" => self.kind = Some(text(&value)?),
            "TableKind" => self.table_kind = Some(text(&value)?),
            "TableFragmentType" => self.fragment = Some(text(&value)?),
            "Version" => self.version = Some(text(&value)?),
            "TableId" => self.table_id = Some(value.as_i64().ok_or_else(odd)?),
            "RowCount" => self.row_count = Some(value.as_u64().ok_or_else(odd)?),
            "HasErrors" => self.has_errors |= value.as_bool().ok_or_else(odd)?,
            "Cancelled" => self.cancelled |= value.as_bool().ok_or_else(odd)?,
            "OneApiErrors" => self.errors = Some(value).filter(|errors| *errors != Value::Null),
            "Columns" => self.columns = Some(columns(&value).ok_or_else(odd)?),
            _ => {}
        }
        Ok(())
    }

    /// Whether it is of a kind.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// Whether it is of the result.
    pub fn is_primary(&self) -> bool {
        self.table_kind.as_deref() == Some("PrimaryResult")
    }

    /// Keeps a row until it is known what it is.
    pub fn hold(&mut self, row: &[u8]) {
        self.held_bytes += row.len();
        self.held.push(row.to_vec());
    }
}

fn columns(value: &Value) -> Option<Vec<Column>> {
    let column = |column: &Value| {
        Some(Column {
            name: column.get("ColumnName")?.as_str()?.to_owned(),
            // Older servers name the .NET type alone.
            kind: column
                .get("ColumnType")
                .or_else(|| column.get("DataType"))?
                .as_str()?
                .to_owned(),
        })
    };
    value.as_array()?.iter().map(column).collect()
}
