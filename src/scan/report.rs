//! What is said about secrets and personal data.

use serde::Serialize;

use super::Found;
use crate::domain::privacy::RULES_VERSION;
use crate::domain::privacy::rule::Class;

/// What was found, without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScanReport {
    /// What was looked at.
    pub location: String,
    /// The version of gleaner's rules.
    pub rules_version: u32,
    /// SHA-256 of the file of a user's own rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_sha256: Option<String>,
    /// Records, or rows of files, that were looked at.
    pub records: u64,
    /// Those of them in which anything was found.
    pub with_findings: u64,
    /// Secrets that were found.
    pub secrets: u64,
    /// Personal data that were found.
    pub personal: u64,
    /// Rows that are no JSON, and were looked at as text.
    pub not_json: u64,
    /// Rows that are too large, and were not looked at.
    pub not_read: u64,
    /// What each rule found.
    pub rules: Vec<RuleReport>,
    /// Where, in the order of the input: the first hundred, or all.
    pub findings: Vec<FindingReport>,
    /// Findings that are not listed.
    pub findings_left_out: u64,
}

/// What a rule found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleReport {
    /// The rule.
    pub rule: &'static str,
    /// `secret` or `personal`.
    pub class: &'static str,
    /// Records in which it found something.
    pub records: u64,
    /// Times that it did.
    pub times: u64,
    /// Where in the structure of records.
    pub places: Vec<PlaceReport>,
}

/// How often something was found at a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlaceReport {
    /// The place: `turnsArray[].trajectory[].arguments|env`; `|` goes into JSON that is written in a string.
    pub place: String,
    /// How often.
    pub times: u64,
}

/// What a rule found at a place of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FindingReport {
    /// The file.
    pub file: String,
    /// The line, from 1 on, or the number of the row.
    pub line: u64,
    /// The record's `conversationId`, if it has one.
    pub conversation_id: Option<String>,
    /// The rule.
    pub rule: &'static str,
    /// The place.
    pub place: String,
    /// How often.
    pub times: u64,
}

impl ScanReport {
    /// Whether nothing was found, and everything was looked at.
    pub fn is_clean(&self) -> bool {
        self.with_findings == 0 && self.not_read == 0
    }
}

pub(super) fn of(location: String, own_sha256: &str, found: Found) -> ScanReport {
    let tally = found.tally;
    let place = |(place, times): (&String, &u64)| PlaceReport {
        place: place.clone(),
        times: *times,
    };
    let rules = tally.rules.iter().map(|(rule, of)| RuleReport {
        rule,
        class: of.class.name(),
        records: of.records,
        times: of.times,
        places: of.places.iter().map(place).collect(),
    });
    ScanReport {
        location,
        rules_version: RULES_VERSION,
        rules_sha256: (!own_sha256.is_empty()).then(|| own_sha256.to_owned()),
        records: tally.records,
        with_findings: tally.with_findings,
        secrets: tally.times(Class::Secret),
        personal: tally.times(Class::Personal),
        not_json: found.not_json,
        not_read: found.not_read,
        rules: rules.collect(),
        findings: found.listed,
        findings_left_out: found.unlisted,
    }
}
