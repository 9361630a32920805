//! A conversation is exported whole or not at all: a malformed row, another mode and the window's end
//! never shorten one, and a reply that was still in progress never replaces a finished one.

use std::fs;
use std::path::Path;

use crate::support::reference::{Asked, evaluate, ticks};
use crate::support::{Dataset, Sandbox, assert_equals_reference, corpus, shared};

const START: &str = "2025-01-01T00:00:00Z";
const END: &str = "2025-01-02T00:00:00Z";
const WINDOW: [&str; 4] = ["--window-start", START, "--window-end", END];

/// A turn of a conversation.
fn turn(id: &str, index: u32, at: &str, reply: &str) -> String {
    format!(
        r#"{{"Timestamp":"{at}","conversationId":"{id}","userName":"ann","mode":"agent","turnIndex":{index},"userMessage":"ask {index}","modelMessage":"{reply}","promptTokens":1,"completionTokens":1}}"#
    )
}

/// Forty conversations of six turns; `change` may change or remove rows.
fn six_turns(change: impl Fn(&str, u32, String) -> Option<String>) -> Vec<String> {
    let ids = (0..40).map(|number| format!("k{number}"));
    let row =
        |id: &str, index: u32| change(id, index, turn(id, index, "2025-01-01T12:00:00Z", "m"));
    ids.flat_map(|id| {
        (1..=6)
            .filter_map(move |index| row(&id, index))
            .collect::<Vec<_>>()
    })
    .collect()
}

/// Exports all of it, holds it against the reference, and gives the dataset.
#[track_caller]
fn exported(files: &corpus::Files, asked: &Asked, more: &[&str]) -> (Sandbox, Dataset) {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    sandbox.export(asked, more).expect(3);
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &evaluate(files, asked));
    (sandbox, dataset)
}

fn file(rows: &[String]) -> corpus::Files {
    vec![("a.jsonl".to_owned(), (rows.join("\n") + "\n").into_bytes())]
}

fn all() -> Asked {
    Asked::new("s", 1000)
}

fn in_window(keep_cut: bool) -> Asked {
    let at = |text| ticks(text).expect("an instant");
    Asked {
        window: (at(START), at(END)),
        keep_cut,
        ..all()
    }
}

/// Whether an id stands in any record.
fn has(dataset: &Dataset, id: &str) -> bool {
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    let files = strata.iter().filter_map(|s| s["file"].as_str());
    let id = format!(r#""conversationId":"{id}""#);
    files
        .flat_map(|file| dataset.records(file))
        .any(|record| record.contains(&id))
}

fn conversations(dataset: &Dataset) -> u64 {
    let strata = dataset.metadata["strata"].as_array().expect("a list");
    strata
        .iter()
        .map(|s| s["records"].as_u64().expect("a count"))
        .sum()
}

#[test]
fn a_conversation_whose_last_row_is_malformed_is_damaged_and_not_shorter() {
    let bad: [fn(String) -> String; 4] = [
        |row| row.replace("2025-01-01T12:00:00Z", "n/a"),
        |row| row.replace(r#""turnIndex":6"#, r#""turnIndex":"6""#),
        // Cut in the middle of the line.
        |row| row[..120].to_owned(),
        // Of another mode too, and there may be an intact one.
        |row| {
            format!(
                "{}\n{row}",
                row.replace("agent", "edit").replace("2025", "x")
            )
        },
    ];
    for change in bad {
        let rows = six_turns(|id, index, row| match (id, index) {
            ("k7", 6) => Some(change(row)),
            _ => Some(row),
        });
        let (_sandbox, dataset) = exported(&file(&rows), &all(), &[]);
        assert_eq!(dataset.count("damaged"), 1);
        assert_eq!(
            (dataset.count("malformed"), conversations(&dataset)),
            (1, 39)
        );
        assert!(!has(&dataset, "k7") && has(&dataset, "k8"));
    }
}

#[test]
fn a_conversation_row_that_is_cut_damages_its_intact_twin() {
    let row = |id: &str| {
        let turns =
            (1..=4).map(|n| format!(r#"{{"turnIndex":{n},"userMessage":"u","modelMessage":"m"}}"#));
        let turns = turns.collect::<Vec<_>>().join(",");
        format!(r#"{{"conversationId":"{id}","userName":"n","turnsArray":[{turns}]}}"#)
    };
    let rows = [
        row("a"),
        row("b"),
        row("b")[..90].to_owned(),
        row("unknown")[..90].to_owned(),
    ];
    let (_sandbox, dataset) = exported(&file(&rows), &all(), &[]);
    assert!(has(&dataset, "a") && !has(&dataset, "b"));
    assert_eq!(
        (dataset.count("damaged"), dataset.count("conversations")),
        (1, 2)
    );
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn damage_is_known_wherever_the_rows_lie_and_after_a_resume() {
    let rows = six_turns(|id, index, row| match (id, index) {
        ("k7", 6) => Some(row[..120].to_owned()),
        _ => Some(row),
    });
    let rows: Vec<Vec<u8>> = rows.into_iter().map(String::into_bytes).collect();
    let files = corpus::shuffled(&rows, 4, 1);
    let digest = |more: &[&str]| exported(&files, &all(), more).1.digest();
    let plain = digest(&[]);
    assert_eq!(digest(&["--chunks", "7"]), plain);
    // Compressed rows are kept in sealed chunks; the first is sealed when the process is killed.
    let sandbox = Sandbox::new();
    sandbox.write_compressed_input(&files);
    sandbox.export_killed(&all(), "spool.seal.after:4");
    let run = sandbox.export(&all(), &[]);
    run.expect(3);
    assert!(run.json()["chunks_replayed"].as_u64().expect("a count") > 0);
    let dataset = sandbox.dataset();
    assert_eq!((dataset.digest(), dataset.count("damaged")), (plain, 1));
}

#[test]
fn a_conversation_that_is_too_large_is_damaged() {
    let long = "x".repeat(300_000);
    let rows = six_turns(|id, _, row| match id {
        "k7" => Some(row.replace(r#""m""#, &format!("\"{long}\""))),
        _ => Some(row),
    });
    let mut asked = all();
    asked.max_record = 1_000_000;
    let (_sandbox, dataset) = exported(&file(&rows), &asked, &["--set", "limits.max_record=1MB"]);
    assert_eq!(
        (dataset.count("damaged"), dataset.count("malformed")),
        (1, 6)
    );
    // A row that is too large damages what it belongs to.
    asked.max_record = 200_000;
    let (_sandbox, dataset) = exported(&file(&rows), &asked, &["--set", "limits.max_record=200KB"]);
    assert_eq!(
        (dataset.count("damaged"), dataset.count("malformed")),
        (1, 6)
    );
}

/// Three turns before the window's end, three behind it; one conversation is whole.
fn across_the_end() -> Vec<String> {
    six_turns(|id, index, row| match (id, index) {
        ("k0", _) | (_, 1..=3) => Some(row),
        _ => Some(row.replace("2025-01-01T12", "2025-01-02T12")),
    })
}

#[test]
fn a_conversation_that_goes_on_behind_the_window_is_cut() {
    let files = file(&across_the_end());
    let (_sandbox, dataset) = exported(&files, &in_window(false), &WINDOW);
    assert_eq!(dataset.count("cut_by_window"), 39);
    assert_eq!(
        (conversations(&dataset), dataset.count("kept_rows")),
        (1, 240)
    );
    let keep = [&WINDOW[..], &["--set", "selection.cut=keep"]].concat();
    let (_sandbox, dataset) = exported(&files, &in_window(true), &keep);
    assert_eq!(
        (conversations(&dataset), dataset.count("cut_by_window")),
        (40, 0)
    );
    assert_eq!(dataset.metadata["population"]["filtered_by"]["window"], 117);
    // What is further behind than the slack does not exist.
    let mut asked = in_window(false);
    asked.slack = ticks("1970-01-01T12:00:00Z").expect("an instant");
    let little = [&WINDOW[..], &["--set", "window.slack=12h"]].concat();
    let (_sandbox, dataset) = exported(&files, &asked, &little);
    assert_eq!(
        (conversations(&dataset), dataset.count("cut_by_window")),
        (40, 0)
    );
}

#[test]
fn a_conversation_that_changes_its_mode_is_cut() {
    let rows = six_turns(|id, index, row| match (id, index) {
        ("k1", 6) | ("k2", 1) | ("k3", _) => Some(row.replace(r#""agent""#, r#""Agent""#)),
        ("k4", 6) => Some(format!(
            "{row}\n{}",
            row.replace("agent", "edit").replace("12:00", "13:00")
        )),
        _ => Some(row),
    });
    let (_sandbox, dataset) = exported(&file(&rows), &all(), &[]);
    assert_eq!(
        (dataset.count("cut_by_mode"), conversations(&dataset)),
        (3, 36)
    );
    assert_eq!(dataset.metadata["population"]["filtered_by"]["mode"], 6);
    let keep = ["--set", "selection.cut=keep"];
    let asked = Asked {
        keep_cut: true,
        ..all()
    };
    let (_sandbox, dataset) = exported(&file(&rows), &asked, &keep);
    assert!(has(&dataset, "k1") && has(&dataset, "k4") && !has(&dataset, "k2"));
}

#[test]
fn of_equal_deliveries_the_finished_one_wins() {
    let rows = six_turns(|_, index, row| match index {
        3 => Some(format!("{}\n{row}", row.replace(r#""m""#, r#"" ""#))),
        _ => Some(row),
    });
    let (_sandbox, dataset) = exported(&file(&rows), &all(), &[]);
    assert_eq!(dataset.metadata["warnings"]["empty_model_message"], 0);
    assert_eq!(dataset.count("duplicate_turns"), 40);
}

#[test]
fn the_last_while_gives_what_its_instants_give() {
    let sandbox = Sandbox::new();
    let before = |minutes: i64| {
        let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
        at.to_string()
    };
    // An hour ago the window ends: rows of the hour since do not exist.
    let rows = six_turns(|id, index, row| {
        let late = id.len() as i64 == 2 && index > 4;
        let at = before(if late { 20 } else { 200 - i64::from(index) });
        Some(row.replace("2025-01-01T12:00:00Z", &at))
    });
    sandbox.write_input(&file(&rows));
    sandbox.export(&all(), &["--window-last", "1d"]).expect(3);
    let last = sandbox.dataset();
    assert_eq!((conversations(&last), last.count("filtered")), (40, 20));
    let window = &last.metadata["window"];
    let instant = |side: &str| window[side].as_str().expect("an instant").to_owned();
    let (start, end) = (instant("start"), instant("end"));
    let fixed = [
        "--window-start",
        &start,
        "--window-end",
        &end,
        "--name",
        "e",
        "--fresh",
    ];
    sandbox.export(&all(), &fixed).expect(3);
    let fixed = Dataset::read(&sandbox.path("out/e"));
    assert_eq!(fixed.digest(), last.digest());
    assert_eq!(fixed.metadata["population"], last.metadata["population"]);
}

/// Exports one of the shared cases.
fn case(shared: &Path, name: &str, more: &[&str]) -> (Sandbox, Dataset) {
    let sandbox = Sandbox::new();
    let rows = fs::read_to_string(shared.join("cases").join(name)).expect("a case");
    // One that is whole in any case.
    let whole = (1..=6).map(|index| turn("whole", index, "2025-01-01T12:00:00Z", "m"));
    let whole: Vec<String> = whole.collect();
    sandbox.write("in/a.jsonl", rows + &whole.join("\n"));
    sandbox.export(&all(), more).expect(3);
    let dataset = sandbox.dataset();
    (sandbox, dataset)
}

#[test]
fn the_shared_cases_come_out_whole() {
    let Some(shared) = shared() else { return };
    let (_sandbox, dataset) = case(&shared, "last-row-malformed.jsonl", &[]);
    assert_eq!(
        (dataset.count("damaged"), conversations(&dataset)),
        (1, 300)
    );
    assert!(!has(&dataset, "k7"));
    let (_sandbox, dataset) = case(&shared, "same-turn-in-progress-and-done.jsonl", &[]);
    assert_eq!(dataset.metadata["warnings"]["empty_model_message"], 0);
    let (_sandbox, dataset) = case(&shared, "cut-by-window.jsonl", &WINDOW);
    assert_eq!(
        (dataset.count("cut_by_window"), conversations(&dataset)),
        (100, 1)
    );
    let keep = [&WINDOW[..], &["--set", "selection.cut=keep"]].concat();
    let (_sandbox, dataset) = case(&shared, "cut-by-window.jsonl", &keep);
    assert_eq!(conversations(&dataset), 101);
}
