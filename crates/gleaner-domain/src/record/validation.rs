//! The rules of a valid record, each with a severity and a stable code.
//!
//! The rules read the record's bytes as they will be written: what is validated is what leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::columns::FieldKinds;
use super::fields::{Field, Seen};
use super::quality::{self, QualityMarks};
use crate::json::{JsonError, Kind, MAX_DEPTH, Scanner, Value};
use crate::json::{number, text};
use crate::selection::group::Group;
use crate::selection::quality::QualityCode;
use crate::selection::stratum::Selection;

mod code;

pub use code::{CONTAMINATED, Code};

/// What the rules say about one record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// Fatal: (code, `what, at which turn`), each code once, in the order of [`Code`]. Never any
    /// text of the conversation.
    pub errors: Vec<(Code, String)>,
    /// Not fatal, each code once.
    pub warnings: BTreeSet<Code>,
    /// What is not certain about the record, each with the version of the extension that sent the
    /// rows: known only when it was put together from telemetry.
    pub quality: Vec<(QualityCode, String)>,
    /// Its length in tokens, if that is counted.
    pub tokens: Option<u64>,
    /// What was found in it of secrets and personal data, by rule, if that was looked for.
    pub privacy: BTreeMap<&'static str, u64>,
    /// The record's id, if it has one that is a string (decoded).
    pub conversation_id: Option<String>,
    /// The length of its `turnsArray`, if it is an array.
    pub turns: Option<u64>,
    /// The text of its `bucket`, if it is a string (decoded).
    pub bucket: Option<String>,
    /// The hash of its group's name, if it has one and [`Selection::split_by`] asks for it.
    pub group: Option<i64>,
    /// Its fields.
    #[doc(hidden)]
    pub fields: FieldKinds,
}

impl Verdict {
    /// The verdict on a record of which it is known that the rules find nothing in it.
    #[doc(hidden)]
    pub fn on_prevalidated(record: &[u8]) -> Self {
        Self {
            fields: FieldKinds::of_checked(record),
            ..Self::default()
        }
    }

    /// Takes the record for one that needs no `userName`, as with `privacy.users = "drop"`.
    pub fn allow_no_user_name(&mut self) {
        self.errors
            .retain(|(code, _)| *code != Code::MissingUserName);
    }

    /// Whether the record may be published.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Holds a record (the bytes of one JSON object) against all rules, as a member of `split`.
///
/// # Errors
/// If it is not a JSON object at all; every other fault is in the verdict.
pub fn validate(record: &[u8], split: &str, selection: &Selection) -> Result<Verdict, JsonError> {
    let split_by = selection.split_by();
    let group = split_by.map(|field| field.of_record(record)).transpose()?;
    validate_of_group(record, split, selection, group)
}

/// The same for a record of a known group: what names it may no longer stand in the record. Without a group, and with
/// [`Selection::split_by`], the split is not looked at.
///
/// # Errors
/// If it is not a JSON object at all; every other fault is in the verdict.
pub fn validate_of_group(
    record: &[u8],
    split: &str,
    selection: &Selection,
    group: Option<Group>,
) -> Result<Verdict, JsonError> {
    // An assembled record nests a row's values two levels deeper.
    let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
    let mut fields = RecordFields::default();
    let mut kinds = FieldKinds::default();
    scanner.each_member(|key, scanner| {
        let field = Field::named(key);
        kinds.note(key, field, scanner.kind()?);
        match field {
            Some(field) => fields.take(field, scanner),
            None => fields.take_other(key, scanner),
        }
    })?;
    scanner.end()?;
    let lone = scanner.saw_surrogates() && text::has_lone_surrogate(record);
    let mut verdict = fields.judge(lone, split, selection, group);
    verdict.fields = kinds;
    if !selection.fitness().is_empty() {
        let (faults, tokens) = selection.fitness().faults(record);
        verdict.errors.extend(faults);
        verdict.tokens = tokens;
    }
    Ok(verdict)
}

/// What the rules need of a record.
#[derive(Default)]
pub(super) struct RecordFields<'a> {
    /// `conversationId`
    pub id: Option<Value<'a>>,
    user_name: Option<Value<'a>>,
    bucket: Option<Value<'a>>,
    turn_count: Option<i64>,
    prompt_tokens: Option<Value<'a>>,
    completion_tokens: Option<Value<'a>>,
    /// Of the record itself.
    quality: QualityMarks,
    /// `turnsArray`, if it is an array.
    pub turns: Option<Turns>,
    /// Whether `turnsArray` is there and no array.
    pub no_array: bool,
}

impl<'a> RecordFields<'a> {
    /// Takes the value that is next, of a field of a conversation; passes those of others.
    pub fn take(&mut self, field: Field, scanner: &mut Scanner<'a>) -> Result<(), JsonError> {
        if field == Field::TurnsArray && scanner.kind()? == Kind::Array {
            self.turns = Some(Turns::read(scanner)?);
            return Ok(());
        }
        let value = scanner.value()?;
        match field {
            Field::ConversationId => self.id = Some(value),
            Field::UserName => self.user_name = Some(value),
            Field::Bucket => self.bucket = Some(value),
            Field::TurnCount => self.turn_count = number::integer(value.text),
            Field::PromptTokens => self.prompt_tokens = Some(value),
            Field::CompletionTokens => self.completion_tokens = Some(value),
            Field::TurnsArray => self.no_array = true,
            _ => {}
        }
        Ok(())
    }

    /// Takes the value that is next, of a field that rows do not have.
    pub fn take_other(
        &mut self,
        key: &Value<'a>,
        scanner: &mut Scanner<'a>,
    ) -> Result<(), JsonError> {
        let value = scanner.value()?;
        if key.text == quality::KEY {
            self.quality.take(&value, 0);
        }
        Ok(())
    }

    /// What is wrong with its group or its split.
    fn split_faults(
        &self,
        split: &str,
        selection: &Selection,
        group: Option<Group>,
    ) -> Vec<(Code, String)> {
        let mut faults = Vec::new();
        let (who, group) = match (selection.split_by(), group) {
            (None, _) => ("the id", Group::Absent),
            (Some(_), None) => return faults,
            (Some(field), Some(group)) => {
                let what = match group {
                    Group::Named(_) => None,
                    Group::Absent => Some("absent, null or blank"),
                    Group::NoText => Some("no text"),
                };
                faults.extend(
                    what.map(|what| (Code::MissingGroup, format!("{} is {what}", field.name()))),
                );
                // Without a group it is the id's.
                (group.hash().map_or("the id", |_| field.name()), group)
            }
        };
        if let Some(id) = string(&self.id) {
            let owner = &selection.split_of_group(id.as_bytes(), group.mark()).name;
            if owner != split {
                faults.push((Code::SplitMismatch, format!("{who} belongs to {owner}")));
            }
        }
        faults
    }

    /// The codes of quality that are rejected.
    fn rejected(&self, selection: &Selection) -> Vec<(QualityCode, String)> {
        let mut marks = self.quality;
        if let Some(turns) = &self.turns {
            marks.add(&turns.quality);
        }
        marks.rejected(selection.reject_quality()).collect()
    }

    /// Whether there is nothing to find: no error and no warning, in the split that the id hashes
    /// to. Half a character is not looked for: see [`Scanner::saw_surrogates`].
    pub fn is_prevalidated(&self, selection: &Selection) -> bool {
        let Some(turns) = &self.turns else {
            return false;
        };
        selection.has_common_rules_only()
            && turns.first_is_one
            && turns.out_of_sequence.is_none()
            && turns.empty_user_message.is_none()
            && !turns.empty_model_message
            && ![&self.id, &self.user_name, &self.bucket]
                .into_iter()
                .any(is_missing)
            && self.has_sane_tokens()
            && self.bucket_fault(turns.count, selection).is_none()
            && self.rejected(selection).is_empty()
    }

    fn has_sane_tokens(&self) -> bool {
        let real = |value: Option<Value<'_>>| value.and_then(|value| number::real(value.text));
        real(self.prompt_tokens).is_some_and(|n| n > 0.0)
            && real(self.completion_tokens).is_some_and(|n| n >= 0.0)
    }

    fn judge(
        self,
        lone_surrogate: bool,
        split: &str,
        selection: &Selection,
        group: Option<Group>,
    ) -> Verdict {
        let mut verdict = Verdict {
            conversation_id: string(&self.id),
            bucket: string(&self.bucket),
            turns: self.turns.as_ref().map(|turns| turns.count),
            group: group.and_then(Group::hash),
            ..Verdict::default()
        };
        let mut fault = |code, what: String| verdict.errors.push((code, what));
        for (code, value) in [
            (Code::MissingConversationId, &self.id),
            (Code::MissingUserName, &self.user_name),
            (Code::MissingBucket, &self.bucket),
        ] {
            if is_missing(value) {
                fault(code, "absent, null or blank".to_owned());
            }
        }
        if self.turns.is_none() {
            fault(Code::MissingTurnsArray, "absent or not an array".to_owned());
        }
        for (code, what) in self.split_faults(split, selection, group) {
            fault(code, what);
        }
        if let Some(turns) = &self.turns {
            self.judge_turns(turns, selection, &mut fault);
        }
        if lone_surrogate {
            fault(
                Code::LoneSurrogate,
                "an escape for half a character".to_owned(),
            );
        }
        for (code, what) in self.rejected(selection) {
            fault(Code::Quality(code), what);
        }
        if !self.has_sane_tokens() {
            verdict.warnings.insert(Code::TokenCounts);
        }
        if self.turns.is_some_and(|turns| turns.empty_model_message) {
            verdict.warnings.insert(Code::EmptyModelMessage);
        }
        verdict
    }

    fn judge_turns(
        &self,
        turns: &Turns,
        selection: &Selection,
        fault: &mut impl FnMut(Code, String),
    ) {
        if !turns.first_is_one {
            fault(Code::FirstTurn, "turnIndex is not 1, at turn 1".to_owned());
        }
        if let Some(place) = turns.out_of_sequence {
            fault(
                Code::TurnSequence,
                format!("turnIndex is not {place}, at turn {place}"),
            );
        }
        if let Some(what) = self.bucket_fault(turns.count, selection) {
            fault(Code::BucketMismatch, what);
        }
        if let Some(place) = turns.empty_user_message {
            fault(
                Code::EmptyUserMessage,
                format!("userMessage is blank or no text, at turn {place}"),
            );
        }
    }

    /// What does not fit the number of turns: the declared bucket, or the turn count.
    fn bucket_fault(&self, turns: u64, selection: &Selection) -> Option<String> {
        let fits = |declared: &str| {
            selection
                .bucket_of(turns)
                .is_some_and(|bucket| bucket.name == declared || bucket.file == declared)
        };
        let declared = string(&self.bucket);
        if !is_missing(&self.bucket) && !declared.as_deref().is_some_and(fits) {
            return Some(format!("the declared bucket does not hold {turns} turns"));
        }
        match self.turn_count {
            Some(count) if u64::try_from(count) == Ok(turns) => None,
            Some(count) => Some(format!("turnCount is {count}, there are {turns} turns")),
            None => Some(format!("turnCount is no integer, there are {turns} turns")),
        }
    }
}

/// What the rules need of all turns together. Places count from 1.
#[derive(Debug)]
pub struct Turns {
    /// How many there are.
    pub count: u64,
    /// Whether one of them is no object.
    pub no_object: bool,
    /// Whether one of them has a known field twice.
    pub duplicate: bool,
    quality: QualityMarks,
    first_is_one: bool,
    out_of_sequence: Option<u64>,
    empty_user_message: Option<u64>,
    empty_model_message: bool,
}

impl Turns {
    /// Reads the array that is next.
    ///
    /// # Errors
    /// If it is no JSON.
    pub fn read(scanner: &mut Scanner<'_>) -> Result<Self, JsonError> {
        let mut turns = Self {
            count: 0,
            no_object: false,
            duplicate: false,
            quality: QualityMarks::default(),
            first_is_one: false,
            out_of_sequence: None,
            empty_user_message: None,
            empty_model_message: false,
        };
        scanner.open_array()?;
        while scanner.next_element(turns.count == 0)? {
            turns.count += 1;
            let place = turns.count;
            let (mut index, mut user_blank, mut model_blank) = (None, true, true);
            if scanner.kind()? == Kind::Object {
                let mut seen = Seen::default();
                scanner.each_member(|key, scanner| {
                    let value = scanner.value()?;
                    let field = Field::named(key).filter(|field| field.is_of_turn());
                    turns.duplicate |= field.is_some_and(|field| !seen.note(field));
                    match field {
                        None if key.text == quality::KEY => turns.quality.take(&value, place),
                        Some(Field::TurnIndex) => index = number::integer(value.text),
                        Some(Field::UserMessage) => user_blank = is_blank_or_no_text(&value),
                        Some(Field::ModelMessage) => model_blank = is_blank_or_no_text(&value),
                        _ => {}
                    }
                    Ok(())
                })?;
            } else {
                turns.no_object = true;
                scanner.value()?;
            }
            let in_place = index.is_some_and(|index| u64::try_from(index) == Ok(place));
            turns.first_is_one |= place == 1 && in_place;
            if !in_place {
                turns.out_of_sequence.get_or_insert(place);
            }
            if user_blank {
                turns.empty_user_message.get_or_insert(place);
            }
            turns.empty_model_message |= model_blank;
        }
        Ok(turns)
    }
}

fn is_blank_or_no_text(value: &Value<'_>) -> bool {
    value.string_body().is_none_or(text::is_blank)
}

/// Absent, null or a blank string; values of other kinds are there.
fn is_missing(value: &Option<Value<'_>>) -> bool {
    match value {
        None => true,
        Some(value) => value.kind == Kind::Null || value.string_body().is_some_and(text::is_blank),
    }
}

fn string(value: &Option<Value<'_>>) -> Option<String> {
    let mut decoded = Vec::new();
    text::decode(value.as_ref()?.string_body()?, &mut decoded);
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests;
