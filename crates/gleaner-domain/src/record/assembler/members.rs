//! The members of a turn or a record by field, their values unread.

use std::borrow::Cow;

use crate::json::{JsonError, Kind, Scanner, Value, number, text};
use crate::record::fields::{Field, key_text};

/// An object's members by field, values unread.
#[derive(Default)]
pub(super) struct Members<'a> {
    pub(super) known: [Option<Value<'a>>; 14],
    /// By decoded name; a later duplicate replaces an earlier one.
    pub(super) unknown: Vec<(Cow<'a, [u8]>, Value<'a>)>,
    /// Whether a string up to here may have half a surrogate pair.
    pub(super) surrogates: bool,
    /// The object, if its unknown members are too many to be held with those of other turns: they
    /// are read again when they are written.
    pub(super) wide: Option<&'a [u8]>,
}

/// Unknown members that a turn may have for them to be held.
const HELD: usize = 1024;

impl<'a> Members<'a> {
    /// Reads an object that was checked before. `is_known` says which fields have a place of
    /// their own; the others are unknown, but for those that `drop_field` leaves out.
    pub(super) fn read(
        scanner: &mut Scanner<'a>,
        is_known: fn(Field) -> bool,
        drop_field: fn(Field) -> bool,
    ) -> Result<Self, JsonError> {
        let mut members = Self::default();
        scanner.each_member(|key, scanner| {
            let value = scanner.value()?;
            match Field::named(key) {
                Some(field) if is_known(field) => members.known[field as usize] = Some(value),
                Some(field) if drop_field(field) => {}
                _ => members.unknown.push((key_text(key), value)),
            }
            Ok(())
        })?;
        // Of equal names the last one ends up last and is kept. A value's place is where it stands, and
        // a sort that needs none to be stable needs no memory.
        let place = |value: &Value<'_>| value.text.as_ptr().addr();
        let by_name = |(name, value): &(Cow<'_, [u8]>, Value<'_>),
                       other: &(Cow<'_, [u8]>, Value<'_>)| {
            name.cmp(&other.0)
                .then_with(|| place(value).cmp(&place(&other.1)))
        };
        members.unknown.sort_unstable_by(by_name);
        members.unknown.reverse();
        members
            .unknown
            .dedup_by(|earlier, kept| earlier.0 == kept.0);
        members.unknown.reverse();
        members.surrogates = scanner.saw_surrogates();
        Ok(members)
    }

    pub(super) fn get(&self, field: Field) -> Option<&Value<'a>> {
        self.known[field as usize].as_ref()
    }

    /// The value of a field that is an integer.
    pub(super) fn integer(&self, field: Field) -> Option<i64> {
        self.get(field)
            .filter(|value| value.kind == Kind::Number)
            .and_then(|value| number::integer(value.text))
    }
}

/// The members of the row of a turn, one of many that are held at once: its unknown ones are left in
/// the row if they are many.
pub(super) fn turn_row_members(row: &[u8]) -> Result<Members<'_>, JsonError> {
    let mut members = all_turn_row_members(row)?;
    if members.unknown.len() > HELD {
        members.unknown = Vec::new();
        members.wide = Some(row);
    }
    Ok(members)
}

/// The members of the row of a turn.
pub(super) fn all_turn_row_members(row: &[u8]) -> Result<Members<'_>, JsonError> {
    Members::read(
        &mut Scanner::of_checked(row),
        |field| field.is_of_turn() || field == Field::UserName,
        |field| {
            matches!(
                field,
                Field::Timestamp | Field::ConversationId | Field::Mode
            )
        },
    )
}

pub(super) fn turn_members(array: &[u8]) -> Result<Vec<Members<'_>>, JsonError> {
    let mut turns = Vec::new();
    Scanner::of_checked(array).each_element(|scanner| {
        turns.push(Members::read(scanner, Field::is_of_turn, |_| false)?);
        Ok(())
    })?;
    Ok(turns)
}

pub(super) fn count_elements(array: &[u8]) -> Result<u64, JsonError> {
    let mut count = 0;
    Scanner::of_checked(array).each_element(|scanner| {
        count += 1;
        scanner.value().map(drop)
    })?;
    Ok(count)
}

/// A user's name that is not blank; values that are no text are not blank.
pub(super) fn user_name<'t, 'a>(turn: &'t Members<'a>) -> Option<&'t Value<'a>> {
    turn.get(Field::UserName).filter(|value| {
        value.kind != Kind::Null && !value.string_body().is_some_and(text::is_blank)
    })
}
