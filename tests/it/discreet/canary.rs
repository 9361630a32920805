//! The words of a conversation are in its record, and nowhere else.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::leaks::{collect, traced};
use crate::support::{Run, Sandbox, words};

/// In every text of every conversation: what is said, and what tools were asked and answered.
const CANARY: &str = "zyxwv-canary";

/// Events of conversations, some of which are invalid, incomplete or malformed.
fn events() -> String {
    let mut lines = String::new();
    for conversation in 0..120 {
        for turn in 1..=3 + conversation % 9 {
            let user = match conversation % 10 {
                // Fatal: `empty_user_message`; `lone_surrogate`.
                3 => String::new(),
                4 => format!("{CANARY}\\ud800"),
                _ => format!("{CANARY} asks {turn}"),
            };
            // Never complete.
            let index = if conversation % 10 == 5 {
                turn + 1
            } else {
                turn
            };
            lines += &format!(
                r#"{{"Timestamp":"2025-01-01T00:00:{turn:02}Z","conversationId":"c{conversation}","userName":"u","mode":"agent","turnIndex":{index},"userMessage":"{user}","modelMessage":"{CANARY} answers","promptTokens":"{CANARY}","completionTokens":-1,"trajectory":[{{"{CANARY}":"{CANARY}"}}],"more":"{CANARY}"}}"#
            );
            lines.push('\n');
        }
        let malformed = match conversation % 12 {
            // Cut; not JSON behind its end; without an id; of another type.
            0 => format!(r#"{{"conversationId":"x","userMessage":"{CANARY}"#),
            1 => format!(r#"{{"conversationId":"x","userMessage":"a"}} {CANARY}"#),
            2 => format!(r#"{{"turnIndex":1,"userMessage":"{CANARY}"}}"#),
            3 => format!(r#"["{CANARY}"]"#),
            4 => format!(
                r#"{{"conversationId":"x","turnIndex":1,"userMessage":"{CANARY}","userMessage":"{CANARY}"}}"#
            ),
            5 => CANARY.to_owned(),
            _ => continue,
        };
        lines += &malformed;
        lines.push('\n');
    }
    lines
}

fn command(sandbox: &Sandbox, more: &[&str]) -> Command {
    let mut args = words("export --input in --out out --name d --work-dir work --report --seed s");
    args.extend([
        "--set",
        "selection.targets={train={short=5,medium=5,long=5},val={short=1,medium=1,long=1},test={short=1,medium=1,long=1}}",
    ]);
    sandbox.command(&[&args[..], more].concat())
}

/// What was shown and stored, but for the records themselves and the sealed chunks.
#[track_caller]
fn assert_silent(run: &Run, sandbox: &Sandbox, what: &str) {
    let mut all = format!("{}\n{}\n", run.stdout, run.stderr);
    let is_text = |path: &Path| {
        let hidden = ["in", "chunks", "train", "val", "test"];
        !hidden.iter().any(|name| path.ends_with(name))
    };
    collect(&sandbox.path(""), &is_text, &mut all);
    let found = all.find(&CANARY[..5]).map(|at| {
        let before = all[..at].chars().rev().take(300).map(char::len_utf8);
        let from = at - before.sum::<usize>();
        all[from..].chars().take(340).collect::<String>()
    });
    assert_eq!(found, None, "{what}");
}

#[test]
fn what_a_conversation_says_is_in_no_log_error_page_or_report() {
    let text = events();
    let packed = zstd::encode_all(text.as_bytes(), 1).expect("memory");
    for (name, bytes) in [("in/a.jsonl", text.as_bytes()), ("in/a.jsonl.zst", &packed)] {
        let sandbox = Sandbox::new();
        sandbox.write(name, bytes);
        // Too many malformed rows, then as many as there are; verified, and looked at.
        let run = traced(command(&sandbox, &[]));
        run.expect(1);
        assert_silent(&run, &sandbox, "a run that fails");
        let run = traced(command(&sandbox, &["--max-malformed", "100"]));
        assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
        assert_silent(&run, &sandbox, "a run that publishes");
        let verified = traced(sandbox.command(&["verify", "out/d"]));
        assert_silent(&verified, &sandbox, "a dataset that is verified");
        let status = traced(sandbox.command(&["status", "work"]));
        let shown = format!("{}{}", status.stdout, status.stderr);
        assert!(!shown.contains(CANARY), "{shown}");
    }
    // A file that is cut off, and one whose rows are damaged after it was read.
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl.zst", &packed[..packed.len() / 2]);
    let run = traced(command(&sandbox, &["--max-malformed", "100"]));
    run.expect(1);
    assert_silent(&run, &sandbox, "a damaged file");
}

#[test]
fn what_a_conversation_says_is_not_served() {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", events());
    let serve = words("--max-malformed 100 --serve 127.0.0.1:0 --progress none");
    let mut served = command(&sandbox, &serve)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut errors = std::io::BufReader::new(served.stderr.take().expect("piped"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut errors, &mut line).expect("a line");
    let address = line.split('/').nth(2).expect("an address").to_owned();
    // Taken as soon as the run begins; the views come until its end.
    let mut streams = ["/events", "/status", "/metrics", "/"].map(|path| {
        let mut stream = TcpStream::connect(&address).expect("a server");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("sent");
        stream
    });
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains(CANARY), "{answer}");
    }
    // Its end is another test's affair.
    served.wait().expect("ended");
}

#[test]
fn what_holds_bytes_of_conversations_shows_their_length_alone() {
    use gleaner::domain::record::header::HeaderBatch;
    use gleaner::domain::record::row::RowShape;
    use gleaner::sink::Block;
    use gleaner::source::{ParsedKind, ParsedRow, RowBlock};

    let parsed = ParsedRow {
        length: 1,
        id: CANARY.as_bytes().into(),
        kind: ParsedKind::Conversation { turns: 3 },
    };
    let mut batch = HeaderBatch::new(RowShape::Turns);
    batch.ids.extend_from_slice(CANARY.as_bytes());
    let block = Block {
        dataset: "d".to_owned(),
        path: "train/short.json".to_owned(),
        index: 0,
        offset: 0,
        bytes: CANARY.to_owned().into_bytes().into(),
    };
    let rows = RowBlock {
        bytes: CANARY.to_owned().into_bytes(),
        parsed: vec![parsed.clone()],
        ..RowBlock::default()
    };
    let length = CANARY.len().to_string();
    for shown in [
        format!("{parsed:?}"),
        format!("{batch:?}"),
        format!("{block:?}"),
        format!("{rows:?}"),
    ] {
        assert!(shown.contains(&length), "{shown}");
        // Neither as text nor as numbers.
        assert!(
            !shown.contains("zyx") && !shown.contains("122, 121"),
            "{shown}"
        );
    }
}
