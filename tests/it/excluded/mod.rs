//! What `selection.exclude` names is in nothing that the run writes, the next in rank take its place, and every
//! other record keeps its bytes.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::copilot_rows::{conversations, lines};
use crate::support::leaks::{collect, traced};
use crate::support::reference::{Asked, evaluate};
use crate::support::{
    Dataset, Run, Sandbox, assert_equals_reference, assert_same_records, corpus, kill_at,
    packed::gzip,
};

mod bad_lists;
#[cfg(feature = "kusto-emulator")]
mod cluster;

/// A user who is named by the last turn of some conversations alone.
const USER: &str = "bobby-tables";

/// Of turns: 60 conversations, each third with that user in its last turn.
fn turns() -> Vec<u8> {
    let mut rows = String::new();
    for number in 0..60 {
        let turns = 3 + number % 9;
        for turn in 1..=turns {
            let user = if number % 3 == 0 && turn == turns {
                USER
            } else {
                "ann"
            };
            let row = json!({
                "Timestamp": format!("2025-01-01T{:02}:00:00Z", turn),
                "conversationId": id(number), "userName": user, "mode": "agent", "turnIndex": turn,
                "userMessage": format!("ask {turn}"), "modelMessage": "done", "promptTokens": 1,
                "completionTokens": 1,
            });
            rows += &format!("{row}\n");
        }
    }
    // A row that cannot be read names its conversation.
    rows += &format!("{{\"conversationId\":\"{}\",\"turnIndex\":\"x\"}}\n", id(1));
    rows.into_bytes()
}

fn id(number: u64) -> String {
    format!("secretly-{number}-retracted")
}

fn list(lines: &[&str]) -> String {
    format!("# by request\n\n{}\nno-such-id\n", lines.join("\r\n"))
}

/// What the run has written anywhere but into its input.
fn written(sandbox: &Sandbox, runs: &[&Run]) -> String {
    let own = [sandbox.path("in"), sandbox.path("list")];
    let mut all = String::new();
    collect(
        &sandbox.path(""),
        &|path| !own.iter().any(|own| own == path),
        &mut all,
    );
    for run in runs {
        all += &run.stdout;
        all += &run.stderr;
    }
    all
}

/// Kills an export before it publishes, and lets it finish; nothing of the texts may be anywhere at either time,
/// not in the spool either. Gives the dataset.
#[track_caller]
fn killed_and_finished(sandbox: &Sandbox, asked: &Asked, more: &[&str], texts: &[&str]) -> Dataset {
    let more = [&["--exclude", "list"], more].concat();
    let mut killed = sandbox.export_command(asked, &more);
    killed.envs(kill_at("upload.publish.before:1"));
    let killed = traced(killed);
    assert_eq!(killed.code, None, "{}", killed.stderr);
    let spooled = written(sandbox, &[&killed]);
    assert!(spooled.contains("glnseal"), "rows are spooled");
    let finished = traced(sandbox.export_command(asked, &more));
    assert!(matches!(finished.code, Some(0 | 3)), "{}", finished.stderr);
    for all in [spooled, written(sandbox, &[&finished])] {
        for text in texts {
            assert!(!all.contains(text), "{text}");
        }
    }
    assert!(
        finished.stderr.contains("not in the input")
            || finished.stdout.contains("not in the input")
    );
    sandbox.dataset()
}

#[test]
fn ids_and_users_are_left_out_of_turns_and_of_all_that_is_written() {
    let files = vec![("a.jsonl".to_owned(), turns())];
    let sandbox = Sandbox::new();
    sandbox.write_compressed_input(&files);
    let user = format!("userName:{USER}");
    sandbox.write("list", list(&[&id(1), &user, &id(4)]));
    let mut asked = Asked::new("s", 3);
    asked.exclude = BTreeSet::from([id(1), id(4), "no-such-id".to_owned()]);
    asked.exclude_users = BTreeSet::from([USER.to_owned()]);
    let users: Vec<String> = (0..60).step_by(3).map(id).collect();
    let [one, four] = [id(1), id(4)];
    let mut texts = vec![&*one, &*four, USER];
    texts.extend(users.iter().map(String::as_str));
    let dataset = killed_and_finished(&sandbox, &asked, &[], &texts);
    let expected = evaluate(&files, &asked);
    assert_same_records(&dataset, &expected);
    assert_eq!(
        dataset.metadata["exclude"],
        json!({"listed": 4, "matched": 3})
    );
    assert_eq!(dataset.count("excluded"), 22);
    let card = std::fs::read_to_string(dataset.folder.join("README.md")).expect("a card");
    let line = "Conversations of 4 ids and users were to be left out; the input had 3 of these.";
    assert!(card.contains(line), "{card}");
}

#[test]
fn a_corpus_with_every_fault_gives_what_the_reference_gives() {
    for seed in 0..3 {
        let files = corpus::shuffled(&corpus::events(seed, 200), 3, seed);
        let mut asked = Asked::new("s", 4);
        asked.exclude = (0..200).step_by(7).map(|n| format!("id-{n}")).collect();
        let sandbox = Sandbox::new();
        sandbox.write_input(&files);
        let lines: Vec<&str> = asked.exclude.iter().map(String::as_str).collect();
        sandbox.write("list", lines.join("\n"));
        let run = sandbox.export(&asked, &["--exclude", "list"]);
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
        let dataset = sandbox.dataset();
        assert!(dataset.count("excluded") > 0);
        assert_equals_reference(&dataset, &evaluate(&files, &asked));
    }
}

#[test]
fn conversation_rows_are_left_out_by_the_name_of_any_of_their_turns() {
    let row = |number: u64, user: &str, of_turn: &str| {
        let turn = |index: u64| json!({"turnIndex": index, "userMessage": "u", "modelMessage": "m", "userName": of_turn});
        let turns: Vec<Value> = (1..=4).map(turn).collect();
        json!({"conversationId": id(number), "userName": user, "turnsArray": turns}).to_string()
    };
    let rows = [
        row(0, "ann", "ann"),
        row(1, USER, "ann"),
        row(2, "ann", USER),
        row(3, "ann", &format!("{USER}s")),
    ];
    let files = vec![("a.jsonl".to_owned(), (rows.join("\n") + "\n").into_bytes())];
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    sandbox.write("list", format!("userName: {USER}\n"));
    let mut asked = Asked::new("s", 5);
    asked.exclude_users = BTreeSet::from([USER.to_owned()]);
    sandbox.export(&asked, &["--exclude", "list"]).expect(3);
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    assert_eq!(dataset.count("excluded"), 2);
    assert_eq!(
        dataset.metadata["exclude"],
        json!({"listed": 1, "matched": 1})
    );
}

/// Telemetry in which every conversation names messages that the first one has sent.
fn telemetry() -> Vec<Value> {
    let mut rows = conversations(30);
    for row in &mut rows {
        if row["Properties"]["conversationId"] == "somebody-else" {
            row["Properties"]["conversationId"] = json!("conversation-4");
            row["Properties"]["common.userName"] = json!(USER);
        }
        if row["Properties"]["conversationId"] == "conversation-7" {
            row["Properties"]["common.userName"] = json!(USER);
        }
    }
    rows
}

#[test]
fn telemetry_is_left_out_and_the_messages_that_others_name_stay() {
    let rows = telemetry();
    let is_gone = |row: &&Value| {
        let is_shared = row["Name"]
            .as_str()
            .is_some_and(|name| name.ends_with("message.added"));
        let of = ["conversationId", "sessionId"].map(|key| row["Properties"][key].as_str());
        !is_shared
            && of
                .iter()
                .flatten()
                .any(|id| ["conversation-4", "conversation-7"].contains(id))
    };
    let left: Vec<Value> = rows.iter().filter(|row| !is_gone(row)).cloned().collect();
    assert!(left.len() < rows.len());
    let plain = Sandbox::new();
    plain.write("in/a.jsonl.gz", gzip(&lines(&left, "\n")));
    let asked = Asked::new("s", 0);
    plain.export(&asked, &["--targets", "all"]).expect(0);
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl.gz", gzip(&lines(&rows, "\n")));
    sandbox.write(
        "list",
        list(&["conversation-4", &format!("userName:{USER}")]),
    );
    let texts = ["conversation-4\"", "conversation-7\"", USER];
    let dataset = killed_and_finished(&sandbox, &asked, &["--targets", "all"], &texts);
    assert_eq!(dataset.digest(), plain.dataset().digest());
    assert_eq!(
        dataset.metadata["strata"],
        plain.dataset().metadata["strata"]
    );
    assert_eq!(dataset.count("excluded"), 2);
    assert_eq!(
        dataset.metadata["exclude"],
        json!({"listed": 3, "matched": 2})
    );
}
