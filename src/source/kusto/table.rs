//! The state of an answer that its frames add up to.

use serde_json::Value;

use super::cells::cells;
use super::error::{self, Failure};
use super::frame::{Frame, RowDisposition};
use super::frames::{Column, TableSink, damaged};
use crate::domain::json;
use crate::domain::record::row::MalformedReason;

/// Bytes of rows that are held while it is not known what they are rows of.
pub const UNDECIDED_BYTES: usize = 4 << 20;

/// Errors of this level and below void an answer (2 is `Error`, 4 is `Info`).
const LEVEL_ERROR: i64 = 2;

/// The progress of the primary result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Primary {
    /// Not started.
    #[default]
    None,
    /// Between its header and its completion.
    Open(i64),
    /// Whole.
    Done,
}

/// The state of an answer.
#[derive(Debug, Default)]
pub struct Table {
    begun: bool,
    primary: Primary,
    /// Fragmented tables that are open and not the primary result.
    others: Vec<i64>,
    columns: usize,
    rows: u64,
    completed: bool,
    /// The columns of rows that come before theirs.
    pub expected: Option<Vec<Column>>,
    /// Those that came behind more rows than can be held, and were not expected.
    pub late: Option<Vec<Column>>,
}

impl Table {
    /// A frame's rows begin: decides what becomes of them, if that is known.
    ///
    /// # Errors
    /// If they cannot be what they are said to be.
    pub fn begin_rows(
        &mut self,
        frame: &mut Frame,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if std::mem::replace(&mut frame.has_rows, true) {
            return Err(damaged("a frame has Rows twice"));
        }
        frame.disposition = match (frame.kind.as_deref(), frame.table_kind.as_deref()) {
            (Some("DataTable"), Some("PrimaryResult")) if frame.columns.is_some() => {
                self.give_columns(frame.columns.as_deref(), sink)?;
                RowDisposition::Given
            }
            (Some("DataTable"), Some("PrimaryResult")) => RowDisposition::Undecided,
            (Some("DataTable"), Some("QueryCompletionInformation")) => RowDisposition::Held,
            (Some("DataTable"), Some(_)) => RowDisposition::Dropped,
            (Some("TableFragment"), _) => match frame.table_id {
                Some(id) if self.primary == Primary::Open(id) => RowDisposition::Given,
                Some(id) if self.others.contains(&id) => RowDisposition::Dropped,
                Some(_) => return Err(damaged("rows of a table that is not open")),
                None => RowDisposition::Undecided,
            },
            _ => RowDisposition::Undecided,
        };
        Ok(())
    }

    fn give_columns(
        &mut self,
        columns: Option<&[Column]>,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if self.primary != Primary::None {
            return Err(Failure::Columns(
                "it has more than one table; a query must have one result".to_owned(),
            ));
        }
        let columns = columns.unwrap_or_default();
        self.columns = columns.len();
        sink.columns(columns)
    }

    /// Whether a frame's rows go to the sink as they come.
    pub fn is_given(&self, frame: &Frame) -> bool {
        frame.disposition == RowDisposition::Given
    }

    /// A row of a frame.
    ///
    /// # Errors
    /// If it does not fit.
    pub fn row(
        &mut self,
        frame: &mut Frame,
        text: &[u8],
        cells: &[json::Value<'_>],
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        match frame.disposition {
            RowDisposition::Given => self.give(cells, sink),
            RowDisposition::Dropped | RowDisposition::Skipped => Ok(()),
            RowDisposition::Undecided | RowDisposition::Held => {
                frame.hold(text);
                if frame.held_bytes > UNDECIDED_BYTES {
                    self.assume_primary(frame, sink)?;
                }
                Ok(())
            }
        }
    }

    /// Whether a frame's rows may be those of the result.
    pub fn is_wanted(&self, frame: &Frame) -> bool {
        matches!(
            frame.disposition,
            RowDisposition::Given | RowDisposition::Undecided
        )
    }

    /// Rows cannot be held any longer. So many can only be those of the result, if it is open or in
    /// a table of its own; whether they were is checked when the frame ends, and nothing counts
    /// before. Rows whose columns are neither known nor expected are passed over, to learn the
    /// columns.
    fn assume_primary(
        &mut self,
        frame: &mut Frame,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        let may_be = |what: &Option<String>, name| what.as_deref().is_none_or(|what| what == name);
        let is_open = matches!(self.primary, Primary::Open(_))
            && may_be(&frame.kind, "TableFragment")
            && frame.columns.is_none()
            && frame.table_kind.is_none();
        let is_table = self.primary == Primary::None
            && may_be(&frame.kind, "DataTable")
            && may_be(&frame.table_kind, "PrimaryResult")
            && frame.fragment.is_none();
        if frame.disposition != RowDisposition::Undecided || !(is_open || is_table) {
            return Err(damaged("a frame has its rows before their columns"));
        }
        if is_table {
            let expected = self.expected.clone();
            frame.as_expected = frame.columns.is_none();
            let Some(columns) = frame.columns.as_deref().or(expected.as_deref()) else {
                (frame.disposition, frame.held) = (RowDisposition::Skipped, Vec::new());
                return Ok(());
            };
            self.give_columns(Some(columns), sink)?;
        }
        frame.disposition = RowDisposition::Given;
        frame.provisional = true;
        self.give_held(frame, sink)
    }

    /// Whether rows that were given away before it was known what they are were the result's.
    fn assumption_held(&self, frame: &Frame) -> bool {
        match (self.primary, frame.table_id) {
            (Primary::Open(open), Some(id)) => frame.is("TableFragment") && open == id,
            (Primary::None, _) => frame.is("DataTable") && frame.is_primary(),
            _ => false,
        }
    }

    fn give_held(&mut self, frame: &mut Frame, sink: &mut impl TableSink) -> Result<(), Failure> {
        for row in std::mem::take(&mut frame.held) {
            let cells = cells(&row, |at, scanner| sink.cell(at, scanner));
            self.give(&cells, sink)?;
        }
        Ok(())
    }

    fn give(
        &mut self,
        cells: &[json::Value<'_>],
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if cells.len() != self.columns {
            return Err(damaged(format!(
                "row {} has {} cells, there are {} columns",
                self.rows + 1,
                cells.len(),
                self.columns
            )));
        }
        self.rows += 1;
        sink.row(cells)
    }

    /// A row that cannot be held.
    ///
    /// # Errors
    /// If it cannot be done without.
    pub fn reject(
        &mut self,
        frame: &mut Frame,
        text: &[u8],
        reason: MalformedReason,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if matches!(
            frame.disposition,
            RowDisposition::Undecided | RowDisposition::Held
        ) {
            self.assume_primary(frame, sink)?;
        }
        if matches!(
            frame.disposition,
            RowDisposition::Dropped | RowDisposition::Skipped
        ) {
            return Ok(());
        }
        self.rows += 1;
        sink.reject(&cells(text, |_, scanner| scanner.value()), reason)
    }

    /// A frame has ended.
    ///
    /// # Errors
    /// If it reports a failure or does not fit.
    pub fn end_frame(
        &mut self,
        mut frame: Frame,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if self.completed {
            return Err(damaged("a frame follows DataSetCompletion"));
        }
        if frame.provisional && !self.assumption_held(&frame) {
            return Err(damaged("a frame has its rows before their columns"));
        }
        if let Some(errors) = &frame.errors {
            return Err(error::of_one_api(errors));
        }
        let kind = frame.kind.take().unwrap_or_default();
        if !self.begun && kind != "DataSetHeader" {
            return Err(damaged("it does not begin with a DataSetHeader"));
        }
        match kind.as_str() {
            "DataSetHeader" => {
                self.begun = true;
                match frame.version.as_deref() {
                    Some("v2.0") => Ok(()),
                    other => Err(damaged(format!("its version is {other:?}, not v2.0"))),
                }
            }
            "DataTable" => self.end_data_table(frame, sink),
            "TableHeader" => self.open(frame, sink),
            "TableFragment" => self.end_fragment(frame, sink),
            "TableCompletion" => self.close(&frame),
            "TableProgress" => Ok(()),
            "DataSetCompletion" => {
                self.completed = true;
                match (frame.has_errors, frame.cancelled) {
                    (_, true) => Err(damaged("the server says that it was cancelled")),
                    (true, _) => Err(damaged("the server says that it has errors")),
                    (false, false) => Ok(()),
                }
            }
            other => Err(damaged(format!("there is a frame of the kind {other:?}"))),
        }
    }

    fn end_data_table(
        &mut self,
        mut frame: Frame,
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        if frame.table_kind.as_deref() == Some("QueryCompletionInformation") {
            return check_completion(&frame);
        }
        if !frame.is_primary() {
            return Ok(());
        }
        if frame.columns.is_none() {
            return Err(damaged("a table has no columns"));
        }
        let is_unexpected = frame.as_expected && self.expected != frame.columns;
        if frame.disposition == RowDisposition::Skipped || is_unexpected {
            self.late = frame.columns;
            return Err(damaged("a table has its columns behind its rows"));
        }
        if frame.disposition != RowDisposition::Given {
            let columns = frame.columns.take();
            self.give_columns(columns.as_deref(), sink)?;
            self.give_held(&mut frame, sink)?;
        }
        self.primary = Primary::Done;
        Ok(())
    }

    fn open(&mut self, frame: Frame, sink: &mut impl TableSink) -> Result<(), Failure> {
        let (Some(id), Some(_)) = (frame.table_id, &frame.columns) else {
            return Err(damaged("a table has no number or no columns"));
        };
        if !frame.is_primary() {
            self.others.push(id);
            return Ok(());
        }
        self.give_columns(frame.columns.as_deref(), sink)?;
        self.primary = Primary::Open(id);
        Ok(())
    }

    fn end_fragment(&mut self, mut frame: Frame, sink: &mut impl TableSink) -> Result<(), Failure> {
        if frame.fragment.as_deref() != Some("DataAppend") {
            return Err(damaged(format!(
                "a fragment is {:?}, only DataAppend is asked for",
                frame.fragment
            )));
        }
        match frame.table_id {
            Some(id) if self.primary == Primary::Open(id) => self.give_held(&mut frame, sink),
            Some(id) if self.others.contains(&id) => Ok(()),
            _ => Err(damaged("rows of a table that is not open")),
        }
    }

    fn close(&mut self, frame: &Frame) -> Result<(), Failure> {
        match (self.primary, frame.table_id) {
            (Primary::Open(open), Some(id)) if open == id => {}
            (_, Some(id)) if self.others.contains(&id) => {
                self.others.retain(|other| *other != id);
                return Ok(());
            }
            _ => return Err(damaged("a table is completed that is not open")),
        }
        self.primary = Primary::Done;
        match frame.row_count {
            Some(count) if count != self.rows => Err(damaged(format!(
                "{} rows have come, RowCount is {count}",
                self.rows
            ))),
            _ => Ok(()),
        }
    }

    /// The array has ended.
    ///
    /// # Errors
    /// If something is missing.
    pub fn finish(&self) -> Result<(), Failure> {
        match (self.completed, self.primary) {
            (false, _) => Err(damaged("it has no DataSetCompletion")),
            (true, Primary::Open(_)) => Err(damaged("its table was not completed")),
            (true, Primary::None) => Err(damaged("it has no result")),
            (true, Primary::Done) => Ok(()),
        }
    }
}

/// A partial failure may be reported here alone.
fn check_completion(frame: &Frame) -> Result<(), Failure> {
    let columns = frame.columns.as_deref().unwrap_or_default();
    let column = |name: &str| columns.iter().position(|column| column.name == name);
    let Some(level) = column("Level") else {
        return Err(damaged("the completion information has no Level"));
    };
    for row in &frame.held {
        let row: Vec<Value> = serde_json::from_slice(row)
            .map_err(|_| damaged("the completion information cannot be read"))?;
        let is_error = match row.get(level).and_then(Value::as_i64) {
            Some(level) => level <= LEVEL_ERROR,
            None => return Err(damaged("the completion information has no Level")),
        };
        if is_error {
            let cell = |name| {
                column(name)
                    .and_then(|at| row.get(at))
                    .and_then(Value::as_str)
            };
            let payload = cell("Payload").unwrap_or_default();
            let status = cell("StatusCodeName").unwrap_or_default();
            let error = serde_json::json!({"code": status, "@message": payload});
            return Err(error::of_one_api(&error));
        }
    }
    Ok(())
}
