//! The properties of a row that its header needs, without a copy.

use std::borrow::Cow;

use super::bag::{self, PROPS, Part, Prop};
use super::row::ReadRules;
use super::split::{self, UnpackError};
use super::wtf8;
use crate::json::{JsonError, Kind, Scanner, Value};
use crate::record::fields::key_text;
use crate::record::row::MalformedReason;

/// Takes the properties of an object.
pub fn scan<'p>(object: &'p [u8], members: &mut Members<'p>) -> Result<(), JsonError> {
    let mut scanner = Scanner::new(object);
    bag::each(&mut scanner, |prop, part, value| {
        members.take(prop, part, value);
    })?;
    scanner.end()
}

/// The properties that are used, by name.
pub struct Members<'p> {
    whole: [Option<Value<'p>>; PROPS],
    /// Which numbered parts there are, bit by bit.
    numbered: [u64; PROPS],
    /// Compressed parts; all parts, in the order of the row, if they are kept.
    parts: Vec<(Prop, Part, Value<'p>)>,
    keeps_parts: bool,
    /// How many there are.
    pub count: usize,
    /// Whether one was there twice.
    pub twice: bool,
}

impl Default for Members<'_> {
    fn default() -> Self {
        Self {
            whole: [None; PROPS],
            numbered: [0; PROPS],
            parts: Vec::new(),
            keeps_parts: false,
            count: 0,
            twice: false,
        }
    }
}

impl<'p> Members<'p> {
    /// Properties whose parts are all kept.
    pub fn keeping_parts() -> Self {
        Self {
            // As many as most rows have that are used.
            parts: Vec::with_capacity(16),
            keeps_parts: true,
            ..Self::default()
        }
    }

    /// The parts, in the order of the row, if they are kept.
    pub fn parts(&self) -> &[(Prop, Part, Value<'p>)] {
        &self.parts
    }

    pub fn take(&mut self, prop: Prop, part: Part, value: Value<'p>) {
        self.count += 1;
        if self.keeps_parts || matches!(part, Part::Chunk(_)) {
            self.parts.push((prop, part, value));
        }
        match part {
            Part::Whole => self.twice |= self.whole[prop as usize].replace(value).is_some(),
            Part::Numbered(number) => {
                let bit = 1 << number.min(63);
                self.twice |= self.numbered[prop as usize] & bit != 0;
                self.numbered[prop as usize] |= bit;
            }
            Part::Chunk(_) => {}
        }
    }

    pub fn get(&self, prop: Prop) -> Option<&Value<'p>> {
        self.whole[prop as usize].as_ref()
    }

    /// The text of a property; `None` if there is none, or what stands for none.
    pub fn known(&self, prop: Prop) -> Option<Cow<'p, [u8]>> {
        known_text(self.get(prop)?)
    }

    /// The id of its conversation.
    pub fn id(&self) -> Option<Cow<'p, [u8]>> {
        let usable = |prop| {
            let value = self.get(prop)?;
            usable_id(value).ok().flatten()
        };
        if self.twice {
            return None;
        }
        usable(Prop::ConversationId).or_else(|| usable(Prop::SessionId))
    }

    /// Checks that the parts of every value that was split are all there, and say the same.
    pub fn check_parts(&self, rules: &ReadRules) -> Result<(), MalformedReason> {
        for (numbered, whole) in self.numbered.iter().zip(&self.whole) {
            // Parts 2 to the last one: a run of bits from bit 2 on.
            let run = numbered >> 2;
            if *numbered != 0 && (whole.is_none() || run & (run + 1) != 0) {
                return Err(MalformedReason::ChunkMismatch);
            }
        }
        if self.parts.is_empty() {
            return Ok(());
        }
        let chunk = |&(prop, part, value): &(Prop, Part, Value<'p>)| match part {
            Part::Chunk(number) => Some((prop, number, value)),
            Part::Whole | Part::Numbered(_) => None,
        };
        let mut chunks: Vec<_> = self.parts.iter().filter_map(chunk).collect();
        chunks.sort_by_key(|(prop, number, _)| (*prop, *number));
        for family in chunks.chunk_by(|a, b| a.0 == b.0) {
            let key = self.get(family[0].0);
            check_family(family, key, rules.max_value)?;
        }
        Ok(())
    }
}

/// Unpacks a compressed family to see that it is whole and begins as the key says.
fn check_family(
    family: &[(Prop, u8, Value<'_>)],
    key: Option<&Value<'_>>,
    limit: u64,
) -> Result<(), MalformedReason> {
    let is_next = |(place, (_, number, _)): (u8, &(Prop, u8, Value<'_>))| place == *number;
    if !(1..).zip(family).all(is_next) {
        return Err(MalformedReason::ChunkMismatch);
    }
    let parts = family.iter().map(|(_, _, value)| key_text(value));
    let parts: Vec<_> = parts.collect();
    let whole =
        split::unpack(parts.iter().map(|part| &**part), limit).map_err(|error| match error {
            UnpackError::Damaged => MalformedReason::ChunkMismatch,
            UnpackError::TooLarge => MalformedReason::TooLarge,
        })?;
    let key = key.and_then(bag::text).unwrap_or_default();
    match split::begins_with(&whole, &key) {
        true => Ok(()),
        false => Err(MalformedReason::ChunkMismatch),
    }
}

/// The text of a short property; `None` if it is no text, or one that stands for none.
pub fn known_text<'p>(value: &Value<'p>) -> Option<Cow<'p, [u8]>> {
    value.string_body()?;
    let text = key_text(value);
    (!matches!(&*text, b"" | b"undefined")).then_some(text)
}

/// An id: `None` if it is absent in one of the ways that clients know. An error if it is no text or
/// has half a character.
pub fn usable_id<'p>(value: &Value<'p>) -> Result<Option<Cow<'p, [u8]>>, ()> {
    if value.kind == Kind::Null {
        return Ok(None);
    }
    let text = wtf8::text(value).ok_or(())?;
    if wtf8::has_lone_half(&text) {
        return Err(());
    }
    Ok((!matches!(&*text, b"" | b"undefined")).then_some(text))
}
