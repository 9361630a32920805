use proptest::prelude::*;

use super::*;
use crate::near_duplicates::ShingleSet;
use crate::near_duplicates::templates::Templates;
use crate::selection::rank::Rank;
use crate::words::Words;

/// A conversation: its rank, its stratum, and which text it has; none is valid without.
type Conversation = (i64, usize, Option<u8>);

/// Texts 0 to 7: nearly the same as the next one if even, of no other otherwise.
fn text(kind: u8) -> String {
    let words = (0..40).map(|word| format!("w{}-{word}", kind / 2));
    let mut words: Vec<String> = words.collect();
    words[39] = format!("{kind}");
    words.join(" ")
}

fn candidate(rank: i64) -> Candidate {
    Candidate {
        rank: Rank(rank),
        id: rank.to_be_bytes().into(),
        turns: 3,
        rows: Box::new([]),
        telemetry: None,
        prevalidated: false,
    }
}

fn words(kind: u8) -> Words {
    let mut words = Words::new();
    words.push(&text(kind));
    words
}

/// Two strata a split.
fn split(stratum: usize) -> usize {
    stratum / 2
}

fn decided(
    conversations: &[Conversation],
    targets: &[u64],
    scope: Scope,
    round: usize,
    ahead: usize,
) -> Vec<DecidedStratum> {
    let threshold = Threshold::new(0.8).expect("a share");
    let strata = targets.iter().enumerate();
    let strata = strata.map(|(number, &target)| (StratumId(number as u16), split(number), target));
    let mut decisions = Decisions::new(scope, threshold, strata);
    let mut left: Vec<VecDeque<i64>> = vec![VecDeque::new(); targets.len()];
    let mut sorted = conversations.to_vec();
    sorted.sort_unstable();
    sorted
        .iter()
        .for_each(|(rank, stratum, _)| left[*stratum].push_back(*rank));
    let kind = |rank| sorted[sorted.partition_point(|one| one.0 < rank)].2;
    let mut wanting = decisions.unfinished();
    while !wanting.is_empty() {
        for stratum in wanting {
            let left = &mut left[usize::from(stratum.0)];
            let given: Vec<i64> = left.drain(..round.min(left.len())).collect();
            let is_last = left.is_empty();
            decisions.add(stratum, given.into_iter().map(candidate).collect(), is_last);
        }
        let mut handed_out = VecDeque::new();
        loop {
            while handed_out.len() < ahead {
                let Some(next) = decisions.hand_out() else {
                    break;
                };
                handed_out.push_back(next);
            }
            let Some((number, candidate)) = handed_out.pop_front() else {
                break;
            };
            if decisions.is_full(number) {
                continue;
            }
            let Some(own) = kind(candidate.rank.0) else {
                decisions.refuse(number, candidate);
                continue;
            };
            let sketch = Sketch::of(&words(own), &Templates::default());
            let similar = decisions.similar(number, &sketch);
            let repeats = |other: &&u32| {
                let other = kind(decisions.record(**other).rank.0).expect("valid");
                let set = |kind| ShingleSet::of(&words(kind), &Templates::default());
                threshold.is_met(set(own).overlap(&set(other)))
            };
            match similar.maybe.iter().find(repeats).copied().or(similar.same) {
                Some(of) => decisions.leave_out(number, candidate, of),
                None => decisions.take(number, candidate, sketch),
            }
        }
        wanting = decisions
            .wanting()
            .into_iter()
            .map(|(stratum, _)| stratum)
            .collect();
    }
    decisions.finish()
}

/// The definition, one after the other: what is written, and what repeats which.
/// Of a stratum: the ids that were taken, and those left out with what they repeat.
type Shown = (Vec<i64>, Vec<(i64, i64)>);

fn plain(conversations: &[Conversation], targets: &[u64], scope: Scope) -> Vec<Shown> {
    let mut sorted = conversations.to_vec();
    sorted.sort_unstable();
    let mut out = vec![(Vec::new(), Vec::new()); targets.len()];
    let mut room = targets.to_vec();
    let mut taken: Vec<(i64, usize, u8)> = Vec::new();
    for (rank, stratum, kind) in sorted {
        if room[stratum] == 0 {
            continue;
        }
        let Some(kind) = kind else {
            out[stratum].0.push(rank);
            continue;
        };
        let other = taken.iter().find(|(_, other, of)| {
            of / 2 == kind / 2 && scope.compares(split(stratum), split(*other))
        });
        match other {
            Some((of, ..)) => out[stratum].1.push((rank, *of)),
            None => {
                room[stratum] -= 1;
                taken.push((rank, stratum, kind));
                out[stratum].0.push(rank);
            }
        }
    }
    out
}

fn shown(decided: Vec<DecidedStratum>) -> Vec<Shown> {
    let rank = |id: &[u8]| i64::from_be_bytes(id.try_into().expect("eight bytes"));
    let shown = decided.into_iter().map(|stratum| {
        let near = stratum.near_duplicates.iter();
        (
            stratum.candidates.iter().map(|one| one.rank.0).collect(),
            near.map(|one| (rank(&one.id), rank(&one.of))).collect(),
        )
    });
    shown.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn neither_rounds_nor_how_far_is_looked_ahead_change_what_is_taken(
        conversations in prop::collection::btree_map(-50i64..50, (0usize..4, prop::option::weighted(0.9, 0u8..8)), 0..60),
        targets in prop::collection::vec(1u64..6, 4),
        across in any::<bool>(),
        round in 1usize..9,
        ahead in 1usize..5,
    ) {
        let conversations: Vec<Conversation> = (conversations.into_iter())
            .map(|(rank, (stratum, kind))| (rank, stratum, kind))
            .collect();
        let scope = if across { Scope::AcrossSplits } else { Scope::All };
        let found = decided(&conversations, &targets, scope, round, ahead);
        prop_assert_eq!(shown(found), plain(&conversations, &targets, scope));
    }
}

#[test]
fn what_is_ahead_comes_in_order_up_to_where_a_stratum_might_have_more() {
    let strata = [(StratumId(0), 0, 1), (StratumId(1), 0, 1)];
    let mut decisions = Decisions::new(Scope::All, Threshold::new(0.8).expect("a share"), strata);
    let ahead = |decisions: &Decisions| -> Vec<i64> {
        decisions
            .ahead()
            .map(|(_, candidate)| candidate.rank.0)
            .collect()
    };
    assert!(ahead(&decisions).is_empty());
    decisions.add(StratumId(0), [1, 4, 6].map(candidate).into(), false);
    decisions.add(StratumId(1), [2, 3, 9].map(candidate).into(), true);
    assert_eq!(ahead(&decisions), [1, 2, 3, 4, 6]);
    assert_eq!(decisions.unfinished(), [StratumId(0)]);
    decisions.add(StratumId(0), [10].map(candidate).into(), true);
    assert_eq!(
        ahead(&decisions),
        [1, 2, 3, 4, 6, 9, 10],
        "also those for which there is no room"
    );
    assert!(decisions.unfinished().is_empty());
}

#[test]
fn clusters_are_counted_by_their_size() {
    let strata = [(StratumId(0), 0, 9)];
    let mut decisions = Decisions::new(Scope::All, Threshold::new(0.8).expect("a share"), strata);
    decisions.add(StratumId(0), (0..6).map(candidate).collect(), true);
    for of in [None, None, Some(0), Some(0), Some(1), None] {
        let (number, candidate) = decisions.hand_out().expect("another");
        match of {
            Some(of) => decisions.leave_out(number, candidate, of),
            None => {
                let sketch = Sketch::of(&words(candidate.rank.0 as u8), &Templates::default());
                decisions.take(number, candidate, sketch);
            }
        }
    }
    assert_eq!(decisions.clusters(), BTreeMap::from([(1, 1), (2, 1)]));
    assert_eq!((decisions.taken(), decisions.wanting().len()), (3, 0));
}
