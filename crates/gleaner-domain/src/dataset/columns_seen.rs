//! The columns of records as loaders see them: the fields of their objects.

use std::collections::BTreeMap;

use crate::json::{JsonError, Kind, Scanner};
use crate::record::fields::key_text;

/// More columns are no table: records whose fields are ids, say.
const MOST: usize = 500;

/// The columns of some records, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ColumnsSeen {
    columns: BTreeMap<Vec<u8>, ColumnSeen>,
    /// There were more than are kept.
    too_many: bool,
}

/// The values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ColumnSeen {
    /// Some are texts.
    pub texts: bool,
    /// Some are neither texts nor null.
    pub others: bool,
}

impl ColumnsSeen {
    /// Notes the fields of a record that was checked before.
    pub fn see(&mut self, record: &[u8]) {
        // A record is JSON: nothing is lost by an error that cannot be.
        let _ = self.read(record);
    }

    fn read(&mut self, record: &[u8]) -> Result<(), JsonError> {
        Scanner::of_checked(record).each_member(|key, scanner| {
            let kind = scanner.value()?.kind;
            let seen = ColumnSeen {
                texts: kind == Kind::String,
                others: !matches!(kind, Kind::String | Kind::Null),
            };
            self.note(&key_text(key), seen);
            Ok(())
        })
    }

    fn note(&mut self, name: &[u8], seen: ColumnSeen) {
        if let Some(column) = self.columns.get_mut(name) {
            column.texts |= seen.texts;
            column.others |= seen.others;
        } else if self.columns.len() < MOST {
            self.columns.insert(name.to_vec(), seen);
        } else {
            self.too_many = true;
        }
    }

    /// Adds the columns of other records.
    pub fn merge(&mut self, other: &Self) {
        self.too_many |= other.too_many;
        for (name, seen) in &other.columns {
            self.note(name, *seen);
        }
    }

    /// The columns by name; `None` if there are too many for a table.
    pub fn columns(&self) -> Option<impl Iterator<Item = (String, ColumnSeen)>> {
        let named = |(name, seen): (&Vec<u8>, &ColumnSeen)| {
            (String::from_utf8_lossy(name).into_owned(), *seen)
        };
        (!self.too_many).then(|| self.columns.iter().map(named))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(records: &[&str]) -> ColumnsSeen {
        let mut seen = ColumnsSeen::default();
        records
            .iter()
            .for_each(|record| seen.see(record.as_bytes()));
        seen
    }

    #[test]
    fn kinds_are_those_of_all_records_in_any_order() {
        let records = [
            r#"{"a":"x","b":null,"c":{"d":1}}"#,
            r#"{"a":"","b":2,"e":"00123"}"#,
            r#"{"e":[1]}"#,
        ];
        let all = seen(&records);
        let kinds: Vec<_> = all.columns().expect("few").collect();
        let column = |texts, others| ColumnSeen { texts, others };
        let expected = [
            ("a", column(true, false)),
            ("b", column(false, true)),
            ("c", column(false, true)),
            ("e", column(true, true)),
        ];
        assert_eq!(kinds, expected.map(|(name, kind)| (name.to_owned(), kind)));
        let mut merged = seen(&records[2..]);
        merged.merge(&seen(&records[..2]));
        assert_eq!(merged, all);
    }

    #[test]
    fn fields_without_end_are_no_table() {
        let record = |i: usize| format!("{{\"k{i}\":1}}");
        let mut all = ColumnsSeen::default();
        (0..MOST).for_each(|i| all.see(record(i).as_bytes()));
        assert!(all.columns().is_some());
        all.see(record(MOST).as_bytes());
        assert!(all.columns().is_none());
    }
}
