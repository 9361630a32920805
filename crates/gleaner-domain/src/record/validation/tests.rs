use super::*;
use crate::selection::stratum::fixtures::selection;

/// A valid record of `World`, which hashes to train.
fn record() -> serde_json::Value {
    let turn =
        |i: u64| serde_json::json!({"turnIndex": i, "userMessage": "u", "modelMessage": "m"});
    serde_json::json!({
        "conversationId": "World", "userName": "n", "turnCount": 3, "bucket": "short",
        "turnsArray": [turn(1), turn(2), turn(3)], "promptTokens": 1, "completionTokens": 0,
    })
}

#[test]
fn codes_of_quality_that_are_rejected_are_fatal_and_named_once() {
    let mut marked = record();
    marked["quality"] = serde_json::json!(["tools_unknown", "new_code", 7]);
    marked["turnsArray"][1]["quality"] = serde_json::json!(["model_text_cut"]);
    marked["turnsArray"][2]["quality"] = serde_json::json!(["model_text_cut", "tokens_missing"]);
    marked["turnsArray"][0]["quality"] = serde_json::json!("user_text_cut");
    let text = serde_json::to_vec(&marked).expect("JSON");
    let errors = |rejected: &[QualityCode]| -> Vec<String> {
        let rejected = rejected.iter().copied().collect();
        let selection = selection(1).rejecting(rejected);
        let verdict = validate(&text, "train", &selection).expect("an object");
        let errors = verdict.errors.iter();
        errors
            .map(|(code, what)| format!("{code}: {what}"))
            .collect()
    };
    assert_eq!(errors(&[]), [""; 0]);
    assert_eq!(
        errors(&QualityCode::ALL),
        [
            "quality:model_text_cut: at turn 2",
            "quality:tokens_missing: at turn 3",
            "quality:tools_unknown: of the record",
        ]
    );
    let one = [QualityCode::TokensMissing, QualityCode::UserTextCut];
    assert_eq!(errors(&one), ["quality:tokens_missing: at turn 3"]);
    let row = crate::record::row::read(&text, &selection(1)).expect("a row");
    assert!(format!("{:?}", row.kind).contains("prevalidated: true"));
    let strict = selection(1).rejecting(QualityCode::ALL.into_iter().collect());
    let row = crate::record::row::read(&text, &strict).expect("a row");
    assert!(format!("{:?}", row.kind).contains("prevalidated: false"));
}

fn codes(record: &serde_json::Value) -> Vec<&'static str> {
    let text = serde_json::to_vec(record).expect("JSON");
    let verdict = validate(&text, "train", &selection(1)).expect("an object");
    let warnings = verdict.warnings.iter().map(|code| code.name());
    verdict
        .errors
        .iter()
        .map(|(code, _)| code.name())
        .chain(warnings)
        .collect()
}

#[test]
fn a_valid_record_passes() {
    assert_eq!(codes(&record()), Vec::<&str>::new());
}

type Break = fn(&mut serde_json::Value);

fn finds(cases: &[(Break, &[&str])]) {
    for (number, (change, expected)) in cases.iter().enumerate() {
        let mut broken = record();
        change(&mut broken);
        let found: Vec<_> = codes(&broken)
            .into_iter()
            .filter(|c| *c != "split_mismatch")
            .collect();
        assert_eq!(found, *expected, "case {number}");
    }
}

#[test]
fn every_rule_of_the_record_finds_its_fault() {
    finds(&[
        (
            |r| r["conversationId"] = " ".into(),
            &["missing_field:conversationId"],
        ),
        (
            |r| r["userName"] = "\u{2003}\n".into(),
            &["missing_field:userName"],
        ),
        (
            |r| r["userName"] = serde_json::Value::Null,
            &["missing_field:userName"],
        ),
        (|r| r["bucket"] = "".into(), &["missing_field:bucket"]),
        (
            |r| r["turnsArray"] = serde_json::Value::Null,
            &["missing_field:turnsArray"],
        ),
        (|r| r["conversationId"] = "é2".into(), &[]),
        (|r| r["bucket"] = "medium".into(), &["bucket_mismatch"]),
        (|r| r["bucket"] = "short_3_to_5_turns".into(), &[]),
        (|r| r["turnCount"] = 4.into(), &["bucket_mismatch"]),
        (|r| r["turnCount"] = "3".into(), &["bucket_mismatch"]),
        (|r| r["promptTokens"] = 0.into(), &["token_counts"]),
        (|r| r["completionTokens"] = "1".into(), &["token_counts"]),
    ]);
}

#[test]
fn every_rule_of_turns_finds_its_fault() {
    finds(&[
        (
            |r| r["turnsArray"][0]["turnIndex"] = 0.into(),
            &["first_turn", "turn_sequence"],
        ),
        (
            |r| r["turnsArray"][1]["turnIndex"] = 3.into(),
            &["turn_sequence"],
        ),
        (
            |r| r["turnsArray"][1]["turnIndex"] = "2".into(),
            &["turn_sequence"],
        ),
        (|r| r["turnsArray"][1]["turnIndex"] = 2.0.into(), &[]),
        (
            |r| r["turnsArray"][2]["userMessage"] = " \u{a0}".into(),
            &["empty_user_message"],
        ),
        (
            |r| r["turnsArray"][2]["userMessage"] = 7.into(),
            &["empty_user_message"],
        ),
        (
            |r| r["turnsArray"][2]["modelMessage"] = "".into(),
            &["empty_model_message"],
        ),
    ]);
}

#[test]
fn a_record_in_the_wrong_split_is_found() {
    let text = serde_json::to_vec(&record()).expect("JSON");
    let verdict = validate(&text, "val", &selection(1)).expect("an object");
    assert_eq!(verdict.errors[0].0, Code::SplitMismatch);
}

#[test]
fn a_lone_surrogate_is_found_at_any_depth_and_in_keys() {
    let text = serde_json::to_string(&record()).expect("JSON");
    for hidden in [r#""x":{"y":["\ud83d"]}"#, r#""\ude42":1"#] {
        let broken = text.replacen('{', &format!("{{{hidden},"), 1);
        let verdict = validate(broken.as_bytes(), "train", &selection(1)).expect("an object");
        assert_eq!(verdict.errors[0].0, Code::LoneSurrogate);
    }
    let paired = text.replacen('{', r#"{"x":"\ud83d\ude42","#, 1);
    assert!(
        validate(paired.as_bytes(), "train", &selection(1))
            .expect("an object")
            .is_valid()
    );
}

#[test]
fn what_is_no_object_is_an_error() {
    for text in ["[]", "", "{\"a\":1", "{} x"] {
        assert!(
            validate(text.as_bytes(), "train", &selection(1)).is_err(),
            "{text}"
        );
    }
}

#[test]
fn of_all_codes_two_are_warnings_unless_a_rule_of_the_hosts_own_is_one() {
    let warnings: Vec<Code> = Code::warnings().collect();
    assert_eq!(warnings, [Code::EmptyModelMessage, Code::TokenCounts]);
    for code in Code::ALL {
        assert_eq!(code.is_fatal(), !warnings.contains(&code), "{code}");
    }
    for is_fatal in [false, true] {
        let name = "own";
        assert_eq!(Code::Custom { name, is_fatal }.is_fatal(), is_fatal);
    }
}

#[test]
fn a_record_is_nested_two_levels_deeper_than_a_row_may_be() {
    let nested = |depth: usize| {
        let inner = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
        let text = format!("{{\"x\":{inner}}}");
        validate(text.as_bytes(), "train", &selection(1)).map(drop)
    };
    assert_eq!(nested(MAX_DEPTH as usize + 2), Ok(()));
    assert_eq!(nested(MAX_DEPTH as usize + 3), Err(JsonError::TooDeep));
}

#[test]
fn a_verdict_says_what_the_record_says_of_itself() {
    let reported = |record: &serde_json::Value| {
        let text = serde_json::to_vec(record).expect("JSON");
        let verdict = validate(&text, "train", &selection(1)).expect("an object");
        (verdict.conversation_id, verdict.bucket, verdict.turns)
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(reported(&record()), (text("World"), text("short"), Some(3)));
    let mut escaped = record();
    escaped["bucket"] = "a\"\n".into();
    assert_eq!(reported(&escaped).1, text("a\"\n"), "decoded");
    for field in ["conversationId", "bucket", "turnsArray"] {
        let mut other = record();
        other[field] = 7.into();
        let (id, bucket, turns) = reported(&other);
        let is_there = [id.is_some(), bucket.is_some(), turns.is_some()];
        assert_eq!(is_there.into_iter().filter(|is| *is).count(), 2, "{field}");
    }
}

/// A token a word.
#[derive(Debug)]
struct Words;

impl crate::conversion::tokens::Tokenize for Words {
    fn sha256(&self) -> &str {
        "words"
    }

    fn count(&self, text: &str) -> Result<u64, crate::conversion::tokens::NotEncodable> {
        Ok(text.split_whitespace().count() as u64)
    }

    fn ends(&self, _: &str) -> Result<Vec<usize>, crate::conversion::tokens::NotEncodable> {
        unreachable!("a count is enough")
    }
}

#[test]
fn records_that_a_loader_drops_or_that_are_too_long_are_invalid_where_that_is_asked() {
    use crate::conversion::Preset;
    use crate::selection::fitness::{Fitness, TokenLimit};
    let mut record = record();
    record["turnsArray"][1]["userMessage"] = "one two three".into();
    record["turnsArray"][2]["modelMessage"] = "".into();
    record["turnsArray"][2]["turnIndex"] = 4.into();
    let text = serde_json::to_vec(&record).expect("JSON");
    let limit = |max_tokens, has_it: bool| TokenLimit {
        max_tokens: std::num::NonZeroU64::new(max_tokens),
        sha256: "words".to_owned(),
        tokenizer: has_it.then(|| std::sync::Arc::new(Words) as _),
    };
    let errors = |fitness: Fitness| -> Vec<String> {
        let strict = selection(1).fitting(fitness);
        let verdict = validate(&text, "train", &strict).expect("an object");
        assert!(verdict.errors.is_sorted_by_key(|(code, _)| *code));
        let errors = verdict.errors.iter().skip(1);
        errors
            .map(|(code, what)| format!("{code}: {what}"))
            .collect()
    };
    assert_eq!(errors(Fitness::default()), [""; 0]);
    let both = Fitness::new(vec![Preset::Mistral, Preset::Trl], Some(limit(6, true)));
    let expected = [
        "too_long: 7 tokens, at most 6 are allowed",
        "not_for:trl:empty_reply: trl would drop it",
        "not_for:mistral:empty_reply: mistral would drop it",
    ];
    assert_eq!(errors(both.clone()), expected);
    assert_eq!(
        errors(Fitness::new(Vec::new(), Some(limit(7, true)))),
        [""; 0]
    );
    let unmeasured = Fitness::new(Vec::new(), Some(limit(1, false)));
    assert!(unmeasured.lacks_tokenizer());
    assert_eq!(errors(unmeasured.clone()), [""; 0]);
    let measured = unmeasured.with_tokenizer(std::sync::Arc::new(Words));
    assert_eq!(
        errors(measured),
        ["too_long: 7 tokens, at most 1 are allowed"]
    );
    // The manifest says all but the tokenizer.
    let strict = selection(1).fitting(both);
    let written = crate::dataset::manifest::SelectionRecord::from(&strict);
    assert_eq!(written.selection("gleaner"), Ok(strict.clone()));
    let valid = serde_json::to_vec(&self::record()).expect("JSON");
    for (selection, prevalidated) in [(selection(1), "true"), (strict, "false")] {
        let row = crate::record::row::read(&valid, &selection).expect("a row");
        let shown = format!("prevalidated: {prevalidated}");
        assert!(format!("{:?}", row.kind).contains(&shown));
    }
}

#[test]
fn a_verdict_has_the_fields_that_the_record_has() {
    let record = br#"{"conversationId":"x","bucket":null,"turnsArray":[{"a":[1]}],"turnCount":1,"\u0065":{"b":2},"userName":true}"#;
    let verdict = validate(record, "train", &selection(1)).expect("an object");
    assert_eq!(verdict.fields, FieldKinds::of_checked(record));
    assert_ne!(verdict.fields, FieldKinds::default());
}
