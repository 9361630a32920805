//! Ids and names that a loader refuses, and what stands for them.
//!
//! Sources: mistral-common 1.13.1 (`MistralRequestValidator`: ids of nine letters and digits up to version 11,
//! names of at most 64 letters, digits, `_` and `-`); the chat completions API has the same rule for names.

use std::collections::BTreeMap;

use crate::conversion::chat::Chat;
use crate::conversion::rule::{Findings, Rule};
use crate::conversion::text::Text;
use crate::conversion::trajectory::made_id;

/// Longest name of a tool.
const NAME_LENGTH: usize = 64;

/// What stands for what is refused, by what it was.
#[derive(Default)]
pub(super) struct Renames<'c>(BTreeMap<&'c [u8], Text<'static>>);

impl<'c> Renames<'c> {
    /// Ids of nine letters and digits for the calls that have others.
    pub fn of_ids(chat: &'c Chat<'_>, findings: &mut Findings) -> Self {
        let ids = || chat.calls().map(|call| call.id.body());
        let is_fit = |id: &[u8]| id.len() == 9 && id.iter().all(u8::is_ascii_alphanumeric);
        Self::of(ids, is_fit, Rule::CallIdRewritten, findings, |old, nth| {
            let old = String::from_utf8_lossy(old);
            made_id(&format!("{nth}/{old}"))
        })
    }

    /// Names of letters, digits, `_` and `-` for the tools that have others.
    pub fn of_names(chat: &'c Chat<'_>, findings: &mut Findings) -> Self {
        let called = || chat.calls().map(|call| call.tool.body());
        let defined = || chat.tools.iter().flatten().map(|tool| tool.name.body());
        let names = || called().chain(defined());
        let is_fit =
            |name: &[u8]| name.len() <= NAME_LENGTH && name.iter().all(|&byte| is_plain(byte));
        Self::of(
            names,
            is_fit,
            Rule::ToolNameRewritten,
            findings,
            |old, nth| {
                let plain = |byte: &u8| {
                    if is_plain(*byte) {
                        char::from(*byte)
                    } else {
                        '_'
                    }
                };
                let mut name: String = old.iter().map(plain).take(NAME_LENGTH).collect();
                if nth > 0 {
                    let id = made_id(&format!("{nth}/{}", String::from_utf8_lossy(old)));
                    name.truncate(NAME_LENGTH - 10);
                    name.push('_');
                    name.push_str(&String::from_utf8_lossy(id.body()));
                }
                Text::plain(name)
            },
        )
    }

    /// No two alike, and none like one that stays.
    fn of<I: Iterator<Item = &'c [u8]>>(
        all: impl Fn() -> I,
        is_fit: impl Fn(&[u8]) -> bool,
        rule: Rule,
        findings: &mut Findings,
        attempt: impl Fn(&[u8], u64) -> Text<'static>,
    ) -> Self {
        let mut taken: Vec<Vec<u8>> = all()
            .filter(|old| is_fit(old))
            .map(<[u8]>::to_vec)
            .collect();
        let mut renames = BTreeMap::new();
        for old in all().filter(|old| !is_fit(old)) {
            findings.add(rule);
            renames.entry(old).or_insert_with(|| {
                let is_free = |new: &Text<'_>| !taken.iter().any(|other| other == new.body());
                let mut attempts = (0..).map(|nth| attempt(old, nth));
                let new = attempts.find(is_free).expect("there are 62^9");
                taken.push(new.body().to_vec());
                new
            });
        }
        Self(renames)
    }

    /// Whether nothing is refused.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is written for a text.
    pub fn get<'t>(&'t self, old: &'t Text<'_>) -> &'t [u8] {
        self.0.get(old.body()).map_or(old.body(), Text::body)
    }

    /// Appends an object of the new texts and the old ones.
    pub fn write(&self, out: &mut Vec<u8>) {
        for (place, (old, new)) in self.0.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            new.write(out);
            out.extend_from_slice(b":\"");
            out.extend_from_slice(old);
            out.push(b'"');
        }
        out.push(b'}');
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}
