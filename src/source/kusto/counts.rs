//! Small results made of numbers: certificates and the counts of a plan.

use super::client::Receiver;
use super::error::Failure;
use super::frames::{Column, TableSink, damaged};
use crate::domain::json::number;
use crate::domain::json::{Kind, Value};
use crate::domain::record::row::MalformedReason;

/// Rows that a plan may have: residues times numbers of turns, and far more.
const MOST_ROWS: usize = 1_000_000;

/// Takes rows of numbers that are not negative.
#[derive(Debug)]
pub struct Numbers {
    names: &'static [&'static str],
    places: Vec<usize>,
    /// In the order of the names asked for; an absent number is 0.
    pub rows: Vec<Vec<u64>>,
}

impl Numbers {
    /// Expects these columns.
    pub fn new(names: &'static [&'static str]) -> Self {
        Self {
            names,
            places: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl TableSink for Numbers {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        for name in self.names {
            let place = columns.iter().position(|column| column.name == *name);
            let place =
                place.ok_or_else(|| Failure::Columns(format!("it has no column {name}")))?;
            self.places.push(place);
        }
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        let number = |&place: &usize| match cells[place].kind {
            // The sum of nothing.
            Kind::Null => Some(0),
            Kind::Number => number::integer(cells[place].text).and_then(|n| u64::try_from(n).ok()),
            _ => None,
        };
        let row: Option<Vec<u64>> = self.places.iter().map(number).collect();
        self.rows
            .push(row.ok_or_else(|| damaged("a count is no number"))?);
        match self.rows.len() > MOST_ROWS {
            true => Err(Failure::Columns("it has too many rows".to_owned())),
            false => Ok(()),
        }
    }

    fn reject(&mut self, _: &[Value<'_>], _: MalformedReason) -> Result<(), Failure> {
        Err(damaged("a row of counts is too large"))
    }
}

impl Receiver for Numbers {
    type Sink = Self;

    fn sink(&mut self) -> &mut Self {
        self
    }
}
