//! Copilot Chat telemetry in every layout gives the same records, whatever the order of its rows and
//! however often they were delivered.

use rand::seq::SliceRandom;
use serde_json::{Value, json};

use crate::support::copilot_rows::{answer, az, classic, conversations, lines, request, with_text};
use crate::support::packed::{gzip, zst};
use crate::support::reference::Asked;
use crate::support::{Dataset, Sandbox, corpus, shared, telemetry_truth};

/// Exports all that is valid.
fn export(files: &[(String, Vec<u8>)], more: &[&str]) -> Dataset {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let more = [&["--targets", "all"], more].concat();
    sandbox.export(&Asked::new("s", 0), &more).expect(0);
    sandbox.dataset()
}

fn one(name: &str, bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    vec![(name.to_owned(), bytes)]
}

const CONVERSATIONS: u64 = 30;

#[test]
fn rows_in_every_layout_give_the_same_records() {
    let rows = conversations(CONVERSATIONS);
    let plain = export(&one("a.jsonl", lines(&rows, "\n")), &[]);
    let records: u64 = plain.metadata["strata"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|stratum| stratum["records"].as_u64().expect("a count"))
        .sum();
    assert_eq!(records, CONVERSATIONS, "{}", plain.metadata);
    let count = |name| plain.count(name);
    assert_eq!(count("rows_read"), rows.len() as u64);
    assert_eq!(count("filtered"), 4 * CONVERSATIONS);
    assert_eq!(
        plain.metadata["population"]["filtered_by"]["other_events"],
        4 * CONVERSATIONS
    );
    assert_eq!(count("superseded_turns"), CONVERSATIONS);
    assert_eq!(count("shared_rows"), 3);
    assert_eq!(count("duplicate_rows"), 4 * CONVERSATIONS - 3);
    assert_eq!(count("kept_rows"), 20 * CONVERSATIONS);
    let seen = &plain.metadata["copilot_chat"];
    assert_eq!(
        seen["rows_by_event"]["conversation.messageText/user"],
        4 * CONVERSATIONS
    );
    assert_eq!(seen["sampled_rows"], 0);
    assert_eq!(seen["quality"]["records"]["tools_unknown"], CONVERSATIONS);

    let text: Vec<Value> = rows.iter().map(with_text).collect();
    let classic: Vec<Value> = rows.iter().map(classic).collect();
    let pretty = |value: &Value| serde_json::to_vec_pretty(value).expect("JSON");
    let compact = |value: &Value| value.to_string().into_bytes();
    let half = rows.len() / 2;
    let blob = |minute: u8, rows: &[Value]| {
        let folder = "am-appevents/WorkspaceResourceId=/subscriptions/0/y=2026/m=03/d=01/h=00";
        (
            format!("{folder}/m={minute:02}/PT05M.json"),
            lines(rows, "\r\n"),
        )
    };
    for (name, files) in [
        ("gz", one("a.jsonl.gz", gzip(&lines(&rows, "\n")))),
        ("zst", one("a.json.zst", zst(&lines(&rows, "\r\n")))),
        (
            "blobs",
            vec![blob(0, &rows[half..]), blob(5, &rows[..half])],
        ),
        ("text", one("a.jsonl", lines(&text, "\n"))),
        ("classic", one("a.jsonl", lines(&classic, "\n"))),
        ("answer", one("a.json", compact(&answer(&rows)))),
        ("answer.gz", one("a.json.gz", gzip(&pretty(&answer(&rows))))),
        ("az", one("a.json", pretty(&az(&rows)))),
        ("az.zst", one("a.json.zst", zst(&compact(&az(&rows))))),
    ] {
        let other = export(&files, &[]);
        assert_eq!(other.digest(), plain.digest(), "{name}");
        for key in ["kept_rows", "duplicate_rows", "shared_rows", "filtered"] {
            assert_eq!(other.count(key), plain.count(key), "{name} {key}");
        }
    }
}

#[test]
fn neither_order_nor_deliveries_nor_files_change_the_records() {
    let rows = conversations(CONVERSATIONS);
    let plain = export(&one("a.jsonl", lines(&rows, "\n")), &[]);
    for (seed, count) in [(1, 1), (2, 64)] {
        let mut twice = [&rows[..], &rows[..]].concat();
        twice.shuffle(&mut corpus::rng(seed));
        let share = twice.len().div_ceil(count);
        let files: Vec<_> = (0..)
            .zip(twice.chunks(share))
            .map(|(number, rows)| (format!("{number}.jsonl"), lines(rows, "\n")))
            .collect();
        let other = export(&files, &["--fetchers", "3", "--chunks", "7"]);
        assert_eq!(other.digest(), plain.digest(), "{count} files");
        assert_eq!(other.count("kept_rows"), plain.count("kept_rows"));
        let again = rows.len() as u64 - plain.count("filtered");
        let duplicates = plain.count("duplicate_rows") + again;
        assert_eq!(other.count("duplicate_rows"), duplicates);
    }
}

/// Conversations that are not exported, each for its reason, and rows that are not read.
#[test]
fn what_is_left_out_is_counted_by_its_reason() {
    let mut rows = conversations(1);
    // No turn 1; another mode; two positions for one request; a malformed row.
    rows.extend(request("incomplete", 2, 1, 500));
    let mut other_mode = request("ask", 1, 1, 600);
    other_mode
        .iter_mut()
        .for_each(|row| row["Properties"]["mode"] = json!("ask"));
    rows.extend(other_mode);
    let mut conflict = request("conflict", 1, 1, 700);
    conflict[5]["Properties"]["turnIndex"] = json!("2");
    rows.extend(conflict);
    rows.extend(request("damaged", 1, 1, 800));
    let mut damaged = request("damaged", 1, 1, 801);
    damaged[4]["Properties"]["turnIndex"] = json!("first");
    rows.push(damaged.swap_remove(4));
    rows.extend(request("unknown", 1, 1, 900));
    let dataset = export(&one("a.jsonl", lines(&rows, "\n")), &[]);
    let counts = [
        "conversations",
        "incomplete",
        "damaged",
        "malformed",
        "out_of_range",
    ];
    assert_eq!(counts.map(|name| dataset.count(name)), [4, 1, 2, 1, 0]);
    let filtered = &dataset.metadata["population"]["filtered_by"];
    assert_eq!(filtered["mode"], 5, "{filtered}");
    assert_eq!(filtered["ignored_ids"], 5, "{filtered}");
}

#[test]
fn turns_of_unknown_mode_are_an_agents_only_if_that_is_said() {
    let mut rows = conversations(20);
    for row in &mut rows {
        let properties = row["Properties"].as_object_mut().expect("an object");
        properties.remove("mode");
    }
    let files = one("a.jsonl", lines(&rows, "\n"));
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let run = sandbox.export(&Asked::new("s", 1), &[]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    let dataset = export(&files, &["--set", "source.mode_unknown=agent"]);
    assert_eq!(dataset.count("conversations"), 20);
}

#[test]
fn sampled_rows_and_other_schemas_are_refused() {
    let mut rows = conversations(20);
    rows[3]["ItemCount"] = json!(4);
    let files = one("a.jsonl", lines(&rows, "\n"));
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let run = sandbox.export(&Asked::new("s", 1), &[]);
    let error = run.says(2, &["in/a.jsonl:4"]);
    assert!(error.contains("source.allow_sampled"), "{error}");
    let dataset = export(&files, &["--set", "source.allow_sampled=true"]);
    assert_eq!(dataset.metadata["copilot_chat"]["sampled_rows"], 1);

    let sandbox = Sandbox::new();
    sandbox.write_input(&one("a.jsonl", lines(&conversations(3), "\n")));
    let run = sandbox.export(&Asked::new("s", 1), &["--schema", "turns"]);
    run.says(
        2,
        &["source.schema is \"turns\", but in/a.jsonl:1 is Copilot Chat telemetry"],
    );
    let turn =
        r#"{"conversationId":"c","turnIndex":1,"Timestamp":"2026-03-01T00:00:00Z","mode":"agent"}"#;
    sandbox.write("in/b.jsonl", turn);
    let run = sandbox.export(&Asked::new("s", 1), &["--fresh"]);
    run.says(2, &["mixes 2 schemas: in/b.jsonl:1 is a turn (it has turnIndex), in/a.jsonl:1 is Copilot Chat telemetry"]);
}

#[test]
fn records_with_codes_that_are_rejected_are_invalid() {
    let files = one("a.jsonl", lines(&conversations(20), "\n"));
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let reject = "selection.reject_quality=[\"tools_unknown\"]";
    let run = sandbox.export(&Asked::new("s", 1), &["--set", reject]);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert!(
        run.stderr.contains("quality:tools_unknown"),
        "{}",
        run.stderr
    );
    let wrong = "selection.reject_quality=[\"tools\"]";
    let run = sandbox.export(&Asked::new("s", 1), &["--set", wrong]);
    run.says(2, &["it must be one of model_text_cut"]);
}

/// `GLEANER_SHARED` names the folder that holds `data/appevents`.
#[test]
fn real_rows_in_any_order_and_any_files_give_one_digest() {
    let Some(folder) = shared().map(|folder| folder.join("data/appevents")) else {
        return;
    };
    let rows = telemetry_truth::rows_of_one_in(20, &folder).concat();
    let files = |rows: &[Vec<u8>], count: usize, ending: &str, pack: fn(&[u8]) -> Vec<u8>| {
        let parts = rows.chunks(rows.len().div_ceil(count));
        let file = |(number, rows): (usize, &[Vec<u8>])| {
            (
                format!("{number:02}.jsonl{ending}"),
                pack(&rows.join(&b'\n')),
            )
        };
        parts.enumerate().map(file).collect::<Vec<_>>()
    };
    let plain = export(&files(&rows, 2, "", <[u8]>::to_vec), &[]);
    assert!(plain.count("conversations") > 30, "{}", plain.metadata);
    let mut twice = [&rows[..], &rows[..]].concat();
    twice.shuffle(&mut corpus::rng(18));
    for (what, files) in [
        ("one gz", files(&twice, 1, ".gz", gzip)),
        ("64 zst", files(&twice, 64, ".zst", zst)),
    ] {
        let other = export(&files, &["--fetchers", "3"]);
        assert_eq!(other.digest(), plain.digest(), "{what}");
        for key in [
            "kept_rows",
            "shared_rows",
            "superseded_turns",
            "conversations",
        ] {
            assert_eq!(other.count(key), plain.count(key), "{what}: {key}");
        }
    }
}

/// The shapes of real data, each with the same conversations.
#[test]
fn real_rows_in_every_shape_give_the_same_records() {
    let Some(shared) = shared() else { return };
    let shapes = shared.join("data/appevents/shapes");
    let digest = |name: &str, bytes: Vec<u8>| {
        let dataset = export(&one(name, bytes), &["--schema", "copilot_chat"]);
        (
            dataset.digest(),
            dataset.count("kept_rows"),
            dataset.count("conversations"),
        )
    };
    let read = |name: &str| std::fs::read(shapes.join(name)).expect("a shape");
    let decoded = |name: &str| {
        let mut out = Vec::new();
        let file = std::fs::File::open(shapes.join(name)).expect("a shape");
        let mut decoder = zstd::stream::read::Decoder::new(file).expect("zstd");
        decoder.window_log_max(27).expect("known");
        std::io::copy(&mut decoder, &mut out).expect("whole");
        out
    };
    let expected = digest("a.jsonl.zst", read("properties-as-text.jsonl.zst"));
    assert!(expected.2 >= 38, "{expected:?}");
    for (name, bytes) in [
        ("a.jsonl", decoded("properties-as-text.jsonl.zst")),
        ("a.json.zst", read("la-query.json.zst")),
        ("a.json.gz", gzip(&decoded("la-query.json.zst"))),
        ("a.json", decoded("az-cli.json.zst")),
        ("a.jsonl.zst", read("classic-customEvents.jsonl.zst")),
        ("a.parquet", read("appevents-text.parquet")),
    ] {
        assert_eq!(digest(name, bytes), expected, "{name}");
    }
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("in")).expect("writable");
    let tar = sandbox.write("shape.tar", decoded("data-export.tar.zst"));
    let unpacked = std::process::Command::new("tar")
        .arg("xf")
        .arg(tar)
        .arg("-C")
        .arg(sandbox.path("in"))
        .status();
    assert!(unpacked.is_ok_and(|status| status.success()), "tar unpacks");
    let more = ["--targets", "all"];
    sandbox.export(&Asked::new("s", 0), &more).expect(0);
    assert_eq!(
        sandbox.dataset().digest(),
        expected.0,
        "blobs of a data export"
    );
}
