//! Bad input, one test for each kind, with the result named. Where a dataset comes out it is held
//! against the reference.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::support::reference::{Asked, Outcome, evaluate};
use crate::support::{Dataset, Sandbox, assert_equals_reference, corpus};

fn asked() -> Asked {
    Asked::new("s", 3)
}

/// An event of conversation `id`; `more` replaces or adds members.
fn event(id: &str, turn: u32, more: &[(&str, &str)]) -> String {
    let (id, turn) = (format!("\"{id}\""), turn.to_string());
    let mut members = vec![
        ("Timestamp", "\"2025-01-01T00:00:00Z\""),
        ("conversationId", &id),
        ("userName", "\"ann\""),
        ("mode", "\"agent\""),
        ("turnIndex", &turn),
        ("userMessage", "\"u\""),
        ("modelMessage", "\"m\""),
        ("promptTokens", "1"),
        ("completionTokens", "1"),
        ("llmCallCount", "1"),
        ("trajectory", "[]"),
    ];
    for (name, value) in more {
        members.retain(|(known, _)| known != name);
        if *value != "absent" {
            members.push((name, value));
        }
    }
    let members: Vec<String> = members
        .iter()
        .map(|(n, v)| format!("\"{n}\":{v}"))
        .collect();
    format!("{{{}}}", members.join(","))
}

/// Three good turns of many conversations, so that there is always something to sample.
fn good() -> Vec<String> {
    (0..200)
        .flat_map(|id| (1..=4).map(move |turn| event(&format!("good-{id}"), turn, &[])))
        .collect()
}

/// A conversation of four turns, with its third turn changed.
fn with_third_turn(id: &str, more: &[(&str, &str)]) -> Vec<String> {
    (1..=4)
        .map(|turn| event(id, turn, if turn == 3 { more } else { &[] }))
        .collect()
}

fn file(lines: &[String]) -> corpus::Files {
    vec![("a.jsonl".to_owned(), (lines.join("\n") + "\n").into_bytes())]
}

/// Exports, compares with the reference, and gives both.
#[track_caller]
fn evaluated(files: &corpus::Files) -> (Sandbox, Dataset, Outcome) {
    let sandbox = Sandbox::new();
    sandbox.write_input(files);
    let run = sandbox.export(&asked(), &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    let expected = evaluate(files, &asked());
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &expected);
    (sandbox, dataset, expected)
}

/// Lines that are malformed beside good ones; gives the reasons.
#[track_caller]
fn malformed(bad: &[&str]) -> Vec<String> {
    let mut lines = good();
    lines.extend(bad.iter().map(|line| (*line).to_owned()));
    let (_sandbox, dataset, _) = evaluated(&file(&lines));
    assert_eq!(dataset.count("malformed"), bad.len() as u64);
    dataset.metadata["malformed"]
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn an_empty_file_gives_no_dataset() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", "");
    let run = sandbox.export(&asked(), &[]);
    assert!(
        run.expect(1).contains("the input has no rows"),
        "{}",
        run.stderr
    );
    assert!(!sandbox.path("out/d/metadata.json").exists());
}

#[test]
fn no_input_is_a_usage_error_that_names_the_path() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path("empty")).expect("a folder");
    sandbox.write("in/a.txt", "x");
    for path in ["empty", "none/*.jsonl", "none.jsonl", "in/a.txt", "in"] {
        let run = sandbox.run(&[
            "export",
            "--input",
            path,
            "--out",
            "out",
            "--progress",
            "none",
        ]);
        assert!(run.expect(2).contains(path), "{}", run.stderr);
        assert!(
            !sandbox.path("out").exists(),
            "nothing is claimed for {path}"
        );
        let runs = sandbox.run(&["status", "--json"]).json()["runs"].clone();
        assert_eq!(runs, serde_json::json!([]), "no run is left for {path}");
    }
}

#[test]
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs the feature fault-injection: run ./test.sh"
)]
fn a_file_that_changes_during_a_run_fails_it_and_is_named() {
    type Change = fn(&std::path::Path);
    let changes: [(Change, &str); 3] = [
        (
            |path| fs::remove_file(path).expect("there"),
            "not there any more",
        ),
        (
            |path| fs::write(path, fs::read(path).expect("there").repeat(2)).expect("writable"),
            "length or time",
        ),
        (
            |path| fs::write(path.with_file_name("b.jsonl"), "").expect("writable"),
            "it was not there",
        ),
    ];
    for (change, words) in changes {
        let sandbox = Sandbox::new();
        sandbox.write_input(&file(&good()));
        sandbox.write("in/z.jsonl", "");
        let args = sandbox.export_args(&asked());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        // The first start is killed when everything is read and the inputs are pinned.
        sandbox
            .command(&args)
            .env("GLEANER_KILL_AT", "stage:1")
            .output()
            .expect("it runs");
        change(&sandbox.path("in/a.jsonl"));
        let run = sandbox.run(&args);
        let reported = run.expect(1);
        assert!(
            reported.contains("jsonl has changed")
                && reported.contains(words)
                && reported.contains("--fresh"),
            "{reported}"
        );
        assert!(!sandbox.path("out/d/metadata.json").exists());
    }
}

#[test]
fn a_file_without_read_permission_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    let path = sandbox.path("in/a.jsonl");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("ours");
    if fs::File::open(&path).is_ok() {
        eprintln!("this user may read everything: the test was left out");
        return;
    }
    let run = sandbox.export(&asked(), &[]);
    assert!(
        run.expect(1).contains("in/a.jsonl") && run.stderr.contains("right"),
        "{}",
        run.stderr
    );
}

#[test]
fn what_is_no_regular_file_is_refused_wherever_it_is_found() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    for (name, what) in [("pipe.jsonl", "a pipe"), ("socket.jsonl.gz", "a socket")] {
        fs::create_dir_all(sandbox.path("odd")).expect("a folder");
        let path = sandbox.path("odd").join(name);
        if what == "a pipe" {
            let made = Command::new("mkfifo").arg(&path).status();
            assert!(made.is_ok_and(|status| status.success()));
            // Whoever opens it is not kept waiting: the test would fail instead of hanging.
            let pipe = path.clone();
            std::thread::spawn(
                move || while fs::OpenOptions::new().write(true).open(&pipe).is_ok() {},
            );
        } else {
            std::os::unix::net::UnixListener::bind(&path).expect("a short path");
        }
        for input in [&format!("odd/{name}"), "odd", "odd/*"] {
            let run = sandbox.export(&asked(), &["--input", input]);
            let reported = run.expect(2);
            let message = format!("odd/{name} is {what}, and only regular files can be read");
            assert!(reported.contains(&message), "{input}: {reported}");
            assert!(
                reported.contains("hint: write what it gives into a file"),
                "{reported}"
            );
            assert!(!sandbox.path("work").exists() && !sandbox.path("out").exists());
        }
        fs::remove_dir_all(sandbox.path("odd")).expect("ours");
    }
    // Nobody takes these for rows, unless they are named.
    let device = ["--input", "/dev/null"];
    let run = sandbox.export(&asked(), &device);
    assert!(
        run.expect(2).contains("/dev/null is a device"),
        "{}",
        run.stderr
    );
    let made = Command::new("mkfifo")
        .arg(sandbox.path("in/control"))
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    sandbox.export(&asked(), &[]).expect(3);
}

#[test]
fn a_link_that_leads_nowhere_is_named_with_its_target() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    fs::create_dir(sandbox.path("linked")).expect("a folder");
    // The second might be a folder of rows on a disk that is not mounted.
    for name in ["a.jsonl", "day1"] {
        let link = sandbox.path("linked").join(name);
        std::os::unix::fs::symlink("/nowhere/rows", &link).expect("a link");
        for input in [&format!("linked/{name}"), "linked", "linked/*"] {
            let run = sandbox.export(&asked(), &["--input", input]);
            let reported = run.expect(2);
            let message = format!("linked/{name} is a link to /nowhere/rows, which does not exist");
            assert!(reported.contains(&message), "{input}: {reported}");
            assert!(
                reported.contains("hint: bring back what it leads to"),
                "{reported}"
            );
        }
        fs::remove_file(&link).expect("ours");
    }
    // Links that lead somewhere are followed.
    fs::rename(sandbox.path("in"), sandbox.path("elsewhere")).expect("ours");
    fs::create_dir(sandbox.path("in")).expect("a folder");
    let target = sandbox.path("elsewhere/a.jsonl");
    std::os::unix::fs::symlink(target, sandbox.path("in/a.jsonl")).expect("a link");
    sandbox.export(&asked(), &[]).expect(3);
    assert_eq!(sandbox.dataset().count("rows_read"), good().len() as u64);
}

#[test]
fn a_truncated_compressed_file_fails_the_run_and_is_named() {
    let lines = good().join("\n").repeat(20);
    let zst = zstd::encode_all(lines.as_bytes(), 1).expect("memory");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gz, lines.as_bytes()).expect("memory");
    let gz = gz.finish().expect("memory");
    for (name, bytes) in [("a.jsonl.zst", zst), ("a.jsonl.gz", gz)] {
        for cut in [0, bytes.len() / 2, bytes.len() - 1] {
            let sandbox = Sandbox::new();
            sandbox.write(&format!("in/{name}"), &bytes[..cut]);
            let run = sandbox.export(&asked(), &[]);
            assert!(
                run.expect(1).contains(name) && run.stderr.contains("damaged"),
                "{cut}: {}",
                run.stderr
            );
            assert!(!sandbox.path("out/d/metadata.json").exists());
        }
    }
}

#[test]
fn marks_line_ends_and_blank_lines_are_no_fault() {
    let lines = good();
    let plain = evaluated(&file(&lines)).1.digest();
    let variants = [
        (
            "\u{feff}".to_owned() + &lines.join("\n") + "\n",
            "a byte order mark",
        ),
        (lines.join("\r\n") + "\r\n", "CR before LF"),
        (lines.join("\n"), "no final newline"),
        (
            "\n\n".to_owned() + &lines.join("\n \t\n\r\n") + "\n\n",
            "blank lines",
        ),
    ];
    for (text, what) in variants {
        let (_sandbox, dataset, _) = evaluated(&vec![("a.jsonl".to_owned(), text.into_bytes())]);
        assert_eq!(dataset.digest(), plain, "{what}");
        assert_eq!(dataset.count("malformed"), 0, "{what}");
    }
}

#[test]
fn lines_that_are_no_rows_are_malformed() {
    assert_eq!(
        malformed(&[
            "no json",
            "{\"conversationId\":\"x\",",
            "{\"a\":\"\0\"}",
            "{\"a\":01}"
        ]),
        ["not_json"]
    );
    assert_eq!(
        malformed(&["[]", "1", "\"text\"", "null"]),
        ["not_an_object"]
    );
    assert_eq!(
        malformed(&["{}", "{\"conversationId\":\"x\"}"]),
        ["no_schema"]
    );
    let nested = event(
        "x",
        1,
        &[("trajectory", &("[".repeat(100_000) + &"]".repeat(100_000)))],
    );
    assert_eq!(malformed(&[&nested]), ["too_deep"]);
    let twice = event("x", 1, &[]).replacen('{', "{\"turn\\u0049ndex\":1,", 1);
    assert_eq!(malformed(&[&twice]), ["duplicate_field"]);
}

#[test]
fn nesting_up_to_128_is_kept() {
    let deep = "[".repeat(127) + &"]".repeat(127);
    let mut lines = good();
    for id in 0..60 {
        lines.extend(with_third_turn(
            &format!("deep-{id}"),
            &[("trajectory", &deep)],
        ));
    }
    assert_eq!(evaluated(&file(&lines)).1.count("malformed"), 0);
    let deeper = "[".repeat(128) + &"]".repeat(128);
    assert_eq!(
        malformed(&[&event("x", 1, &[("trajectory", &deeper)])]),
        ["too_deep"]
    );
}

#[test]
fn invalid_utf8_is_malformed() {
    let mut bytes = (good().join("\n") + "\n").into_bytes();
    bytes.extend(
        event("x", 1, &[])
            .replace("ann", "\u{1}")
            .into_bytes()
            .iter()
            .map(|&b| if b == 1 { 0xff } else { b }),
    );
    let (_sandbox, dataset, _) = evaluated(&vec![("a.jsonl".to_owned(), bytes)]);
    assert_eq!(dataset.metadata["malformed"]["invalid_utf8"]["count"], 1);
}

#[test]
fn fields_of_the_wrong_kind_are_malformed() {
    for id in ["\"\"", "5", "null", "\"\\ud83d\"", "absent"] {
        assert_eq!(
            malformed(&[&event("x", 1, &[("conversationId", id)])]),
            ["conversation_id"],
            "{id}"
        );
    }
    for turn in [
        "\"3\"",
        "3.5",
        "null",
        "1e30",
        "true",
        "99999999999999999999",
    ] {
        assert_eq!(
            malformed(&[&event("x", 1, &[("turnIndex", turn)])]),
            ["turn_index"],
            "{turn}"
        );
    }
    for at in [
        "\"yesterday\"",
        "5",
        "null",
        "absent",
        "\"2025-02-30T00:00:00Z\"",
    ] {
        assert_eq!(
            malformed(&[&event("x", 1, &[("Timestamp", at)])]),
            ["timestamp"],
            "{at}"
        );
    }
}

#[test]
fn arrays_of_turns_that_are_none_are_malformed() {
    let conversation = |turns: &str| {
        format!(
            r#"{{"conversationId":"x","userName":"n","turnCount":3,"bucket":"short","turnsArray":{turns}}}"#
        )
    };
    let good: Vec<String> = (0..200)
        .map(|id| conversation(r#"[{"turnIndex":1,"userMessage":"u"},{"turnIndex":2,"userMessage":"u"},{"turnIndex":3,"userMessage":"u"}]"#).replace("\"x\"", &format!("\"c{id}\"")))
        .collect();
    for (turns, reason) in [
        ("null", "turns_array"),
        ("{}", "turns_array"),
        ("[1]", "turn_not_object"),
        ("[{\"turnIndex\":1,\"turnIndex\":1}]", "duplicate_field"),
    ] {
        let mut lines = good.clone();
        lines.push(conversation(turns));
        let (_sandbox, dataset, _) = evaluated(&file(&lines));
        assert_eq!(dataset.metadata["malformed"][reason]["count"], 1, "{turns}");
    }
}

#[test]
fn too_many_malformed_rows_fail_the_run_which_names_the_first() {
    let sandbox = Sandbox::new();
    let mut lines = good();
    lines.insert(7, "no json".to_owned());
    lines.extend(vec!["[]".to_owned(); 20]);
    sandbox.write_input(&file(&lines));
    let run = sandbox.export(&asked(), &["--max-malformed", "1"]);
    let reported = run.expect(1);
    assert!(
        reported.contains("21 of 821 rows") && reported.contains("a.jsonl:8"),
        "{reported}"
    );
    assert!(!sandbox.path("out/d/metadata.json").exists());
    sandbox
        .export(&asked(), &["--max-malformed", "3"])
        .expect(3);
}

#[test]
fn odd_but_legal_values_are_kept_or_invalid_as_the_rules_say() {
    let mut lines = good();
    let changes: [&[(&str, &str)]; 18] = [
        &[("turnIndex", "3.0")],
        &[("turnIndex", "0")],
        &[("userMessage", "\"\\ud83d\"")],
        &[("userMessage", "null")],
        &[("userMessage", "absent")],
        &[("userMessage", "\" \\n\\u2003\"")],
        &[("modelMessage", "\"\"")],
        &[("trajectory", "null")],
        &[("trajectory", "absent")],
        &[("promptTokens", "-99999999999999999999999")],
        &[("promptTokens", "9223372036854775807")],
        &[("completionTokens", "1e400")],
        &[("mode", "\"Agent\"")],
        &[("mode", "absent")],
        &[("unknown", "{\"b\": 1,\"a\":2}"), ("x", "null")],
        &[("userName", "\" \"")],
        &[("userMessage", "\"\\u0000\\u001f\\/\"")],
        &[("conversationId", "\"unknown\"")],
    ];
    for (number, change) in changes.iter().enumerate() {
        for copy in 0..40 {
            lines.extend(with_third_turn(&format!("odd-{number}-{copy}"), change));
        }
    }
    for user in ["null", "\"\"", "\" \"", "absent", "7"] {
        for copy in 0..20 {
            lines.extend((1..=4).map(|turn| {
                event(
                    &format!("user-{}-{copy}", user.len()),
                    turn,
                    &[("userName", user)],
                )
            }));
        }
    }
    let (_sandbox, dataset, _) = evaluated(&file(&lines));
    assert_eq!(dataset.count("filtered"), 40, "rows without an id");
    assert!(dataset.count("cut_by_mode") >= 80);
}

#[test]
fn ids_with_quotes_slashes_newlines_and_emoji_are_ids() {
    let mut lines = good();
    for id in 0..60 {
        lines.extend(with_third_turn(
            &format!("a\\\"b/\\n\\\\ 🙂 \\u00e9 {id}"),
            &[],
        ));
    }
    evaluated(&file(&lines));
}

#[test]
fn the_window_is_half_open_to_the_tick() {
    let mut lines = Vec::new();
    let instants = [
        "2025-01-01T00:00:00Z",
        "2024-12-31T23:59:59.9999999Z",
        "2025-01-01T01:00:00.0000001+01:00",
        "2025-01-31T23:59:59.9999999Z",
        "2025-02-01T00:00:00",
        "2025-01-31T23:59:59.99999999Z",
        "2025-01-31T20:00:00-05:00",
    ];
    for (number, at) in instants.iter().enumerate() {
        let at = format!("\"{at}\"");
        for copy in 0..30 {
            lines.extend(
                (1..=3)
                    .map(|turn| event(&format!("w{number}-{copy}"), turn, &[("Timestamp", &at)])),
            );
        }
    }
    let files = file(&lines);
    let mut asked = asked();
    asked.window = (17_356_896_000_000_000, 17_383_680_000_000_000);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-02-01",
    ];
    assert!(
        sandbox
            .export(&asked, &window)
            .expect(2)
            .contains("window.end")
    );
    let window = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-02-01T00:00:00Z",
    ];
    sandbox.export(&asked, &window);
    let dataset = sandbox.dataset();
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    assert_eq!(dataset.count("filtered"), 3 * 90);
}

#[test]
fn redelivered_and_conflicting_turns_collapse_to_the_last_word() {
    let mut lines = Vec::new();
    for id in 0..100 {
        let id = format!("c{id}");
        lines.extend(with_third_turn(&id, &[]));
        lines.push(event(&id, 2, &[]));
        lines.push(event(
            &id,
            1,
            &[
                ("Timestamp", "\"2025-01-02T00:00:00Z\""),
                ("userMessage", "\"later\""),
            ],
        ));
        lines.push(event(&id, 4, &[("modelMessage", "\"same time\"")]));
    }
    // Across files, in any order.
    let rows: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    let (_sandbox, dataset, _) = evaluated(&corpus::shuffled(&rows, 5, 1));
    assert_eq!(dataset.count("duplicate_turns"), 300);
    let records = dataset.records("train/short_3_to_5_turns.json");
    assert!(records.iter().all(|record| record.contains("\"later\"")));
}

#[test]
fn of_an_id_given_twice_the_row_with_more_turns_wins_also_into_another_bucket() {
    let conversation = |id: usize, turns: usize, extra: &str| {
        let all: Vec<String> = (1..=turns)
            .map(|t| format!(r#"{{"turnIndex":{t},"userMessage":"u"}}"#))
            .collect();
        let bucket = if turns <= 5 { "short" } else { "medium" };
        format!(
            r#"{{"conversationId":"c{id}","userName":"n","turnCount":{turns},"bucket":"{bucket}","turnsArray":[{}],"x":"{extra}"}}"#,
            all.join(",")
        )
    };
    let mut lines = Vec::new();
    for id in 0..200 {
        lines.push(conversation(id, 4, "a"));
        lines.push(conversation(id, if id % 2 == 0 { 6 } else { 4 }, "b"));
    }
    let (_sandbox, dataset, expected) = evaluated(&file(&lines));
    assert_eq!(dataset.count("duplicate_conversations"), 200);
    assert!(expected.strata[&("train", "medium")].population > 50);
}

#[test]
fn a_large_line_is_a_row_and_a_larger_one_is_malformed() {
    let mut lines = good();
    let long = format!("\"{}\"", "x".repeat(3 << 20));
    for turn in 1..=4 {
        lines.push(event("long", turn, &[("userMessage", &long)]));
    }
    let files = file(&lines);
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    let mut asked = asked();
    // The rows pass, their conversation does not.
    asked.max_record = 4_000_000;
    sandbox.export(&asked, &["--set", "limits.max_record=4MB"]);
    assert_equals_reference(&sandbox.dataset(), &evaluate(&files, &asked));
    assert_eq!(
        sandbox.dataset().metadata["malformed"]["too_large"]["count"],
        4
    );
    // The rows themselves do not pass.
    asked.max_record = 3_000_000;
    sandbox.export(
        &asked,
        &["--fresh", "--name", "e", "--set", "limits.max_record=3MB"],
    );
    let dataset = Dataset::read(&sandbox.path("out/e"));
    assert_equals_reference(&dataset, &evaluate(&files, &asked));
    assert_eq!(
        dataset.metadata["malformed"]["too_large"]["examples"][0]["line"],
        801
    );
}

#[test]
fn both_shapes_in_one_run_are_refused_and_a_row_of_each_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "in/a.jsonl",
        "no json\n".to_owned() + &event("x", 1, &[]) + "\n",
    );
    sandbox.write(
        "in/b.jsonl",
        "\n{\"conversationId\":\"x\",\"turnsArray\":[]}\n",
    );
    let run = sandbox.export(&asked(), &[]);
    let reported = run.expect(2);
    assert!(
        reported.contains("in/a.jsonl:2") && reported.contains("in/b.jsonl:2"),
        "{reported}"
    );
}

/// Mounts a small disk; `None` where that is not allowed.
fn small_disk(sandbox: &Sandbox, name: &str, size: &str) -> Option<std::path::PathBuf> {
    let path = sandbox.path(name);
    fs::create_dir_all(&path).expect("a folder");
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
        .arg(&path)
        .output();
    if mounted.is_ok_and(|output| output.status.success()) {
        return Some(path);
    }
    eprintln!("a small disk cannot be mounted here: the test was left out");
    None
}

#[test]
fn a_full_disk_stops_the_run_and_room_lets_it_go_on() {
    let rows = corpus::events(4, 3000);
    for disk in ["work", "out"] {
        let sandbox = Sandbox::new();
        for (name, bytes) in corpus::in_files(&rows, 4, "a") {
            sandbox.write(
                &format!("in/{name}.zst"),
                zstd::encode_all(&bytes[..], 1).expect("memory"),
            );
        }
        let size = if disk == "work" { "2M" } else { "256k" };
        let Some(path) = small_disk(&sandbox, disk, size) else {
            return;
        };
        let mut large = asked();
        large.targets.values_mut().for_each(|target| *target = 1000);
        let run = sandbox.export(&large, &[]);
        let reported = run.stderr.clone();
        let grown = Command::new("mount")
            .args(["-o", "remount,size=100M"])
            .arg(&path)
            .status();
        assert!(grown.is_ok_and(|status| status.success()));
        let again = sandbox.export(&large, &[]);
        let published = sandbox.path("out/d/metadata.json").exists();
        let digest = published.then(|| sandbox.dataset().digest());
        Command::new("umount")
            .arg(&path)
            .status()
            .expect("umount runs");
        assert_eq!(run.code, Some(1), "{disk}: {reported}");
        assert!(
            reported.contains("No space left") && reported.contains("run the same command again"),
            "{disk}: {reported}"
        );
        again.expect(3);
        let undisturbed = Sandbox::new();
        undisturbed.write_input(&corpus::in_files(&rows, 4, "a"));
        undisturbed.export(&large, &[]).expect(3);
        assert_eq!(digest, Some(undisturbed.dataset().digest()), "{disk}");
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write_input(&file(&good()));
    sandbox.write("out", "a file, no folder");
    let run = sandbox.export(&asked(), &[]);
    assert!(
        run.expect(1).contains("cannot write to out"),
        "{}",
        run.stderr
    );
}

#[test]
fn retyped_and_missing_columns_of_parquet_are_malformed_or_null() {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::ByteArray;
    let schema =
        "message m { required binary conversationId (UTF8); required binary turnIndex (UTF8); }";
    let schema =
        std::sync::Arc::new(parquet::schema::parser::parse_message_type(schema).expect("a schema"));
    let mut out = Vec::new();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(&mut out, schema, Default::default())
            .expect("a file");
    let mut group = writer.next_row_group().expect("a group");
    while let Some(mut column) = group.next_column().expect("a column") {
        if let ColumnWriter::ByteArrayColumnWriter(w) = column.untyped() {
            w.write_batch(&[ByteArray::from("1")], None, None)
                .expect("written");
        }
        column.close().expect("written");
    }
    group.close().expect("written");
    writer.close().expect("written");
    let sandbox = Sandbox::new();
    sandbox.write("in/a.parquet", out);
    let run = sandbox.export(&asked(), &[]);
    assert!(
        run.expect(1).contains("malformed: turn_index 1"),
        "{}",
        run.stderr
    );
    sandbox.write("in/a.parquet", "PAR1 but not really PAR1");
    let run = sandbox.export(&asked(), &["--fresh", "--name", "e"]);
    assert!(
        run.expect(1).contains("in/a.parquet is damaged"),
        "{}",
        run.stderr
    );
}
