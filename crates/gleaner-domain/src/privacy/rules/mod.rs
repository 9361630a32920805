//! The rules, from the ground up: what vendors document, then formats without a vendor, then names.
//!
//! A rule is written from the documented format: prefix, alphabet, length, checksum. Its `source` says where that stands.

mod cloud;
mod code;
mod common;
mod microsoft;
mod models;
mod services;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::checks::entropy;
use super::personal::NUMBERS;
use super::rule::{Check, Rule};

/// The version of the rules, in metadata and fingerprints: one more with every change of what is found.
pub const RULES_VERSION: u32 = 2;

/// All rules. Where two find the same, the first has it.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let all = [
        microsoft::RULES,
        code::RULES,
        cloud::RULES,
        models::RULES,
        services::RULES,
        common::RULES,
    ];
    all.into_iter().flatten()
}

/// The codes of records that are refused, `secret:<rule>`, by the rule.
static CODES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let code = |rule: &'static Rule| -> (_, &'static str) {
        (rule.id, format!("secret:{}", rule.id).leak())
    };
    all().chain(NUMBERS).map(code).collect()
});

/// The code of a record that is refused because of a rule.
pub fn code_of(rule: &Rule) -> &'static str {
    match rule.check {
        Check::Own(check) => check.code,
        _ => CODES.get(rule.id).copied().unwrap_or(rule.id),
    }
}

/// Whether a code is that of a rule.
pub fn is_code(code: &str) -> bool {
    CODES.values().any(|known| *known == code)
}

/// Whether a token that is known by a short prefix is drawn at random, and no word: capital and small letters, or
/// letters and digits, and so much entropy.
fn looks_random(token: &[u8], least: f64) -> bool {
    let has = |kind: fn(&u8) -> bool| token.iter().any(kind);
    let is_mixed =
        (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)) || has(u8::is_ascii_digit);
    is_mixed && entropy(token) >= least
}
