//! What is said about a dataset.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Check, Found};
use crate::domain::conversion::check::{Checked, Kind, StratumTally};
use crate::domain::conversion::id_of;
use crate::domain::conversion::tokens::Distribution;
use crate::domain::dataset::manifest::Manifest;

/// What a loader would do to a dataset.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckReport {
    /// Where it lies.
    pub location: String,
    /// Its name.
    pub dataset: String,
    /// Its `content_sha256`.
    pub content_sha256: String,
    /// The preset.
    pub preset: &'static str,
    /// The SHA-256 of the tokenizer.
    pub tokenizer_sha256: Option<String>,
    /// The template.
    pub template: Option<String>,
    /// The most tokens of a record that are trained on.
    pub max_length: Option<u64>,
    /// Records looked at.
    pub records: u64,
    /// Records that would not be trained on.
    pub dropped: u64,
    /// Others of which a part would not be.
    pub truncated: u64,
    /// What was found in all strata together.
    pub rules: Vec<FindingReport>,
    /// Why the template refuses records.
    pub template_fails: Vec<TemplateFailsReport>,
    /// How long records are in tokens.
    pub tokens: Option<TokensReport>,
    /// Each stratum with records.
    pub strata: Vec<StratumReport>,
    /// Columns of the dataset that hold objects or lists beside something else.
    pub mixed_columns: Vec<ColumnReport>,
    /// Whether there are more columns than were looked at.
    pub columns_cut: bool,
    /// Each record, if that was asked for: by split and rank.
    #[serde(rename = "each", skip_serializing_if = "Option::is_none")]
    pub each_record: Option<Vec<RecordReport>>,
}

/// A stratum.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StratumReport {
    /// Its split.
    pub split: String,
    /// Its bucket.
    pub bucket: String,
    /// Records looked at.
    pub records: u64,
    /// Records by the worst that happens to them, each once.
    pub worst: BTreeMap<&'static str, u64>,
    /// What was found.
    pub rules: Vec<FindingReport>,
    /// How long records are in tokens.
    pub tokens: Option<TokensReport>,
}

/// How often something was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FindingReport {
    /// The rule.
    pub rule: &'static str,
    /// What happens: dropped, truncated, changed, double-encoded, noted.
    pub kind: &'static str,
    /// Records that have it.
    pub records: u64,
    /// Times that they have it.
    pub times: u64,
}

/// Why the template refuses records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TemplateFailsReport {
    /// The kind of error, and where in the template; never text of a conversation.
    pub reason: String,
    /// Records.
    pub records: u64,
}

/// Lengths in tokens of the records that are not dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokensReport {
    /// How they are distributed.
    #[serde(flatten)]
    pub lengths: Distribution,
    /// Tokens behind the longest length.
    pub lost: u64,
    /// Those of them that the model wrote.
    pub model_lost: u64,
    /// Records that are too long and whose tokens of the model cannot be told apart.
    pub unmarked: u64,
}

/// A column with values of several kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ColumnReport {
    /// Its path.
    pub column: String,
    /// The kinds.
    pub kinds: Vec<&'static str>,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordReport {
    /// Its `conversationId`.
    pub conversation_id: String,
    /// Its split.
    pub split: String,
    /// Its bucket.
    pub bucket: String,
    /// The worst that happens to it.
    pub worst: Option<&'static str>,
    /// What was found, and how often.
    pub rules: BTreeMap<&'static str, u64>,
    /// Its length in tokens.
    pub tokens: Option<u64>,
    /// Tokens behind the longest length.
    pub tokens_lost: Option<u64>,
}

impl RecordReport {
    pub(super) fn of(record: &[u8], split: &str, bucket: &str, checked: &Checked) -> Self {
        let findings = checked.findings.iter();
        Self {
            conversation_id: id_of(record),
            split: split.to_owned(),
            bucket: bucket.to_owned(),
            worst: checked.worst().map(Kind::name),
            rules: findings
                .map(|(finding, times)| (finding.code(), *times))
                .collect(),
            tokens: checked.length.map(|length| length.tokens),
            tokens_lost: checked.length.map(|length| length.lost),
        }
    }
}

impl CheckReport {
    /// Whether anything would be lost.
    pub fn is_loss(&self) -> bool {
        self.dropped + self.truncated > 0
    }
}

pub(super) fn of(
    location: String,
    manifest: &Manifest,
    check: &Check,
    mut found: Found,
) -> CheckReport {
    let mut all = StratumTally::default();
    let mut strata = Vec::new();
    for (place, stratum) in manifest.strata.iter().enumerate() {
        let Some(tally) = found.strata.remove(&place) else {
            continue;
        };
        all.merge(tally.clone());
        strata.push(StratumReport {
            split: stratum.split.clone(),
            bucket: stratum.bucket.clone(),
            records: tally.records,
            worst: (tally.worst.iter())
                .map(|(kind, records)| (kind.name(), *records))
                .collect(),
            rules: findings(&tally),
            tokens: tokens(tally),
        });
    }
    let mixed = found.columns.mixed().into_iter();
    CheckReport {
        location,
        dataset: manifest.dataset.clone(),
        content_sha256: manifest.content_sha256.clone(),
        preset: check.preset.name(),
        tokenizer_sha256: (check.tokenizer.as_ref()).map(|one| one.sha256().to_owned()),
        template: check.template.as_ref().map(|(name, _)| name.clone()),
        max_length: check.max_length,
        records: all.records,
        dropped: all.worst(Kind::Dropped),
        truncated: all.worst(Kind::Truncated),
        rules: findings(&all),
        template_fails: (all.template_fails.iter())
            .map(|(why, records)| TemplateFailsReport {
                reason: why.to_string(),
                records: *records,
            })
            .collect(),
        tokens: tokens(all),
        strata,
        mixed_columns: mixed
            .map(|column| ColumnReport {
                column: column.path,
                kinds: column.kinds,
            })
            .collect(),
        columns_cut: found.columns.is_cut,
        each_record: check.each_record.then_some(found.records),
    }
}

/// The worst first.
fn findings(tally: &StratumTally) -> Vec<FindingReport> {
    let mut findings: Vec<_> = tally.findings.iter().collect();
    findings.sort_by_key(|(finding, _)| (finding.kind(), **finding));
    let report = findings.into_iter().map(|(finding, count)| FindingReport {
        rule: finding.code(),
        kind: finding.kind().name(),
        records: count.records,
        times: count.times,
    });
    report.collect()
}

fn tokens(tally: StratumTally) -> Option<TokensReport> {
    Some(TokensReport {
        lengths: tally.lengths.distribution()?,
        lost: tally.tokens_lost,
        model_lost: tally.model_tokens_lost,
        unmarked: tally.unmarked,
    })
}
