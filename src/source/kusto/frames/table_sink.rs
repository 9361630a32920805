//! The receiver of a result's rows.

use crate::domain::json::{JsonError, Scanner, Value};
use crate::domain::record::row::MalformedReason;
use crate::source::kusto::error::Failure;

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type as the server names it.
    pub kind: String,
}

/// Takes the rows of the primary result.
pub trait TableSink {
    /// The columns; before any row, once.
    ///
    /// # Errors
    /// If they do not fit.
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure>;

    /// Passes the cell that is next in a row of the primary result. An implementation may look into
    /// the cell while it is checked. A row may be started more than once until it is whole.
    ///
    /// # Errors
    /// If it is no JSON.
    fn cell<'a>(
        &mut self,
        _index: usize,
        scanner: &mut Scanner<'a>,
    ) -> Result<Value<'a>, JsonError> {
        scanner.value()
    }

    /// A row, whose cells were passed just before: its cells, checked as JSON but not against the columns.
    ///
    /// # Errors
    /// If it does not fit.
    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure>;

    /// A row that is too large or nested too deep to be held: the cells before the fault.
    ///
    /// # Errors
    /// If it cannot be done without.
    fn reject(&mut self, cells: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure>;
}
