//! Sampling: of each stratum the valid records with the smallest ranks.

use std::collections::BTreeMap;

use super::grouping::Records;
use super::records::judge;
use super::{Asked, Outcome, Stratum, bucket_of, hash, split_of};

/// A conversation of a stratum: its rank, its id, its number of turns, its record.
type Ranked = (i64, String, usize, String);

/// Fills the strata, and counts what belongs to none.
pub fn sample(records: Records, asked: &Asked, out: &mut Outcome) {
    let mut strata: BTreeMap<(&str, &str), Vec<Ranked>> = BTreeMap::new();
    for (id, (turns, record)) in records {
        out.count("conversations", 1);
        let Some((bucket, _)) = bucket_of(turns) else {
            out.count("out_of_range", 1);
            continue;
        };
        let stratum = (split_of(&id), bucket);
        if asked.targets.get(&stratum).copied().unwrap_or(0) == 0 {
            out.count("no_target", 1);
            continue;
        }
        let rank = hash(format!("{}/{id}", asked.seed).as_bytes());
        let candidates = strata.entry(stratum).or_default();
        candidates.push((rank, id, turns, record));
    }
    for (&stratum, &target) in asked.targets.iter().filter(|(_, target)| **target > 0) {
        let mut candidates = strata.remove(&stratum).unwrap_or_default();
        candidates.sort();
        let mut done = Stratum {
            population: candidates.len(),
            ..Stratum::default()
        };
        for (_, id, _, record) in candidates {
            if done.records.len() == target {
                break;
            }
            let (errors, warnings) = judge(&record, stratum.0, asked);
            if errors.is_empty() {
                done.records.push(record.into_bytes());
                for code in warnings {
                    *out.warnings.entry(code).or_default() += 1;
                }
            } else {
                done.invalid.push((id, errors));
            }
        }
        out.strata.insert(stratum, done);
    }
}
