//! One frame: its small values, and how its rows are handled.

use crate::domain::debug_lengths;
use serde::Deserialize;
use serde_json::Value;

use super::error::Failure;
use super::frames::{Column, damaged};

/// How the rows of a frame are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowDisposition {
    /// Not known yet: they are held.
    #[default]
    Undecided,
    /// Given to the sink.
    Given,
    /// Held, and looked at when the frame ends.
    Held,
    /// Ignored.
    Dropped,
    /// Passed over: there are too many to hold, and their columns are not known yet.
    Skipped,
}

/// The values of a frame, but for its rows.
#[derive(Default)]
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
    /// Whether the rows have started.
    pub has_rows: bool,
    pub disposition: RowDisposition,
    /// Rows that are held, one a line.
    pub held: Vec<Vec<u8>>,
    pub held_bytes: usize,
    /// Whether rows were given away before it was known what they are.
    pub provisional: bool,
    /// Whether they were given away as rows of the columns that were expected.
    pub as_expected: bool,
}

debug_lengths!(Frame { kind, table_id, table_kind, row_count } lengths { held });

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
            _ => {}
        }
        Ok(())
    }

    /// Takes the list of its columns.
    ///
    /// # Errors
    /// If it is none.
    pub fn set_columns(&mut self, list: &[u8]) -> Result<(), Failure> {
        if self.columns.is_some() {
            return Err(damaged("a frame has Columns twice"));
        }
        let columns: Vec<ListedColumn> = serde_json::from_slice(list)
            .map_err(|_| damaged("the frame's Columns is of another kind"))?;
        let column = |column: ListedColumn| {
            Some(Column {
                name: column.name,
                kind: column.kind.or(column.data_type)?,
            })
        };
        let columns: Option<_> = columns.into_iter().map(column).collect();
        self.columns = Some(columns.ok_or_else(|| damaged("a column has no type"))?);
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

/// A column as servers list it.
#[derive(Deserialize)]
struct ListedColumn {
    #[serde(rename = "ColumnName")]
    name: String,
    #[serde(rename = "ColumnType")]
    kind: Option<String>,
    /// Older servers name the .NET type alone.
    #[serde(rename = "DataType")]
    data_type: Option<String>,
}
