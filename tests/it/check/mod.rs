//! What a loader would do to a dataset, and what a person sees of it.

use serde_json::{Value, json};

use crate::support::reference::fitness::WORDS;
use crate::support::{Run, Sandbox};

/// A conversation of three turns, `words` words long, whose last answer is `last`.
pub fn conversation(id: &str, words: usize, last: &str) -> Value {
    let user = vec!["w"; words - 6].join(" ");
    let turns = [(user.as_str(), "m"), ("u", "m"), ("u", "m m")];
    let mut turns: Vec<_> = turns
        .iter()
        .zip(1..)
        .map(|((user, model), index)| json!({"turnIndex": index, "userMessage": user, "modelMessage": model}))
        .collect();
    turns[2]["modelMessage"] = json!(last);
    json!({"conversationId": id, "userName": "n", "bucket": "short", "turnCount": 3, "turnsArray": turns, "promptTokens": 1, "completionTokens": 1})
}

/// Publishes conversations as `out/d`, and has a tokenizer beside.
fn published(conversations: &[Value]) -> Sandbox {
    let sandbox = Sandbox::new();
    let lines: Vec<_> = conversations.iter().map(Value::to_string).collect();
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n") + "\n").expect("writable");
    std::fs::write(sandbox.path("tokenizer.json"), WORDS).expect("writable");
    let export = "export --input in.jsonl --out out --name d --targets all --progress none --json";
    sandbox
        .run(&export.split(' ').collect::<Vec<_>>())
        .expect(0);
    sandbox
}

fn run(sandbox: &Sandbox, arguments: &str) -> Run {
    sandbox.run(&arguments.split(' ').collect::<Vec<_>>())
}

fn three() -> Sandbox {
    published(&[
        conversation("a", 10, "m m"),
        conversation("b", 20, "m m"),
        conversation("c", 30, " "),
    ])
}

#[test]
#[cfg_attr(not(feature = "tokenizer"), ignore = "needs tokenizers: ./test.sh")]
fn check_says_what_would_be_lost_and_exits_with_3() {
    let sandbox = three();
    let command = "check out/d --for trl --tokenizer tokenizer.json --json --each";
    let lost = run(&sandbox, command);
    lost.expect(3);
    let report = lost.json();
    assert_eq!(
        (&report["records"], &report["dropped"]),
        (&json!(3), &json!(1))
    );
    let dropped = json!([{"rule": "empty_reply", "kind": "dropped", "records": 1, "times": 1}]);
    assert_eq!(report["rules"], dropped);
    let tokens = json!({"records": 2, "min": 10, "median": 10, "p95": 20, "max": 20, "total": 30, "lost": 0, "model_lost": 0, "unmarked": 0});
    assert_eq!(report["tokens"], tokens);
    assert_eq!(report["mixed_columns"], json!([]));
    let worst = |report: &Value| {
        let each = report["each"].as_array().expect("each").iter();
        let mut worst: Vec<_> = each
            .map(|record| (record["conversationId"].clone(), record["worst"].clone()))
            .collect();
        worst.sort_by_key(|(id, _)| id.to_string());
        worst
    };
    let expected = [
        (json!("a"), json!(null)),
        (json!("b"), json!(null)),
        (json!("c"), json!("dropped")),
    ];
    assert_eq!(worst(&report), expected);
    let cut = run(&sandbox, &format!("{command} --max-length 18"));
    cut.expect(3);
    let cut = cut.json();
    assert_eq!(
        (&cut["truncated"], &cut["tokens"]["lost"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(cut["tokens"]["model_lost"], json!(2));
    // A word more a message: the marks at its end stand at the last word.
    let rendered = run(&sandbox, &format!("{command} --template chatml"));
    let rendered = rendered.json();
    assert_eq!(rendered["template"], json!("chatml"));
    assert_eq!(rendered["tokens"]["min"], json!(10 + 6));
}

#[test]
fn nothing_lost_is_exit_code_0_and_usage_is_2() {
    let sandbox = published(&[conversation("a", 10, "m m")]);
    std::fs::write(sandbox.path("broken"), "{% if").expect("writable");
    std::fs::write(sandbox.path("raises"), "{{ raise_exception(messages) }}").expect("writable");
    let good = run(&sandbox, "check out/d --for openai");
    good.shows(0, &["of 1 record openai would drop 0 and truncate 0"]);
    for (wrong, said) in [
        ("check out/d --max-length 3", "--tokenizer"),
        ("check out/d --for atif --template chatml", "atif has none"),
    ] {
        run(&sandbox, wrong).says(2, &[said]);
    }
    // What this build can read, or that it cannot.
    for (wrong, said) in [
        ("check out/d --tokenizer in.jsonl", "is no tokenizer"),
        (
            "check out/d --tokenizer tokenizer.json --max-length 0",
            "--max-length",
        ),
        ("look out/d --sample 0", "--sample"),
        ("check out/d --template broken", "unexpected end of input"),
        ("check out/d --template none", "there is no template"),
    ] {
        let refused = run(&sandbox, wrong);
        refused.expect(2);
        let said = match cfg!(feature = "tokenizer") {
            true => said,
            false => "cargo install --path . --features tokenizer",
        };
        assert!(refused.stderr.contains(said), "{wrong}: {}", refused.stderr);
    }
    let raised = run(&sandbox, "check out/d --template raises");
    raised.expect(3);
    let why = "template: invalid operation: it calls raise_exception (line 1) (1 record)";
    assert!(raised.stdout.contains(why), "{}", raised.stdout);
    // It is checked as it is read.
    let file = sandbox.path("out/d/train/short_3_to_5_turns.jsonl");
    let text = std::fs::read_to_string(&file).expect("text");
    std::fs::write(&file, text.replace("\"m m\"", "\"m n\"")).expect("writable");
    run(&sandbox, "check out/d").says(1, &["another SHA-256"]);
}

/// As templates of models that were seen do: one takes the first call of a message for all of them, one
/// puts a text behind the results of the calls that it stands beside.
#[test]
#[cfg_attr(not(feature = "tokenizer"), ignore = "needs tokenizers: ./test.sh")]
fn check_says_which_calls_a_template_leaves_out_and_which_texts_it_moves() {
    let call = |argument: &str| json!({"type": "function", "id": argument, "function": {"name": "ls", "arguments": {"folder": argument}}});
    let result =
        |id: &str| json!({"role": "tool", "tool_call_id": id, "content": format!("in {id}")});
    let mut with_calls = conversation("a", 10, "m m");
    with_calls["turnsArray"][1]["trajectory"] = json!([
        {"role": "assistant", "content": "I look.", "tool_calls": [call("one"), call("two")]},
        result("one"),
        result("two"),
    ]);
    let sandbox = published(&[with_calls]);
    for (name, calls) in [("all", ""), ("first", "[:1]")] {
        let template = format!(
            "{{% for m in messages %}}{{{{ m.content }}}}{{% for c in (m.tool_calls or []){calls} %}}\
             {{{{ c.function | tojson }}}}{{% endfor %}}{{% endfor %}}"
        );
        std::fs::write(sandbox.path(name), template).expect("writable");
    }
    let moves = "{% for m in messages %}{% if not m.tool_calls %}{{ m.content }}{% endif %}\
                 {% for c in m.tool_calls or [] %}{{ c.function | tojson }}{% endfor %}{% endfor %}\
                 {% for m in messages if m.tool_calls %}{{ m.content }}{% endfor %}";
    std::fs::write(sandbox.path("moves"), moves).expect("writable");
    let found = |template: &str, code| {
        let checked = run(
            &sandbox,
            &format!("check out/d --json --template {template}"),
        );
        checked.expect(code);
        let rules = checked.json()["rules"].take();
        let of_template = |rule: &&Value| {
            rule["rule"]
                .as_str()
                .is_some_and(|rule| rule.starts_with("template"))
        };
        let rules = rules.as_array().expect("a list").iter().filter(of_template);
        rules.cloned().collect::<Vec<_>>()
    };
    assert_eq!(found("all", 0), [] as [Value; 0]);
    let dropped =
        json!({"rule": "template_drops_call", "kind": "truncated", "records": 1, "times": 1});
    assert_eq!(found("first", 3), [dropped]);
    let moved = json!({"rule": "template_moves_text", "kind": "changed", "records": 1, "times": 1});
    assert_eq!(found("moves", 0), [moved]);
}

#[test]
fn look_shows_a_conversation_or_the_first_of_each_stratum() {
    let sandbox = three();
    let one = run(&sandbox, "look out/d b");
    one.expect(0);
    assert!(
        one.stdout
            .starts_with("b (train/short, 3 turns)\nuser\n  w w w"),
        "{}",
        one.stdout
    );
    assert!(
        !one.stdout.contains('\u{1b}'),
        "no colours where it is no terminal"
    );
    let headings = |sample: &str| {
        let shown = run(&sandbox, &format!("look out/d --sample {sample}"));
        shown.expect(0);
        let headings = shown
            .stdout
            .lines()
            .filter(|line| line.contains("3 turns)"));
        headings
            .map(|line| line.chars().next().expect("an id"))
            .collect::<String>()
    };
    let records = std::fs::read_to_string(sandbox.path("out/d/train/short_3_to_5_turns.jsonl"));
    let ids: String = records
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .map(|record| record["conversationId"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(
        (headings("9"), headings("2")),
        (ids.clone(), ids[..2].to_owned())
    );
    let unknown = run(&sandbox, "look out/d nobody");
    unknown.expect(2);
    assert!(
        unknown
            .stderr
            .contains("looked through 3 records in 1 file"),
        "{}",
        unknown.stderr
    );
    let page = run(
        &sandbox,
        "look out/d --html page.html --stratum train/short",
    );
    page.expect(0);
    let page = std::fs::read_to_string(sandbox.path("page.html")).expect("a page");
    assert!(page.contains("<p>3 of 3 records</p>"), "{page}");
    run(&sandbox, "look out/d --stratum val/short").expect(2);
}
