//! Input fields under other names: `[source.fields]`.
//!
//! A row is written anew with the names that gleaner knows, before anything else looks at it. A field
//! is moved: its old name goes, and so does an object that had nothing else in it. What is wrong with
//! a row stays wrong with it: from the first member on that cannot be read it is left as it is.

use std::collections::BTreeMap;

use thiserror::Error;

use super::fields::{Field, key_text};
use super::row;
use crate::json::text;
use crate::json::{JsonError, Kind, Scanner};

/// Why names cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenameError {
    /// No field of gleaner's.
    #[error("\"{0}\" is no field that gleaner reads")]
    UnknownField(String),
    /// A path without a name in it.
    #[error("\"{0}\" has no name in the input: write it as \"name\" or \"object.name\"")]
    EmptyPath(String),
    /// One field of the input cannot be two.
    #[error("\"{first}\" and \"{second}\" are both taken from \"{path}\"")]
    TwoNames {
        /// One of gleaner's fields.
        first: String,
        /// Another.
        second: String,
        /// The input's field, or an object around it.
        path: String,
    },
}

/// The names of fields in the input, where they are not gleaner's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Renames {
    /// By gleaner's name.
    paths: BTreeMap<String, String>,
    row: Node,
    /// The part of it that an element of `turnsArray` has.
    turn: Node,
}

/// What to do with the members of an object, by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node(BTreeMap<Vec<u8>, Target>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// It becomes this field.
    Field(Field),
    /// Fields are in it.
    Inside(Node),
}

impl Node {
    /// A path leads through objects, or is a name that has dots in it.
    fn insert(&mut self, path: &str, field: Field) {
        let name = path.as_bytes().to_vec();
        self.0.insert(name, Target::Field(field));
        if let Some((object, rest)) = path.split_once('.') {
            let inside = self.0.entry(object.as_bytes().to_vec());
            let inside = inside.or_insert_with(|| Target::Inside(Self::default()));
            if let Target::Inside(node) = inside {
                node.insert(rest, field);
            }
        }
    }
}

impl Renames {
    /// From pairs of gleaner's name and the name in the input, which may lead through objects:
    /// `meta.session.id`.
    ///
    /// # Errors
    /// If a name is not known, a path is empty, or two paths overlap.
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, RenameError> {
        let mut renames = Self::default();
        let mut taken: BTreeMap<String, String> = BTreeMap::new();
        for (name, path) in pairs {
            let Some(field) = Field::of(name.as_bytes()) else {
                return Err(RenameError::UnknownField(name));
            };
            if path.split('.').any(str::is_empty) {
                return Err(RenameError::EmptyPath(name));
            }
            let within = |a: &str, b: &str| a == b || a.starts_with(&format!("{b}."));
            if let Some((other, first)) = taken
                .iter()
                .find(|(other, _)| within(other, &path) || within(&path, other))
            {
                return Err(RenameError::TwoNames {
                    first: first.clone(),
                    second: name,
                    path: other.clone().min(path),
                });
            }
            taken.insert(path.clone(), name.clone());
            if name == path {
                continue;
            }
            renames.row.insert(&path, field);
            if field.is_of_turn() {
                renames.turn.insert(&path, field);
            }
            renames.paths.insert(name, path);
        }
        Ok(renames)
    }

    /// Whether every field has gleaner's own name.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The names in the input, by gleaner's name.
    pub fn paths(&self) -> &BTreeMap<String, String> {
        &self.paths
    }

    /// What a member of a row is called after renaming.
    pub fn name_of<'n>(&self, name: &'n str) -> &'n str {
        match self.row.0.get(name.as_bytes()) {
            Some(Target::Field(field)) => field.name(),
            _ => name,
        }
    }

    /// The id of a row that is malformed, or of the beginning of one: see [`row::readable_id`].
    pub fn readable_id(&self, row: &[u8]) -> Option<Box<[u8]>> {
        if self.is_empty() {
            return row::readable_id(row).map(|id| id.into());
        }
        let mut renamed = Vec::with_capacity(row.len());
        self.apply(row, &mut renamed);
        row::readable_id(&renamed).map(|id| id.into())
    }

    /// Appends a row, which has no white space around it, with its fields renamed.
    pub fn apply(&self, row: &[u8], out: &mut Vec<u8>) {
        let mut scanner = Scanner::new(row);
        // Where the row can be left as it is, and what was written up to there.
        let mut intact = (0, out.len());
        let done = self
            .object(&mut scanner, &self.row, out, &mut intact)
            .and_then(|()| {
                intact = (scanner.position(), out.len());
                scanner.end()
            });
        if done.is_err() {
            out.truncate(intact.1);
            out.extend_from_slice(&row[intact.0..]);
        }
    }

    /// Appends a row or a turn.
    fn object(
        &self,
        scanner: &mut Scanner<'_>,
        node: &Node,
        out: &mut Vec<u8>,
        intact: &mut (usize, usize),
    ) -> Result<(), JsonError> {
        scanner.open_object()?;
        out.push(b'{');
        let mut first = true;
        loop {
            *intact = (scanner.position(), out.len());
            let Some(key) = scanner.next_key(first)? else {
                break;
            };
            // Every member leaves one or more.
            if !first {
                out.push(b',');
            }
            first = false;
            match node.0.get(&*key_text(&key)) {
                Some(Target::Field(field)) => self.field(scanner, *field, out)?,
                Some(Target::Inside(inside)) if scanner.kind()? == Kind::Object => {
                    let (mut rest, mut moved) = (Vec::new(), Vec::new());
                    self.inside(scanner, inside, &mut rest, &mut moved)?;
                    let (nothing_left, any_moved) = (rest == b"{}", !moved.is_empty());
                    out.append(&mut moved);
                    if !(nothing_left && any_moved) {
                        if any_moved {
                            out.push(b',');
                        }
                        write_member(key.text, &rest, out);
                    }
                }
                _ => match Field::named(&key) {
                    Some(Field::TurnsArray) => self.field(scanner, Field::TurnsArray, out)?,
                    _ => write_member(key.text, scanner.value()?.text, out),
                },
            }
        }
        out.push(b'}');
        Ok(())
    }

    /// Appends what is left of an object to `rest`, and its renamed fields to `moved`.
    fn inside(
        &self,
        scanner: &mut Scanner<'_>,
        node: &Node,
        rest: &mut Vec<u8>,
        moved: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        let comma = |out: &mut Vec<u8>, empty: usize| {
            if out.len() > empty {
                out.push(b',');
            }
        };
        rest.push(b'{');
        let empty = rest.len();
        scanner.each_member(|key, scanner| {
            match node.0.get(&*key_text(key)) {
                Some(Target::Field(field)) => {
                    comma(moved, 0);
                    self.field(scanner, *field, moved)?;
                }
                Some(Target::Inside(deeper)) if scanner.kind()? == Kind::Object => {
                    let (mut left, before) = (Vec::new(), moved.len());
                    self.inside(scanner, deeper, &mut left, moved)?;
                    if left != b"{}" || moved.len() == before {
                        comma(rest, empty);
                        write_member(key.text, &left, rest);
                    }
                }
                _ => {
                    comma(rest, empty);
                    write_member(key.text, scanner.value()?.text, rest);
                }
            }
            Ok(())
        })?;
        rest.push(b'}');
        Ok(())
    }

    /// Appends the value that is next as a field's; the fields of turns are renamed in it.
    fn field(
        &self,
        scanner: &mut Scanner<'_>,
        field: Field,
        out: &mut Vec<u8>,
    ) -> Result<(), JsonError> {
        text::write_string(field.name(), out);
        out.push(b':');
        let is_turns = field == Field::TurnsArray && !self.turn.0.is_empty();
        if !is_turns || scanner.kind()? != Kind::Array {
            out.extend_from_slice(scanner.value()?.text);
            return Ok(());
        }
        scanner.write_elements(out, |scanner, out| {
            match scanner.kind()? {
                Kind::Object => self.object(scanner, &self.turn, out, &mut (0, 0))?,
                _ => out.extend_from_slice(scanner.value()?.text),
            }
            Ok(())
        })
    }
}

fn write_member(key: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    out.push(b':');
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests;
