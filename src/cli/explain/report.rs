//! The answer, for a program and for a person. No text of a conversation.

use serde_json::{Value, json};

use super::in_dataset::Sought;
use crate::cli::terminal::one_line;
use crate::cli::words::count;
use crate::domain::dataset::manifest::{Manifest, StratumRecord};
use crate::domain::grouping::dedup::Fault;
use crate::domain::selection::rank::Rank;
use crate::domain::selection::stratum::Selection;
use crate::pipeline::ingest::trace::{Outcome, Trace};

/// What is known of a conversation.
pub struct Explanation<'a> {
    pub id: &'a str,
    pub manifest: &'a Manifest,
    pub selection: &'a Selection,
    pub sought: Sought,
    pub traced: Option<Trace>,
}

/// Why a conversation is in a dataset or not, by a stable name, and in a sentence.
struct Verdict {
    name: &'static str,
    sentence: String,
}

impl Explanation<'_> {
    /// The name of its split, or what stands for one that is not known.
    fn split(&self) -> &str {
        let split = self.sought.split.as_deref();
        split.unwrap_or("every split")
    }

    /// Whether a stratum has all it wanted before this rank came.
    fn is_behind(&self, stratum: &StratumRecord, last: Option<Rank>) -> bool {
        stratum.shortfall == 0
            && stratum.target.is_some()
            && last.is_none_or(|last| last < self.sought.rank)
    }

    fn verdict(&self) -> Verdict {
        let (sought, strata) = (&self.sought, &self.manifest.strata);
        let verdict = |name, sentence: String| Verdict { name, sentence };
        if let Some((place, line)) = sought.found {
            let stratum = &strata[place];
            let file = stratum.file.as_deref().unwrap_or_default();
            let sentence = format!("it is in {}, line {line}", one_line(file));
            return verdict("in_dataset", sentence);
        }
        if let Some((bucket, errors)) = &sought.invalid {
            let errors = errors.iter().map(|error| one_line(error));
            let errors = errors.collect::<Vec<_>>().join("; ");
            let split = self.split();
            let sentence = format!("it was refused in {split}/{bucket}: {errors}");
            return verdict("invalid", sentence);
        }
        if let Some((bucket, repeats)) = &sought.near_duplicate {
            let (split, repeats) = (self.split(), one_line(repeats));
            let sentence =
                format!("it was left out of {split}/{bucket}, because it repeats {repeats}");
            return verdict("near_duplicate", sentence);
        }
        match &self.traced {
            Some(traced) => self.of_source(traced),
            None if sought.last.is_empty() => {
                let sentence = format!("its split, {}, has no targets", self.split());
                verdict("no_target", sentence)
            }
            None => {
                let all_behind = sought
                    .last
                    .iter()
                    .all(|&(place, last)| self.is_behind(&strata[place], last));
                match all_behind {
                    true => verdict(
                        "behind",
                        format!("its rank is behind the last one taken in every bucket of {}, or the source does not have it", self.split()),
                    ),
                    false => verdict(
                        "unknown",
                        "it would have been taken in some buckets: it is in another one, or it was left out before; --input or --config reads the source again and says why".to_owned(),
                    ),
                }
            }
        }
    }

    /// What the source says of a conversation that the dataset does not name.
    fn of_source(&self, traced: &Trace) -> Verdict {
        let verdict = |name, sentence: String| Verdict { name, sentence };
        match traced.outcome {
            Outcome::Absent => verdict("absent", "the source has no row of it".to_owned()),
            Outcome::Filtered => verdict(
                "filtered",
                format!("all of its rows are left out: {}", filtered(traced)),
            ),
            Outcome::Excluded => verdict(
                "excluded",
                "selection.exclude names it, or a user of it".to_owned(),
            ),
            Outcome::Faulty(fault) => {
                let (name, what) = fault_words(fault);
                let places = traced.malformed.iter().map(|(reason, line, file)| {
                    let file = file
                        .as_deref()
                        .map_or("line ".to_owned(), |file| format!("{}:", one_line(file)));
                    format!("{reason} at {file}{line}")
                });
                let places: Vec<String> = places.collect();
                let places = if places.is_empty() {
                    String::new()
                } else {
                    format!(": {}", places.join(", "))
                };
                verdict(name, format!("{what}{places}"))
            }
            Outcome::Whole(turns, _) => self.of_whole(turns),
        }
    }

    fn of_whole(&self, turns: u64) -> Verdict {
        let verdict = |name, sentence: String| Verdict { name, sentence };
        let turns_text = count(turns, "turn");
        let split = self.split();
        let Some(bucket) = self.selection.bucket_of(turns) else {
            return verdict(
                "out_of_range",
                format!("it has {turns_text}, and no bucket is for that"),
            );
        };
        let name = format!("{split}/{}", bucket.name);
        let mut strata = self.sought.last.iter();
        let stratum = strata.find(|(place, _)| self.manifest.strata[*place].bucket == bucket.name);
        match stratum {
            None => verdict(
                "no_target",
                format!("it has {turns_text} and belongs to {name}, which has no target"),
            ),
            Some(&(place, last)) if self.is_behind(&self.manifest.strata[place], last) => verdict(
                "not_sampled",
                format!(
                    "it has {turns_text} and belongs to {name}, where its rank is behind the last one taken"
                ),
            ),
            Some(_) => verdict(
                "differs",
                format!(
                    "it has {turns_text} and belongs to {name}, where its rank would have been taken: the source or its settings are not those of the export"
                ),
            ),
        }
    }

    /// For a program.
    pub fn json(&self) -> Value {
        let (sought, strata) = (&self.sought, &self.manifest.strata);
        let verdict = self.verdict();
        let found = sought.found.map(|(place, line)| {
            let stratum = &strata[place];
            json!({"split": stratum.split, "bucket": stratum.bucket, "file": stratum.file, "line": line})
        });
        let invalid = sought.invalid.as_ref();
        let invalid = invalid.map(|(bucket, errors)| json!({"bucket": bucket, "errors": errors}));
        let near_duplicate = sought.near_duplicate.as_ref();
        let near_duplicate =
            near_duplicate.map(|(bucket, repeats)| json!({"bucket": bucket, "repeats": repeats}));
        let of_split = sought.last.iter().map(|&(place, last)| {
            let stratum = &strata[place];
            json!({
                "split": stratum.split, "bucket": stratum.bucket, "target": stratum.target,
                "records": stratum.records, "shortfall": stratum.shortfall,
                "last_rank": last.map(|Rank(rank)| rank), "is_behind": self.is_behind(stratum, last),
            })
        });
        json!({
            "conversation_id": self.id,
            "dataset": self.manifest.dataset,
            "verdict": verdict.name,
            "because": verdict.sentence,
            "split": sought.split,
            "rank": sought.rank.0,
            "found": found,
            "invalid": invalid,
            "near_duplicate": near_duplicate,
            "strata": of_split.collect::<Vec<_>>(),
            "source": self.traced.as_ref().map(|traced| self.source_json(traced)),
        })
    }

    fn source_json(&self, traced: &Trace) -> Value {
        let malformed = traced.malformed.iter();
        let malformed = malformed
            .map(|(reason, line, file)| json!({"reason": reason, "line": line, "file": file}));
        let turns = match traced.outcome {
            Outcome::Whole(turns, _) => Some(turns),
            _ => None,
        };
        let bucket = turns.and_then(|turns| self.selection.bucket_of(turns));
        json!({
            "rows": traced.rows,
            "filtered_by": traced.filtered,
            "malformed": malformed.collect::<Vec<_>>(),
            "outcome": outcome_name(traced.outcome),
            "turns": turns,
            "bucket": bucket.map(|bucket| &bucket.name),
        })
    }

    /// For a person.
    pub fn text(&self) -> String {
        let sought = &self.sought;
        let mut out = format!("{}: {}\n", one_line(self.id), self.verdict().sentence);
        out += &match (&sought.split, self.selection.split_by()) {
            (None, Some(field)) => format!(
                "split not known: its {field} decides, which only the source has (--input or --config reads it), rank {}\n",
                sought.rank.0
            ),
            _ => format!("split {}, rank {}\n", self.split(), sought.rank.0),
        };
        for &(place, last) in &sought.last {
            let stratum = &self.manifest.strata[place];
            let last = match last {
                Some(Rank(last)) => format!("the last one has rank {last}"),
                None => "none".to_owned(),
            };
            let behind = if self.is_behind(stratum, sought.last_of(place)) {
                ", before this one's"
            } else {
                ""
            };
            let records = count(stratum.records, "record");
            out += &format!(
                "{}/{}: {records}, {last}{behind}\n",
                stratum.split, stratum.bucket
            );
        }
        if let Some(traced) = &self.traced {
            out += &format!("source: {}", count(traced.rows, "row"));
            if !traced.filtered.is_empty() {
                out += &format!(", left out: {}", filtered(traced));
            }
            out.push('\n');
        }
        out.trim_end().to_owned()
    }
}

impl Sought {
    /// The rank of the last record of a stratum.
    fn last_of(&self, place: usize) -> Option<Rank> {
        let mut last = self.last.iter();
        last.find(|(one, _)| *one == place)
            .and_then(|(_, last)| *last)
    }
}

fn filtered(traced: &Trace) -> String {
    let reasons = traced.filtered.iter();
    let reasons =
        reasons.map(|(reason, rows)| format!("{rows} ({})", crate::telemetry::serde_name(reason)));
    reasons.collect::<Vec<_>>().join(", ")
}

fn fault_words(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Damaged => (
            "damaged",
            "it is damaged, by a malformed row, by turns that contradict each other or because it is too large",
        ),
        Fault::CutByMode => (
            "cut_by_mode",
            "some of its turns are of another mode than \"agent\"",
        ),
        Fault::CutByWindow => ("cut_by_window", "some of its turns are outside the window"),
        Fault::Incomplete => (
            "incomplete",
            "it does not begin at turn 1, or turns are missing",
        ),
    }
}

fn outcome_name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Absent => "absent",
        Outcome::Filtered => "filtered",
        Outcome::Excluded => "excluded",
        Outcome::Faulty(fault) => fault_words(fault).0,
        Outcome::Whole(..) => "whole",
    }
}
