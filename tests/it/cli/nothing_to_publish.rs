//! Without a valid record there is no dataset, and the run says why.

use crate::support::{Run, Sandbox, shared, words};

/// Turns of some conversations.
fn turns(conversations: usize, first_turn: usize, mode: &str) -> String {
    let mut rows = String::new();
    for conversation in 0..conversations {
        for turn in first_turn..first_turn + 4 {
            rows += &format!(
                r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{conversation}","userName":"u","mode":"{mode}","turnIndex":{turn},"userMessage":"hi","modelMessage":"ho"}}"#
            );
            rows.push('\n');
        }
    }
    rows
}

fn export(sandbox: &Sandbox, more: &[&str]) -> Run {
    let args = words("export --input in --name d --work-dir work --progress none");
    sandbox.run(&[&args, more].concat())
}

#[track_caller]
fn assert_nothing(rows: &str, reason: &str) {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", rows);
    // The same command says the same again: nothing is claimed and nothing is there.
    for _ in 0..2 {
        let run = export(&sandbox, &[]);
        run.says(1, &["nothing to publish: no record is valid", reason]);
        assert!(run.stdout.is_empty(), "{}", run.stdout);
        let left = std::fs::read_dir(sandbox.path("out/d")).expect("an empty folder");
        assert_eq!(left.count(), 0, "no file and no claim is left");
    }
}

#[test]
fn an_input_without_rows_is_no_dataset() {
    assert_nothing("", "the input has no rows");
}

#[test]
fn another_mode_is_named() {
    assert_nothing(
        &turns(60, 1, "Agent"),
        "240 rows have mode \"Agent\", wanted \"agent\"",
    );
}

#[test]
fn another_first_turn_is_named() {
    assert_nothing(
        &turns(60, 0, "agent"),
        "60 conversations start at turn 0, wanted 1",
    );
}

#[test]
fn the_codes_of_invalid_records_are_named() {
    let rows = turns(200, 1, "agent").replace("\"u\"", "\" \"");
    assert_nothing(&rows, "200 records invalid: missing_field:userName 200");
}

#[test]
fn a_changed_selection_is_another_run() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", turns(60, 1, "Agent"));
    export(&sandbox, &[]).expect(1);
    let refused = export(&sandbox, &["--seed", "other"]);
    refused.says(2, &["selection.seed"]);
    let fresh = export(&sandbox, &["--seed", "other", "--fresh"]);
    fresh.expect(1);
}

#[test]
fn one_valid_record_is_a_dataset_and_the_codes_stand_at_its_end() {
    let sandbox = Sandbox::new();
    let blank = turns(5, 1, "agent").replace("\"u\"", "\" \"");
    let good = turns(9, 1, "agent")
        .replace("\"conversationId\":\"c", "\"conversationId\":\"good")
        .replace("\"ho\"", "\"\"");
    sandbox.write("in/a.jsonl", blank + &good);
    let all = ["--targets", "all", "--json"];
    let run = export(&sandbox, &all);
    run.expect(0);
    let json = run.json();
    assert_eq!(json["invalid_codes"]["missing_field:userName"], 5, "{json}");
    assert_eq!(json["warnings"]["empty_model_message"], 9, "{json}");
    let sandbox = Sandbox::new();
    let blank = turns(5, 1, "agent").replace("\"u\"", "\" \"");
    sandbox.write("in/a.jsonl", blank + &good);
    let run = export(&sandbox, &all[..2]);
    run.expect(0);
    for words in [
        "invalid: 5 records missing_field:userName",
        "warning: 9 records empty_model_message",
    ] {
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
}

#[test]
fn the_cases_say_what_is_wrong_with_them() {
    let Some(shared) = shared() else {
        return;
    };
    for (case, reason) in [
        (
            "rows-without-bucket.jsonl",
            "records invalid: missing_field:userName",
        ),
        (
            "mode_capital.jsonl",
            "240 rows have mode \"Agent\", wanted \"agent\"",
        ),
    ] {
        let text = std::fs::read_to_string(shared.join("cases").join(case)).expect("the case");
        assert_nothing(&text, reason);
    }
}
