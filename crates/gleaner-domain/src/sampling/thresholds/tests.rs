use super::*;
use crate::selection::kusto_hash;
use crate::selection::stratum::fixtures::selection;

const SHORT: StratumId = StratumId(0);

fn up_to(candidates: u64, found: u64, share: f64) -> Option<Rank> {
    let sample = PopulationSample {
        share,
        strata: BTreeMap::from([(SHORT, found)]),
    };
    let range = sample.range(SHORT, candidates);
    assert_eq!(range.above, None);
    range.up_to
}

#[test]
fn a_threshold_has_the_share_that_the_formula_says() {
    // 16 candidates: (5 + 3)^2 = 64 are expected; 7 found stand for (4 - 3)^2 = 1.
    assert_eq!(share_for(16, 7, 1.0), 64.0);
    assert_eq!(share_for(16, 7, 1.0 / 128.0), 0.5);
    assert_eq!(up_to(16, 7, 1.0 / 128.0), Some(Rank(0)));
    assert_eq!(up_to(16, 7, 1.0 / 256.0), Some(Rank(-(1 << 62))));
    // Of a thousand million, 42,017 candidates and about six times their root.
    let share = share_for(42_017, 1_000_000_000 / 40, 1.0 / 40.0);
    assert!((43_250.0..43_350.0).contains(&(share * 1e9)), "{share}");
}

#[test]
fn who_wants_all_or_has_not_many_more_gets_all() {
    assert_eq!(up_to(16, 7, 1.0 / 64.0), None, "just all");
    assert_eq!(up_to(u64::MAX, 1_000_000_000, 0.025), None);
    assert_eq!(up_to(1, 0, 0.025), None, "nothing was found");
    let range = PopulationSample::default().range(SHORT, 5);
    assert_eq!(range, RankRange::default(), "the stratum was not found");
}

#[test]
fn rows_are_expected_as_thresholds_are_made() {
    // A chunk finds 7, which may be 1 of it; 64 are expected for 16 candidates.
    assert_eq!(expected_rows(16, 7 * 128, 128), 7 * 128 / 2);
    assert_eq!(expected_rows(16, 7 * 10, 10), 70, "all");
    assert_eq!(expected_rows(16, 0, 0), 0);
}

#[test]
fn the_ends_of_all_ranks_are_exact() {
    assert_eq!(last_rank(0.0), Some(Rank(i64::MIN)));
    assert_eq!(last_rank(1.0 / RANKS), Some(Rank(i64::MIN + 1)));
    assert_eq!(last_rank(0.5), Some(Rank(0)));
    let below_one = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(last_rank(below_one), Some(Rank(i64::MAX - 2047)));
    assert_eq!(last_rank(1.0), None);
    assert_eq!(share_up_to(Rank(i64::MIN)), 1.0 / RANKS);
    assert_eq!(share_up_to(Rank(-1)), 0.5);
    assert_eq!(share_up_to(Rank(i64::MAX)), 1.0);
}

#[test]
fn only_what_is_short_is_widened_and_doubles_at_least() {
    let medium = StratumId(1);
    let range = |up_to: Option<i64>| RankRange {
        above: None,
        up_to: up_to.map(Rank),
    };
    let quarter = range(Some(-(1 << 62) - 1));
    let ranks = RankRanges::from_iter([(SHORT, quarter), (medium, quarter)]);
    let shortage = |found, needed| BTreeMap::from([(SHORT, Shortage { found, needed })]);
    let widened = |found, needed| {
        let ranks = super::widened(&ranks, &shortage(found, needed));
        assert_eq!(ranks.of(medium), Some(quarter));
        ranks.of(SHORT).expect("named")
    };
    assert_eq!(widened(1_000_000, 1_000_001), range(Some(0)));
    // 64 of about 247 that are in a quarter: nearly all that it doubles to; of 7, which may be one, far too many.
    assert_eq!(widened(7, 16), range(None));
    assert_eq!(widened(0, 1), range(None));
    let open = RankRanges::from_iter([(SHORT, range(None))]);
    assert_eq!(super::widened(&open, &shortage(3, 9)), open);
}

/// A number from a standard normal distribution, from two hashes.
fn normal(trial: u64, what: &str) -> f64 {
    let uniform = |which: u64| {
        let text = format!("{trial}/{what}/{which}");
        (kusto_hash::hash(text.as_bytes()) as u64 as f64 + 1.0) / (RANKS + 1.0)
    };
    (-2.0 * uniform(0).ln()).sqrt() * (std::f64::consts::TAU * uniform(1)).cos()
}

/// How many of so many things happen that each have this chance: its distribution is about normal.
fn binomial(of: f64, chance: f64, normal: f64) -> f64 {
    (of * chance + normal * (of * chance * (1.0 - chance)).sqrt())
        .round()
        .clamp(0.0, of)
}

#[test]
fn of_20_000_draws_of_each_stratum_none_is_short_and_few_are_much_too_many() {
    for (population, candidates, at_most) in [
        (335_000.0 * 0.83 * 0.45, 42_016, 1.2),
        (335_000.0 * 0.08 * 0.2, 2_116, 2.3),
        (10_000_000.0 * 0.83 * 0.45, 42_016, 1.1),
        (10_000_000.0 * 0.08 * 0.2, 2_116, 1.4),
        (1e9 * 0.08 * 0.2, 2_116, 1.2),
        (1e9 * 0.08 * 0.2, 27, 3.5),
    ] {
        let chunks = 40.0;
        let mut sum = 0.0;
        for trial in 0..20_000 {
            let found = binomial(population, 1.0 / chunks, normal(trial, "found"));
            let share = share_for(candidates, found as u64, 1.0 / chunks).min(1.0);
            let delivered = binomial(population, share, normal(trial, "delivered"));
            assert!(
                delivered >= candidates as f64,
                "trial {trial}: {delivered} of {candidates}"
            );
            sum += delivered;
        }
        let excess = sum / 20_000.0 / candidates as f64;
        assert!(excess < at_most, "{population}: {excess}");
    }
}

#[test]
fn what_is_not_delivered_is_counted_where_it_belongs() {
    let selection = selection(1);
    let counted = |residue, turns, conversations| UndeliveredCount {
        residue,
        turns,
        conversations,
    };
    let mut undelivered = Undelivered::default();
    assert!(undelivered.is_empty());
    for one in [
        counted(0, 3, 1),
        counted(82, 5, 2),
        counted(83, 5, 4),
        counted(99, 20, 8),
        counted(0, 2, 16),
        counted(99, 21, 32),
    ] {
        undelivered.add(&selection, one);
    }
    let strata = [(StratumId(0), 3), (StratumId(3), 4), (StratumId(8), 8)];
    assert_eq!(undelivered.strata, BTreeMap::from(strata));
    assert_eq!((undelivered.no_target, undelivered.out_of_range), (0, 48));
    assert_eq!(undelivered.conversations(), 63);
    assert!(!undelivered.is_empty());
}
