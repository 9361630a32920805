//! The columns of a row of `AppEvents` that are used, whatever they are called.

use std::borrow::Cow;

use super::bag::{self, Part, Prop};
use super::wtf8;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::record::row::MalformedReason;
use crate::record::timestamp::{self, Ticks};

/// A row's columns.
#[derive(Default)]
pub struct Envelope<'a> {
    pub name: Option<Value<'a>>,
    pub properties: Option<Value<'a>>,
    pub measurements: Option<Value<'a>>,
    pub item_count: Option<Value<'a>>,
    /// `TimeGenerated`, `time`, `timestamp`: the first that is there counts.
    times: [Option<Value<'a>>; 3],
    /// Whether one of them was there twice.
    pub twice: bool,
}

/// A column that is used.
#[derive(Clone, Copy)]
enum Column {
    Name,
    Properties,
    Measurements,
    ItemCount,
    Time(usize),
}

impl Column {
    fn named(key: &[u8]) -> Option<Self> {
        Some(match key {
            b"Name" | b"name" => Self::Name,
            b"Properties" | b"customDimensions" => Self::Properties,
            b"Measurements" | b"customMeasurements" => Self::Measurements,
            b"ItemCount" | b"itemCount" => Self::ItemCount,
            b"TimeGenerated" => Self::Time(0),
            b"time" => Self::Time(1),
            b"timestamp" => Self::Time(2),
            _ => return None,
        })
    }
}

impl<'a> Envelope<'a> {
    /// Reads a row's columns in one pass. `visit` is given the properties that are used, if they are
    /// an object. `is_wanted` is asked about the name; if not, nothing behind it is read.
    ///
    /// Says whether the row was read to its end.
    pub fn scan(
        &mut self,
        row: &'a [u8],
        is_wanted: impl Fn(&Value<'a>) -> bool,
        mut visit: impl FnMut(Prop, Part, Value<'a>),
    ) -> Result<bool, JsonError> {
        let mut scanner = Scanner::new(row);
        scanner.open_object()?;
        let mut first = true;
        while let Some(key) = scanner.next_key(first)? {
            first = false;
            let column = Column::named(&key_text(&key));
            let value = match column {
                Some(Column::Properties) if scanner.kind()? == Kind::Object => {
                    let mut before = scanner.clone();
                    bag::each(&mut scanner, &mut visit)?;
                    before.passed(&scanner)
                }
                _ => scanner.value()?,
            };
            let Some(column) = column else { continue };
            let place = match column {
                Column::Name => &mut self.name,
                Column::Properties => &mut self.properties,
                Column::Measurements => &mut self.measurements,
                Column::ItemCount => &mut self.item_count,
                Column::Time(rank) => &mut self.times[rank],
            };
            self.twice |= place.replace(value).is_some();
            if matches!(column, Column::Name) && !is_wanted(&value) {
                return Ok(false);
            }
        }
        scanner.end()?;
        Ok(true)
    }

    /// The column that says when the event was sent.
    pub fn time(&self) -> Option<&Value<'a>> {
        let mut times = self.times.iter().flatten();
        times.find(|time| time.kind != Kind::Null)
    }

    /// When the event was sent.
    pub fn at(&self) -> Result<Ticks, MalformedReason> {
        self.time()
            .filter(|time| time.kind == Kind::String)
            .and_then(|time| timestamp::parse(&key_text(time)))
            .ok_or(MalformedReason::Timestamp)
    }
}

/// The object that a column holds: itself, or in its text. `None`: nothing, as `null`, an empty text
/// and the `None` of the Azure command line say.
pub fn object_text<'a>(column: Option<&Value<'a>>) -> Result<Option<Cow<'a, [u8]>>, NoObject> {
    let Some(column) = column else {
        return Ok(None);
    };
    let text = match column.kind {
        Kind::Object => return Ok(Some(Cow::Borrowed(column.text))),
        Kind::Null => return Ok(None),
        _ => wtf8::text(column).ok_or(NoObject)?,
    };
    match text.trim_ascii() {
        b"" | b"null" | b"None" => Ok(None),
        _ => Ok(Some(text)),
    }
}

/// A column that holds no object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoObject;
