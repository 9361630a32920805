//! Columns that hold objects in one record and something else in another: loaders that guess the types of
//! columns change what they hold.

use std::collections::BTreeMap;

use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value};
use crate::record::fields::key_text;

/// Columns that are told apart at most: keys may be data.
const MOST_COLUMNS: usize = 4_096;

/// The kinds of values in every column of records, nested ones too.
#[derive(Debug, Default)]
pub struct Columns {
    root: Column,
    count: usize,
    /// Whether there are more columns than are told apart.
    pub is_cut: bool,
}

/// A column with values of several kinds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MixedColumn {
    /// Its path: `turnsArray[].trajectory`.
    pub path: String,
    /// The kinds: `text`, `object`.
    pub kinds: Vec<&'static str>,
}

#[derive(Default)]
struct Column {
    /// A bit for each of [`KINDS`].
    kinds: u8,
    members: BTreeMap<Vec<u8>, Column>,
    elements: Option<Box<Column>>,
}

impl std::fmt::Debug for Column {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Column").finish_non_exhaustive()
    }
}

const KINDS: [(Kind, &str); 5] = [
    (Kind::String, "text"),
    (Kind::Number, "number"),
    (Kind::Bool, "boolean"),
    (Kind::Object, "object"),
    (Kind::Array, "list"),
];

impl Columns {
    /// Adds a record.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn add(&mut self, record: &[u8]) -> Result<(), JsonError> {
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        let value = scanner.value()?;
        scanner.end()?;
        let mut room = Room {
            count: &mut self.count,
            is_cut: &mut self.is_cut,
        };
        self.root.add(&value, &mut room)
    }

    /// Adds those of other records.
    pub fn merge(&mut self, other: Self) {
        self.is_cut |= other.is_cut;
        let mut room = Room {
            count: &mut self.count,
            is_cut: &mut self.is_cut,
        };
        self.root.merge(other.root, &mut room);
    }

    /// The columns that hold objects or lists beside something else, by path.
    pub fn mixed(&self) -> Vec<MixedColumn> {
        let mut found = Vec::new();
        self.root.mixed("", &mut found);
        found.sort();
        found
    }
}

/// How many columns there may still be.
struct Room<'r> {
    count: &'r mut usize,
    is_cut: &'r mut bool,
}

impl Room<'_> {
    fn take(&mut self) -> bool {
        let is_full = *self.count == MOST_COLUMNS;
        *self.is_cut |= is_full;
        *self.count += usize::from(!is_full);
        !is_full
    }
}

impl Column {
    fn add(&mut self, value: &Value<'_>, room: &mut Room<'_>) -> Result<(), JsonError> {
        let bit = KINDS.iter().position(|(kind, _)| *kind == value.kind);
        self.kinds |= bit.map_or(0, |bit| 1 << bit);
        let mut scanner = Scanner::of_checked(value.text);
        match value.kind {
            Kind::Object => scanner.each_member(|key, scanner| {
                let value = scanner.value()?;
                match self.member(&key_text(key), room) {
                    Some(column) => column.add(&value, room),
                    None => Ok(()),
                }
            }),
            Kind::Array => scanner.each_element(|scanner| {
                let value = scanner.value()?;
                self.elements.get_or_insert_default().add(&value, room)
            }),
            _ => Ok(()),
        }
    }

    /// The column of a key, if there is room for it.
    fn member(&mut self, key: &[u8], room: &mut Room<'_>) -> Option<&mut Self> {
        if !self.members.contains_key(key) {
            if !room.take() {
                return None;
            }
            self.members.insert(key.to_vec(), Self::default());
        }
        self.members.get_mut(key)
    }

    fn merge(&mut self, other: Self, room: &mut Room<'_>) {
        self.kinds |= other.kinds;
        for (key, column) in other.members {
            if let Some(own) = self.member(&key, room) {
                own.merge(column, room);
            }
        }
        if let Some(elements) = other.elements {
            self.elements.get_or_insert_default().merge(*elements, room);
        }
    }

    fn mixed(&self, path: &str, found: &mut Vec<MixedColumn>) {
        let own = KINDS.iter().enumerate();
        let own = own.filter(|(bit, _)| self.kinds & (1 << bit) != 0);
        let kinds: Vec<_> = own.map(|(_, &(_, name))| name).collect();
        if kinds.len() > 1 && (kinds.contains(&"object") || kinds.contains(&"list")) {
            let path = path.to_owned();
            found.push(MixedColumn { path, kinds });
        }
        for (key, column) in &self.members {
            let key = String::from_utf8_lossy(key);
            let dot = if path.is_empty() { "" } else { "." };
            column.mixed(&format!("{path}{dot}{key}"), found);
        }
        if let Some(elements) = &self.elements {
            elements.mixed(&format!("{path}[]"), found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[&str]) -> Columns {
        let mut columns = Columns::default();
        for record in records {
            columns.add(record.as_bytes()).expect("JSON");
        }
        columns
    }

    #[test]
    fn columns_that_mix_text_and_objects_are_named() {
        let records = [
            r#"{"a": "00123", "b": 1, "c": [{"d": "x"}, {"d": null}], "e": []}"#,
            r#"{"a": {"x": 1}, "b": "one", "c": [{"d": [1]}], "e": null}"#,
        ];
        let mixed: Vec<_> = of(&records)
            .mixed()
            .into_iter()
            .map(|column| (column.path, column.kinds))
            .collect();
        let expected = [
            ("a".to_owned(), vec!["text", "object"]),
            ("c[].d".to_owned(), vec!["text", "list"]),
        ];
        assert_eq!(mixed, expected);
        let mut apart = of(&records[..1]);
        apart.merge(of(&records[1..]));
        assert_eq!(apart.mixed(), of(&records).mixed());
        assert_eq!(apart.count, of(&records).count);
    }

    #[test]
    fn keys_that_are_data_do_not_fill_the_memory() {
        let keys: Vec<_> = (0..=MOST_COLUMNS).map(|n| format!("\"k{n}\":1")).collect();
        let columns = of(&[&format!("{{{}}}", keys.join(","))]);
        assert!(columns.is_cut);
        assert_eq!(columns.count, MOST_COLUMNS);
        assert!(!of(&["{}"]).is_cut);
    }
}
