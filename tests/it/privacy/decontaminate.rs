//! `[decontaminate]`: what repeats a benchmark is left out, counted by benchmark, and replaced.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::run;
use crate::check::conversation;
use crate::support::Sandbox;

fn words(from: usize, to: usize) -> String {
    let words: Vec<_> = (from..to).map(|n| format!("w{n}")).collect();
    words.join(" ")
}

/// Ten conversations of one stratum: 0 to 2 repeat 13 words of the first benchmark, 2 of the second too, 3 only 12.
fn ten(sandbox: &Sandbox) {
    let said = |n: usize| match n {
        0 => words(7, 20).to_uppercase(),
        1 => format!("so:\n{}\tand so on", words(0, 13)),
        2 => format!("{} and {}", words(0, 13), words(100, 113)),
        3 => words(8, 20),
        n => format!("question {n}"),
    };
    let lines = (0..10).map(|n| {
        let mut one = conversation(&format!("id-{n}"), 10, "m");
        one["turnsArray"][1]["modelMessage"] = said(n).into();
        // What tools say is not looked at.
        one["turnsArray"][2]["trajectory"] = json!([{"result": words(0, 20)}]);
        one.to_string()
    });
    let lines: Vec<_> = lines.collect();
    std::fs::write(sandbox.path("in.jsonl"), lines.join("\n")).expect("writable");
    let one = format!(
        "{}\n{}\n",
        json!({"q": words(0, 20)}),
        json!({"q": "too short", "a": words(50, 70)})
    );
    sandbox.write("one.jsonl", &one);
    sandbox.write(
        "two.json",
        json!([{"c": {"list": ["x", words(100, 113)]}}]).to_string(),
    );
}

const EXPORT: &str = "export --input in.jsonl --out out --progress none --json \
    --set selection.splits=[{name='all',percent=100}]";
const FILES: &str = "--set decontaminate.files=[{path='one.jsonl',field='q'},{path='two.json',field='c.list',name='second'}]";

#[test]
fn what_repeats_thirteen_words_of_a_benchmark_is_left_out_and_replaced() {
    let sandbox = Sandbox::new();
    ten(&sandbox);
    let export = run(
        &sandbox,
        &format!("{EXPORT} {FILES} --name d --targets all"),
    );
    export.expect(0);
    let stratum = |export: &Value, key: &str| {
        let strata = export["strata"].as_array().expect("strata").iter();
        strata
            .map(|stratum| stratum[key].as_u64().expect("a number"))
            .sum::<u64>()
    };
    let done = export.json();
    assert_eq!(
        (
            stratum(&done, "records"),
            stratum(&done, "contaminated"),
            stratum(&done, "invalid")
        ),
        (7, 3, 0)
    );
    let benchmarks = done["decontamination"]["benchmarks"]
        .as_array()
        .expect("a list");
    let counts = |n: usize| {
        let one = &benchmarks[n];
        (
            one["name"].clone(),
            one["texts"].clone(),
            one["short_texts"].clone(),
            one["contaminated"].clone(),
        )
    };
    assert_eq!(counts(0), (json!("one"), json!(2), json!(1), json!(3)));
    assert_eq!(counts(1), (json!("second"), json!(2), json!(1), json!(1)));
    run(&sandbox, "verify out/d").expect(0);
    let card = std::fs::read_to_string(sandbox.path("out/d/README.md")).expect("a card");
    assert!(card.contains("| second | 2 | 1 | 1 |"), "{card}");
    // Spares take their places, and nothing else changes.
    let exact = run(
        &sandbox,
        &format!("{EXPORT} {FILES} --name e --set selection.targets={{all={{short=7}}}}"),
    );
    exact.expect(0);
    assert_eq!(exact.json()["content_sha256"], done["content_sha256"]);
    let plain = run(&sandbox, &format!("{EXPORT} --name p --targets all"));
    plain.expect(0);
    assert_eq!(plain.json()["decontamination"], Value::Null);
    let ids = |name: &str| -> BTreeSet<String> {
        let file = plain.json()["strata"][0]["file"]
            .as_str()
            .expect("a file")
            .to_owned();
        let text =
            std::fs::read_to_string(sandbox.path(&format!("out/{name}/{file}"))).expect("a file");
        text.lines().map(str::to_owned).collect()
    };
    assert!(ids("d").is_subset(&ids("p")));
}

#[test]
fn a_benchmark_belongs_to_the_run_and_is_read_before_anything_else() {
    let sandbox = Sandbox::new();
    ten(&sandbox);
    run(
        &sandbox,
        &format!("{EXPORT} {FILES} --name d --targets all --work-dir work"),
    )
    .expect(0);
    let changed = format!("{}\n", json!({"q": words(0, 21)}));
    sandbox.write("one.jsonl", &changed);
    let refused = run(
        &sandbox,
        &format!("{EXPORT} {FILES} --name d --targets all --work-dir work"),
    );
    assert!(
        refused
            .expect(2)
            .contains("decontaminate.benchmarks.one.sha256: \""),
        "{}",
        refused.stderr
    );
    let with = |files: &str| {
        run(
            &sandbox,
            &format!("{EXPORT} --name x --targets all --set decontaminate.files={files}"),
        )
    };
    with("[{path='none.jsonl',field='q'}]").says(2, &["decontaminate.files", "none.jsonl"]);
    with("[{path='one.jsonl'}]").says(2, &["field", "gsm8k"]);
    with("[{path='one.jsonl',field='nope'}]")
        .says(2, &["none of its 1 rows has a text in the field \"nope\""]);
    with("[{path='one.jsonl',field='q'},{path='one.jsonl',field='q'}]")
        .says(2, &["two benchmarks are called \"one\""]);
    sandbox.write("short.jsonl", "{\"q\":\"a b c\"}\n");
    with("[{path='short.jsonl',field='q'}]").says(2, &["none of its 1 texts has 13 words"]);
    sandbox.write("bad.jsonl", "{\"q\":\"a\"}\nSECRET\n");
    let bad = with("[{path='bad.jsonl',field='q'}]");
    assert!(
        bad.expect(2).contains("row 2") && !bad.stderr.contains("SECRET"),
        "{}",
        bad.stderr
    );
}
