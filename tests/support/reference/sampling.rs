//! Sampling: of each stratum the valid records with the smallest ranks, without near-duplicates where they are not
//! wanted.

use std::collections::BTreeMap;

use super::grouping::Records;
use super::groups::split_of_record;
use super::near_duplicates::{Text, templates};
use super::records::judge_as_read;
use super::trust::{is_contaminated, written};
use super::{Asked, Outcome, Stratum, bucket_of, hash};

/// A conversation of a stratum.
struct Candidate {
    rank: i64,
    id: String,
    stratum: (&'static str, &'static str),
    record: String,
}

impl Candidate {
    fn is_valid(&self, asked: &Asked) -> bool {
        let written = written(self.record.clone(), asked);
        let (errors, _) = judge_as_read(&written, &self.record, self.stratum.0, asked);
        errors.is_empty() && !is_contaminated(&self.record, asked)
    }
}

/// Fills the strata, and counts what belongs to none.
pub fn sample(records: Records, asked: &Asked, out: &mut Outcome) {
    let mut candidates = Vec::new();
    for (&stratum, _) in asked.targets.iter().filter(|(_, target)| **target > 0) {
        out.strata.insert(stratum, Stratum::default());
    }
    for (id, (turns, record)) in records {
        out.count("conversations", 1);
        let Some((bucket, _)) = bucket_of(turns) else {
            out.count("out_of_range", 1);
            continue;
        };
        let stratum = (split_of_record(&id, &record, asked), bucket);
        let Some(place) = out.strata.get_mut(&stratum) else {
            out.count("no_target", 1);
            continue;
        };
        place.population += 1;
        candidates.push(Candidate {
            rank: hash(format!("{}/{id}", asked.seed).as_bytes()),
            id,
            stratum,
            record,
        });
    }
    candidates.sort_by(|a, b| (a.rank, &a.id).cmp(&(b.rank, &b.id)));
    fill(candidates, asked, out);
}

/// Goes through the candidates of all strata by rank.
fn fill(candidates: Vec<Candidate>, asked: &Asked, out: &mut Outcome) {
    let templates = match asked.near_duplicates {
        None => Default::default(),
        Some(_) => {
            let valid = candidates.iter().filter(|one| one.is_valid(asked));
            templates(valid.map(|one| one.record.as_str()))
        }
    };
    let mut taken: Vec<(&str, String, Text)> = Vec::new();
    let mut warned = BTreeMap::<&str, u64>::new();
    for Candidate {
        id,
        stratum,
        record,
        ..
    } in candidates
    {
        let done = out.strata.get_mut(&stratum).expect("with a target");
        if done.records.len() == asked.targets[&stratum] {
            continue;
        }
        let leaves = written(record.clone(), asked);
        let (mut errors, warnings) = judge_as_read(&leaves, &record, stratum.0, asked);
        // As they were, not as they leave.
        errors.extend(is_contaminated(&record, asked).then_some("contaminated"));
        if !errors.is_empty() {
            done.invalid.push((id, errors));
            continue;
        }
        if let Some(wanted) = asked.near_duplicates {
            let text = Text::of(&record, &templates);
            let repeated = taken.iter().find(|(split, _, other)| {
                let is_compared = !wanted.across_splits || *split != stratum.0;
                is_compared && text.repeats(other, wanted.percent)
            });
            if let Some((_, of, _)) = repeated {
                done.near_duplicates.push((id, of.clone()));
                continue;
            }
            taken.push((stratum.0, id, text));
        }
        done.records.push(leaves.into_bytes());
        for code in warnings {
            *warned.entry(code).or_default() += 1;
        }
    }
    for (code, count) in warned {
        *out.warnings.entry(code).or_default() += count;
    }
}
