//! The binary gives of telemetry what the reference evaluator reads in it, to the byte and to the count.

use std::collections::BTreeMap;

use gleaner::domain::copilot_chat::sender::Era;

use crate::support::reference::Asked;
use crate::support::reference::telemetry::evaluate;
use crate::support::{Sandbox, assert_equals_reference, corpus, shared, telemetry_truth};

fn holds(files: &corpus::Files, unknown_is_agent: bool) -> BTreeMap<&'static str, u64> {
    holds_as(files, unknown_is_agent, &Asked::new("s", 2000))
}

fn holds_as(
    files: &corpus::Files,
    unknown_is_agent: bool,
    asked: &Asked,
) -> BTreeMap<&'static str, u64> {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let mut more = vec!["--set", "source.allow_sampled=true"];
    if unknown_is_agent {
        more.extend(["--set", "source.mode_unknown=agent"]);
    }
    let run = sandbox.export(asked, &more);
    let expected = evaluate(files, asked, unknown_is_agent);
    let short = |(stratum, filled): (&_, &crate::support::reference::Stratum)| {
        filled.records.len() < asked.targets[stratum]
    };
    run.expect(if expected.strata.iter().any(short) {
        3
    } else {
        0
    });
    assert_equals_reference(&sandbox.dataset(), &expected);
    expected.rows
}

#[test]
fn split_by_the_user_of_the_first_turn_that_names_one() {
    let mut asked = Asked::new("s", 2000);
    asked.split_by = Some("userName".to_owned());
    for seed in 40..42 {
        let rows = corpus::telemetry(seed, None, 20);
        let counts = holds_as(&corpus::shuffled(&rows, 3, seed), false, &asked);
        assert!(counts["conversations"] > 0, "{counts:?}");
    }
}

#[test]
fn over_synthetic_rows_with_all_faults() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for (seed, era) in (1..).zip([
        None,
        Some(Era::V030),
        Some(Era::V031),
        Some(Era::V035),
        Some(Era::V052),
    ]) {
        let rows = corpus::telemetry(seed, era, 14);
        let counts = holds(&corpus::shuffled(&rows, 3, seed), false);
        counts
            .into_iter()
            .for_each(|(what, count)| *seen.entry(what).or_default() += count);
    }
    for what in [
        "malformed",
        "damaged",
        "cut_by_mode",
        "incomplete",
        "duplicate_rows",
        "superseded_turns",
    ] {
        assert!(
            seen.get(what).is_some_and(|count| *count > 0),
            "no {what} in {seen:?}"
        );
    }
}

#[test]
fn over_rows_of_agent_hosts() {
    let rows = corpus::telemetry(9, Some(Era::AgentHost), 14);
    holds(&corpus::shuffled(&rows, 2, 9), true);
}

/// One in so many conversations of the real rows: the reference holds all rows in memory.
const ONE_IN: i64 = 8;

/// `GLEANER_SHARED` names the folder that holds `data/appevents`.
#[test]
fn over_rows_of_the_extensions_own_code() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents")) else {
        return;
    };
    let files = telemetry_truth::rows_of_one_in(ONE_IN, &folder);
    let file = |(number, rows): (u8, Vec<Vec<u8>>)| (format!("{number}.jsonl"), rows.join(&b'\n'));
    let files: corpus::Files = (0..).zip(files).map(file).collect();
    let counts = holds(&files, false);
    assert!(counts["conversations"] > 100, "{counts:?}");
}
