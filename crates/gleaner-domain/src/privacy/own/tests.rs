use serde_json::{Value, json};

use super::*;
use crate::privacy::examples::example;
use crate::privacy::finder::Finder;
use crate::privacy::placeholder::Key;
use crate::privacy::redaction::Redactor;

fn own(file: Value) -> Result<OwnRules, RuleFault> {
    let file = RulesFile::deserialize(file).expect("a file of rules");
    OwnRules::new(file, "digest".to_owned())
}

fn rule(id: &str, regex: &str) -> Value {
    json!({"id": id, "description": "d", "regex": regex})
}

/// What is found in a text, by which rule.
fn found(file: Value, text: &str) -> Vec<(&'static str, String)> {
    let finder = Finder::new(true, true, &own(file).expect("right"));
    let mut found = Vec::new();
    finder.find(text.as_bytes(), &mut found);
    (found.into_iter())
        .map(|one| (finder.rule(one.rule).id, text[one.at].to_owned()))
        .collect()
}

fn texts(rule: Value, text: &str) -> Vec<String> {
    let found = found(json!({"rules": [rule]}), text).into_iter();
    found.map(|(_, text)| text).collect()
}

#[test]
fn a_rule_is_tried_where_one_of_its_keywords_is() {
    let mut acme = rule("acme-key", r"\b[a-f]{6}\b");
    assert_eq!(
        texts(acme.clone(), "say abcdef abcdefa fedcba"),
        ["abcdef", "fedcba"]
    );
    acme["keywords"] = json!(["ACME", "corp"]);
    assert!(texts(acme.clone(), "say abcdef").is_empty());
    assert_eq!(texts(acme, "abcdef is Acme's"), ["abcdef"]);
}

#[test]
fn the_secret_is_the_group_that_is_asked_for_or_the_first() {
    let mut acme = rule("acme-key", r"(?i)(acme)=(?:([0-9]+)|([a-z]+))");
    assert_eq!(texts(acme.clone(), "ACME=12 acme=xy"), ["ACME", "acme"]);
    acme["secretGroup"] = json!(3);
    assert_eq!(texts(acme.clone(), "acme=xy"), ["xy"]);
    acme["secretGroup"] = json!(4);
    let refused = own(json!({"rules": [acme]}))
        .expect_err("refused")
        .to_string();
    assert_eq!(
        refused,
        r#"rule "acme-key": secretGroup is 4, and its regex has 3 groups"#
    );
    assert_eq!(texts(rule("a-b", "key=(?:(x+)|(y+))"), "key=yyy"), ["yyy"]);
}

#[test]
fn entropy_is_above_that_of_the_rule() {
    let mut acme = rule("acme-key", "k:([a-z]+)");
    acme["entropy"] = json!(2.0);
    assert_eq!(
        texts(acme, "k:abcd k:abcde"),
        ["abcde"],
        "two bits are not above two"
    );
}

#[test]
fn allow_lists_take_findings_back() {
    let with = |list: Value| {
        let mut acme = rule("acme-key", "key ([a-z]+)");
        acme["allowlists"] = json!([list]);
        texts(acme, "key one\nkey two, an Example\nkey three")
    };
    assert_eq!(with(json!({"regexes": ["^t"]})), ["one"]);
    assert_eq!(
        with(json!({"regexes": ["^key t"]})),
        ["one", "two", "three"]
    );
    assert_eq!(
        with(json!({"regexes": ["^key t"], "regexTarget": "match"})),
        ["one"]
    );
    assert_eq!(
        with(json!({"regexes": ["Example$"], "regexTarget": "line"})),
        ["one", "three"]
    );
    assert_eq!(with(json!({"stopwords": ["WO"]})), ["one", "three"]);
    let both = json!({"regexes": ["^t"], "stopwords": ["wo"]});
    assert_eq!(with(both.clone()), ["one"]);
    let mut and = both;
    and["condition"] = json!("AND");
    assert_eq!(with(and.clone()), ["one", "three"]);
    and["paths"] = json!(["x"]);
    assert_eq!(with(and), ["one", "two", "three"], "there is no path");
    let everywhere = json!({
        "rules": [rule("a-1", "key ([a-z]+)"), rule("b-1", "an ([A-Z][a-z]+)")],
        "allowlists": [{"stopwords": ["t"], "targetRules": ["a-1"]}],
        "allowlist": {"regexes": ["^Ex"], "paths": ["x"]},
    });
    assert_eq!(found(everywhere, "key one\nkey two, an Example").len(), 1);
}

#[test]
fn own_rules_go_before_those_of_gleaner_and_may_replace_them() {
    let token = example("ghp_{30w}{crc}", 1).text;
    let own_one = json!({"rules": [rule("house-token", r"ghp_\w+")]});
    assert_eq!(found(own_one, &token), [("house-token", token.clone())]);
    let replaced = json!({"rules": [rule("github-pat", "gone")]});
    assert_eq!(found(replaced, &token), []);
    let disabled = json!({"extend": {"useDefault": true, "disabledRules": ["github-pat"]}});
    assert_eq!(found(disabled, &token), []);
}

#[test]
fn what_a_rule_finds_in_placeholders_ends_and_text_stays_text() {
    let file = json!({"rules": [rule("any.thing", r".{3}"), rule("word", r"\w+")]});
    let finder = Finder::new(true, true, &own(file).expect("right"));
    let key = Key::new(&[1; 32]).expect("long enough");
    for key in [None, Some(&key)] {
        let mut redactor = Redactor::new(&finder, key);
        let mut text = "{\"a\":\"été à la plage, \\u00e9t\\u00e9\"}"
            .as_bytes()
            .to_vec();
        assert!(redactor.redact(&mut text, 0, |_| ()).expect("JSON"));
        let record: Value = serde_json::from_slice(&text).expect("JSON");
        let redacted = record["a"].as_str().expect("a text");
        assert!(redacted.starts_with("<ANY_THING"), "{redacted}");
        assert!(!redacted.contains("plage"), "{redacted}");
    }
}

#[test]
fn what_is_not_right_is_named() {
    let refused = |file: Value| own(file).expect_err("refused").to_string();
    let one = |rule: Value| refused(json!({"rules": [rule]}));
    let bad = one(rule("x", "a("));
    assert!(
        bad.starts_with(r#"rule "x": its regex cannot be read"#),
        "{bad}"
    );
    assert!(one(json!({"regex": "a"})).starts_with("rule 1: it has no id"));
    assert!(one(json!({"id": "x"})).contains("no regex"));
    assert!(one(rule("x y", "a")).contains("an id has"));
    assert!(one(json!({"id": "x", "path": "a"})).contains("conversations have none"));
    let twice = json!({"rules": [rule("x", "a"), rule("x", "b")]});
    assert!(refused(twice).contains("two with this id"));
    assert!(refused(json!({"extend": {"path": "a"}})).starts_with("[extend]"));
    let listed = |list: Value| one(json!({"id": "x", "regex": "a", "allowlist": list}));
    assert!(listed(json!({})).contains("no regexes"));
    assert!(listed(json!({"regexes": ["("]})).contains("allow list"));
    assert!(listed(json!({"regexes": ["a"], "condition": "XOR"})).contains("OR"));
    assert!(listed(json!({"regexes": ["a"], "regexTarget": "file"})).contains("regexTarget"));
    assert!(RulesFile::deserialize(json!({"rules": [{"id": "x", "required": []}]})).is_err());
    assert!(is_code("secret:acme-key") && !is_code("secret:a b") && !is_code("acme-key"));
}

#[test]
fn what_is_left_of_an_address_by_a_rule_of_ones_own_is_taken_out_too() {
    let (mail, phone) = (
        example("{8z}@{8z}.co.uk", 1).text,
        "+1 415 266 4821".to_owned(),
    );
    let host = mail.split_once('@').expect("a host").1.to_owned();
    let file =
        json!({"rules": [rule("house-host", &host.replace('.', r"\.")), rule("area", "415")]});
    for text in [mail, phone] {
        let found = found(file.clone(), &text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].1, text, "{found:?}");
    }
}
