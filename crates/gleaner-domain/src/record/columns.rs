//! The columns of records as loaders see them, and the kinds of their values: what a dataset's card names, and
//! what shows that a loader which guesses the types of columns changes what they hold.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use super::fields::{Field, key_text};
use crate::debug_lengths;
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value};

/// Columns that are told apart at most: keys may be data.
const MOST_COLUMNS: usize = 4_096;

/// Kinds of values; null is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Kinds(u8);

const KINDS: [(Kind, &str); 5] = [
    (Kind::String, "text"),
    (Kind::Number, "number"),
    (Kind::Bool, "boolean"),
    (Kind::Object, "object"),
    (Kind::Array, "list"),
];

impl Kinds {
    fn of(kind: Kind) -> Self {
        let bit = KINDS.iter().position(|(of, _)| *of == kind);
        Self(bit.map_or(0, |bit| 1 << bit))
    }

    fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    fn has(self, kind: Kind) -> bool {
        self.0 & Self::of(kind).0 != 0
    }

    /// Whether they are texts and nothing else.
    pub fn are_texts(self) -> bool {
        self == Self::of(Kind::String)
    }

    /// Whether there are texts and others.
    pub fn mix_texts(self) -> bool {
        self.has(Kind::String) && !self.are_texts()
    }

    fn mix_objects_or_lists(self) -> bool {
        self.0.count_ones() > 1 && (self.has(Kind::Object) || self.has(Kind::Array))
    }

    fn names(self) -> Vec<&'static str> {
        let own = KINDS.iter().filter(|(kind, _)| self.has(*kind));
        own.map(|(_, name)| *name).collect()
    }
}

/// The fields of one record, and the kinds of their values.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct FieldKinds {
    fields: Vec<(Cow<'static, [u8]>, Kinds)>,
}

debug_lengths!(FieldKinds {} lengths { fields });

impl FieldKinds {
    /// Those of a record that was checked before.
    pub fn of_checked(record: &[u8]) -> Self {
        let mut fields = Self::default();
        // A record is JSON: nothing is lost by an error that cannot be.
        let _ = Scanner::of_checked(record).each_member(|key, scanner| {
            let kind = scanner.value()?.kind;
            fields.note(key, Field::named(key), kind);
            Ok(())
        });
        fields
    }

    /// Notes a field, whose key may be that of a known one.
    pub fn note(&mut self, key: &Value<'_>, field: Option<Field>, kind: Kind) {
        let name = match field {
            Some(field) => Cow::Borrowed(field.name().as_bytes()),
            None => Cow::Owned(key_text(key).into_owned()),
        };
        self.fields.push((name, Kinds::of(kind)));
    }
}

/// The kinds of values in the columns of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

#[derive(Clone, PartialEq, Eq, Default)]
struct Column {
    kinds: Kinds,
    members: BTreeMap<Vec<u8>, Column>,
    elements: Option<Box<Column>>,
}

impl fmt::Debug for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Column").finish_non_exhaustive()
    }
}

impl Columns {
    /// Adds a record with all that is nested in it.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn add(&mut self, record: &[u8]) -> Result<(), JsonError> {
        let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
        let (root, mut room) = self.parts();
        root.read(&mut scanner, &mut room)?;
        scanner.end()
    }

    /// Adds the fields of a record alone.
    pub fn add_fields(&mut self, record: &FieldKinds) {
        let (root, mut room) = self.parts();
        for (name, kinds) in &record.fields {
            if let Some(column) = root.member(name, &mut room) {
                column.kinds.add(*kinds);
            }
        }
    }

    /// Adds those of other records.
    pub fn merge(&mut self, other: &Self) {
        self.is_cut |= other.is_cut;
        let (root, mut room) = self.parts();
        root.merge(&other.root, &mut room);
    }

    fn parts(&mut self) -> (&mut Column, Room<'_>) {
        let room = Room {
            count: &mut self.count,
            is_cut: &mut self.is_cut,
        };
        (&mut self.root, room)
    }

    /// The columns of the records' own fields, by name; `None` if there are more than `most`, which is less
    /// than are told apart.
    pub fn fields(&self, most: usize) -> Option<impl Iterator<Item = (String, Kinds)>> {
        let named = |(name, column): (&Vec<u8>, &Column)| {
            (String::from_utf8_lossy(name).into_owned(), column.kinds)
        };
        let fields = &self.root.members;
        (fields.len() <= most).then(|| fields.iter().map(named))
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
    /// Reads the value that is next.
    fn read(&mut self, scanner: &mut Scanner<'_>, room: &mut Room<'_>) -> Result<(), JsonError> {
        let kind = scanner.kind()?;
        self.kinds.add(Kinds::of(kind));
        match kind {
            Kind::Object => {
                scanner.each_member(|key, scanner| match self.member(&key_text(key), room) {
                    Some(column) => column.read(scanner, room),
                    None => scanner.value().map(drop),
                })
            }
            Kind::Array => scanner
                .each_element(|scanner| self.elements.get_or_insert_default().read(scanner, room)),
            _ => scanner.value().map(drop),
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

    fn merge(&mut self, other: &Self, room: &mut Room<'_>) {
        self.kinds.add(other.kinds);
        for (key, column) in &other.members {
            if let Some(own) = self.member(key, room) {
                own.merge(column, room);
            }
        }
        if let Some(elements) = &other.elements {
            self.elements.get_or_insert_default().merge(elements, room);
        }
    }

    fn mixed(&self, path: &str, found: &mut Vec<MixedColumn>) {
        if self.kinds.mix_objects_or_lists() {
            found.push(MixedColumn {
                path: path.to_owned(),
                kinds: self.kinds.names(),
            });
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
        apart.merge(&of(&records[1..]));
        assert_eq!(apart, of(&records));
    }

    #[test]
    fn keys_that_are_data_do_not_fill_the_memory() {
        let keys: Vec<_> = (0..=MOST_COLUMNS).map(|n| format!("\"k{n}\":1")).collect();
        let columns = of(&[&format!("{{{}}}", keys.join(","))]);
        assert!(columns.is_cut);
        assert_eq!(columns.count, MOST_COLUMNS);
        assert!(!of(&["{}"]).is_cut);
    }

    /// The fields alone, added record by record.
    fn fields_of(records: &[&str]) -> Columns {
        let mut columns = Columns::default();
        let checked = records.iter().map(|record| record.as_bytes());
        checked.for_each(|record| columns.add_fields(&FieldKinds::of_checked(record)));
        columns
    }

    #[test]
    fn kinds_of_fields_are_those_of_all_records_in_any_order() {
        let records = [
            r#"{"a":"x","b":null,"bucket":{"d":1},"f":null}"#,
            r#"{"a":"","b":2,"\u0065":"00123"}"#,
            r#"{"e":[1]}"#,
        ];
        let all = fields_of(&records);
        let fields: Vec<_> = all.fields(5).expect("few").collect();
        let kinds = |are_texts, mix_texts| (are_texts, mix_texts);
        let expected = [
            ("a", kinds(true, false)),
            ("b", kinds(false, false)),
            ("bucket", kinds(false, false)),
            ("e", kinds(false, true)),
            ("f", kinds(false, false)),
        ];
        let found = fields.iter().map(|(name, kinds)| {
            let kinds = (kinds.are_texts(), kinds.mix_texts());
            (name.as_str(), kinds)
        });
        assert_eq!(found.collect::<Vec<_>>(), expected);
        let nested: Vec<_> = of(&records).fields(5).expect("few").collect();
        assert_eq!(nested, fields);
        let mut merged = fields_of(&records[2..]);
        merged.merge(&fields_of(&records[..2]));
        assert_eq!(merged, all);
        assert!(all.fields(4).is_none());
    }
}
