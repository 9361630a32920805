//! The codes of `quality` in a record and its turns, for `selection.reject_quality`.

use crate::json::{JsonError, Kind, Scanner, Value};
use crate::selection::quality::{QualityCode, QualityCodes};

use super::fields::key_text;

/// The key of a record's and of a turn's codes.
pub(super) const KEY: &[u8] = b"\"quality\"";

/// Codes that were found, each with the first place that has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct QualityMarks {
    codes: QualityCodes,
    /// By the number of the code: the turn from 1, or 0 for the record itself.
    places: [u64; QualityCode::ALL.len()],
}

impl QualityMarks {
    /// Takes the value of a `quality`: of the turn at this place, or of the record at 0. What is no
    /// list of texts says nothing.
    pub(super) fn take(&mut self, value: &Value<'_>, place: u64) {
        // It was scanned before, so it can be scanned again.
        let _ = self.list(value, place);
    }

    fn list(&mut self, value: &Value<'_>, place: u64) -> Result<(), JsonError> {
        if value.kind != Kind::Array {
            return Ok(());
        }
        Scanner::of_checked(value.text).each_element(|scanner| {
            let code = scanner.value()?;
            let text = (code.kind == Kind::String).then(|| key_text(&code));
            let named = text.and_then(|text| QualityCode::named(std::str::from_utf8(&text).ok()?));
            if let Some(code) = named.filter(|code| !self.codes.contains(*code)) {
                self.codes.insert(code);
                self.places[code as usize] = place;
            }
            Ok(())
        })
    }

    /// Adds those of the turns.
    pub(super) fn add(&mut self, turns: &Self) {
        for code in turns.codes.iter() {
            if !self.codes.contains(code) {
                self.codes.insert(code);
                self.places[code as usize] = turns.places[code as usize];
            }
        }
    }

    /// Those of `rejected`, by name, each with where it was found, for a person.
    pub(super) fn rejected(
        &self,
        rejected: QualityCodes,
    ) -> impl Iterator<Item = (QualityCode, String)> + '_ {
        let found = self.codes.iter();
        found
            .filter(move |code| rejected.contains(*code))
            .map(|code| match self.places[code as usize] {
                0 => (code, "of the record".to_owned()),
                place => (code, format!("at turn {place}")),
            })
    }
}
