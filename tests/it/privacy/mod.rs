//! Secrets and personal data: what is reported and what is not told.

use gleaner::domain::privacy::examples::{FORMS, example};
use serde_json::{Value, json};

use crate::check::conversation;
use crate::support::{Run, Sandbox};

mod decontaminate;
mod export;

fn run(sandbox: &Sandbox, arguments: &str) -> Run {
    sandbox.run(&arguments.split(' ').collect::<Vec<_>>())
}

/// A key of GitHub's, and an address.
fn planted() -> (String, String) {
    let key = FORMS.iter().find(|(rule, _)| *rule == "github-pat");
    let key = example(key.expect("a form").1, 1).text;
    (key, example("{8z}@{8z}.co.uk", 1).text)
}

#[test]
fn scan_says_which_secrets_a_dataset_has_where_and_never_their_text() {
    let sandbox = Sandbox::new();
    let (key, mail) = planted();
    let mut hit = conversation("a", 10, &format!("write to {mail}"));
    let arguments = json!({"env": {"GITHUB_TOKEN": key}}).to_string();
    hit["turnsArray"][1]["trajectory"] = json!([{"name": "run", "arguments": arguments}]);
    let clean = conversation("b", 20, "m");
    let lines = format!("{hit}\n{clean}\n");
    std::fs::write(sandbox.path("in.jsonl"), &lines).expect("writable");
    run(
        &sandbox,
        "export --input in.jsonl --out out --name d --targets all --progress none --json",
    )
    .expect(0);
    let scan = run(&sandbox, "scan out/d --json");
    scan.expect(3);
    let report = scan.json();
    assert_eq!(
        (&report["records"], &report["with_findings"]),
        (&json!(2), &json!(1))
    );
    let found = |report: &Value| -> Vec<Value> {
        let findings = report["findings"].as_array().expect("findings").iter();
        findings
            .map(|one| {
                json!([
                    one["conversationId"],
                    one["rule"],
                    one["place"],
                    one["times"]
                ])
            })
            .collect()
    };
    let expected = [
        json!(["a", "email", "turnsArray[].modelMessage", 1]),
        json!([
            "a",
            "github-pat",
            "turnsArray[].trajectory[].arguments|env.GITHUB_TOKEN",
            1
        ]),
    ];
    assert_eq!(found(&report), expected);
    assert_eq!(report["findings_left_out"], 0);
    // The same of the file, by its lines.
    let file = run(&sandbox, "scan in.jsonl --json");
    file.expect(3);
    assert_eq!(found(&file.json()), expected);
    assert_eq!(file.json()["findings"][0]["line"], 1);
    let secrets = run(&sandbox, "scan in.jsonl --only secrets --each");
    secrets.expect(3);
    assert!(
        secrets.stdout.contains("in.jsonl:1 a: github-pat in"),
        "{}",
        secrets.stdout
    );
    assert!(!secrets.stdout.contains("email"), "{}", secrets.stdout);
    for told in [&scan, &file, &secrets] {
        let all = format!("{}{}", told.stdout, told.stderr);
        assert!(!all.contains(&key[8..]) && !all.contains(&mail), "{all}");
    }
}

#[test]
fn scan_of_what_is_clean_exits_with_0_and_looks_at_rows_that_are_no_json() {
    let sandbox = Sandbox::new();
    std::fs::write(
        sandbox.path("in.jsonl"),
        conversation("b", 20, "m").to_string() + "\n",
    )
    .expect("writable");
    run(&sandbox, "scan in.jsonl").expect(0);
    let (key, _) = planted();
    std::fs::write(
        sandbox.path("cut.jsonl"),
        format!("{{\"a\": \"{key}\n\n{{}}\n"),
    )
    .expect("writable");
    let cut = run(&sandbox, "scan cut.jsonl --json");
    cut.expect(3);
    let report = cut.json();
    assert_eq!(
        (&report["not_json"], &report["secrets"], &report["records"]),
        (&json!(1), &json!(1), &json!(2))
    );
    run(&sandbox, "scan nothing.jsonl").expect(2);
}

#[test]
fn a_report_says_how_many_findings_it_does_not_list_and_whose_rules_it_used() {
    let sandbox = Sandbox::new();
    let (_, mail) = planted();
    sandbox.write("in.jsonl", format!("{{\"a\":\"{mail}\"}}\n").repeat(103));
    sandbox.write(
        "rules.toml",
        "[[rules]]\nid = \"own\"\nregex = \"own-[0-9]{6}\"\n",
    );
    let report = run(&sandbox, "scan in.jsonl --rules rules.toml --json");
    report.expect(3);
    let report = report.json();
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(100));
    assert_eq!(report["findings_left_out"], 3);
    assert_eq!(report["rules_sha256"].as_str().map(str::len), Some(64));
    let all = run(&sandbox, "scan in.jsonl --each --json").json();
    assert_eq!(all["findings"].as_array().map(Vec::len), Some(103));
    assert_eq!(all["rules_sha256"], Value::Null);
}
