//! What is said about a record before it is trained on.

use serde_json::{Value, json};

use super::{record, turn};
use crate::conversion::check::{
    Checked, Checker, Finding, Kind, Measure, Render, Rendered, StratumTally, TemplateFails,
};
use crate::conversion::rule::Rule;
use crate::conversion::tokens::{NotEncodable, Tokenize, of_record};
use crate::conversion::{Converter, Options, Preset};

/// A token a word.
#[derive(Debug)]
struct Words;

impl Tokenize for Words {
    fn sha256(&self) -> &str {
        "words"
    }

    fn count(&self, text: &str) -> Result<u64, NotEncodable> {
        Ok(self.ends(text)?.len() as u64)
    }

    fn ends(&self, text: &str) -> Result<Vec<usize>, NotEncodable> {
        if text.contains("unspeakable") {
            return Err(NotEncodable);
        }
        let words = text.split_whitespace();
        Ok(words
            .map(|word| word.as_ptr() as usize - text.as_ptr() as usize + word.len())
            .collect())
    }
}

/// `role: content` a line; the model's messages are its own, if it marks them.
#[derive(Debug)]
struct Lines {
    marks: bool,
}

impl Render for Lines {
    fn render(
        &self,
        messages: &[&[u8]],
        _tools: Option<&[u8]>,
        prompt: bool,
    ) -> Result<Rendered, TemplateFails> {
        let (mut text, mut model) = (String::new(), Vec::new());
        for message in messages {
            let message: Value = serde_json::from_slice(message).expect("JSON");
            let (role, content) = (&message["role"], message["content"].as_str());
            let content = content.expect("text");
            match content {
                "refused" => return Err(TemplateFails("refused, line 1".to_owned())),
                "lost" => continue,
                _ => {}
            }
            text.push_str(&format!("{}: ", role.as_str().expect("text")));
            let start = text.len();
            match content.starts_with("quoted") {
                true => text.push_str(&json!(content).to_string()),
                false => text.push_str(content),
            }
            text.push('\n');
            if role == "assistant" {
                model.push(start..text.len());
            }
        }
        if prompt {
            text.push_str("assistant: ");
        }
        Ok(Rendered {
            text,
            model: self.marks.then_some(model),
        })
    }
}

fn check(
    record: &Value,
    preset: Preset,
    template: Option<&Lines>,
    max_length: Option<u64>,
) -> Checked {
    let converter = Converter::new(preset, Options::default());
    let measure = Measure {
        tokenizer: &Words,
        max_length,
    };
    let template = template.map(|template| template as &dyn Render);
    let checker = Checker::new(converter, template, Some(measure));
    let checked = checker.check(record.to_string().as_bytes(), "train");
    checked.expect("a record")
}

fn talk(user: &str, model: &str) -> Value {
    record(vec![
        json!({"turnIndex": 1, "userMessage": user, "modelMessage": model}),
    ])
}

fn codes(checked: &Checked) -> Vec<(&'static str, Kind, u64)> {
    let findings = checked.findings.iter();
    findings
        .map(|(finding, times)| (finding.code(), finding.kind(), *times))
        .collect()
}

#[test]
fn rules_say_what_is_dropped_truncated_and_changed() {
    let empty = record(vec![json!({"userMessage": "u", "modelMessage": " "})]);
    let dropped = check(&empty, Preset::Trl, None, None);
    assert_eq!(codes(&dropped), [("empty_reply", Kind::Dropped, 1)]);
    assert_eq!(dropped.length, None);
    let steps = json!([
        {"tool": "ls", "arguments": [1], "result": {"a": 1}},
        {"tool": "ls", "arguments": "{", "result": "r"},
    ]);
    let cut = check(&record(vec![turn(steps)]), Preset::Trl, None, None);
    let expected = [
        ("arguments_not_json", Kind::Truncated, 1),
        ("wrapped_arguments", Kind::Changed, 1),
        ("result_is_json", Kind::Changed, 1),
        ("made_call_id", Kind::Changed, 2),
        ("no_tools", Kind::Noted, 1),
    ];
    assert_eq!(codes(&cut), expected);
    assert_eq!(cut.worst(), Some(Kind::Truncated));
    let clean = check(&talk("u", "m"), Preset::Trl, None, None);
    assert_eq!(clean.worst(), None);
}

#[test]
fn without_a_template_a_record_is_as_long_as_its_texts() {
    let call = json!({"tool": "grep", "arguments": {"q": "x y"}, "result": "one two"});
    let mut whole = record(vec![turn(json!([call]))]);
    whole["system"] = json!("be kind");
    let checked = check(&whole, Preset::Trl, None, Some(6));
    let length = checked.length.expect("a length");
    // be kind, u, grep, {"q":"x y"}, one two, m; the answer and one word of the result are behind.
    assert_eq!((length.tokens, length.lost), (9, 3));
    assert_eq!(length.model_lost, Some(1));
    assert!(codes(&checked).contains(&("max_length", Kind::Truncated, 1)));
    let of_record = |record: &Value| of_record(record.to_string().as_bytes(), &Words);
    assert_eq!(of_record(&whole), Ok(Ok(9)));
    assert_eq!(of_record(&talk("unspeakable", "m")), Ok(Err(NotEncodable)));
    assert!(of_record(&json!({"conversationId": "c"})).is_err());
    let refused = check(&talk("unspeakable", "m"), Preset::Trl, None, None);
    assert_eq!(codes(&refused), [("not_encodable", Kind::Dropped, 1)]);
}

#[test]
fn tokens_of_the_model_behind_the_longest_length_are_counted() {
    let turns = [("a b", "c d e"), ("f", "g h")];
    let turns = turns.map(|(user, model)| json!({"userMessage": user, "modelMessage": model}));
    let record = record(turns.to_vec());
    // user: a b assistant: c d e user: f assistant: g h
    let lost = |marks, max_length| {
        let checked = check(
            &record,
            Preset::Trl,
            Some(&Lines { marks }),
            Some(max_length),
        );
        let length = checked.length.expect("a length");
        assert_eq!(length.tokens, 12);
        (length.lost, length.model_lost)
    };
    for marks in [true, false] {
        assert_eq!(lost(marks, 12), (0, Some(0)));
        assert_eq!(lost(marks, 11), (1, Some(1)));
        assert_eq!(lost(marks, 8), (4, Some(2)));
        assert_eq!(lost(marks, 5), (7, Some(4)));
    }
}

#[test]
fn what_a_template_does_to_a_text_is_said() {
    let lines = Lines { marks: true };
    let said = |record: &Value| codes(&check(record, Preset::Trl, Some(&lines), None));
    assert_eq!(said(&talk("u", "m")), []);
    let fails = ("template_fails", Kind::Dropped, 1);
    assert_eq!(said(&talk("u", "refused")), [fails]);
    let lost = ("template_drops_text", Kind::Truncated, 1);
    assert_eq!(said(&talk("u", "lost")), [lost]);
    let encoded = ("template_encodes_text", Kind::DoubleEncoded, 1);
    assert_eq!(said(&talk("u", "quoted \"m\"")), [encoded]);
    // Without messages there is nothing to render.
    let other = check(
        &talk("u", "refused"),
        Preset::LlamaFactory,
        Some(&lines),
        None,
    );
    assert_eq!(codes(&other), []);
}

/// The name and nothing else of so many calls of each message.
#[derive(Debug)]
struct Calls {
    most: usize,
}

impl Render for Calls {
    fn render(
        &self,
        messages: &[&[u8]],
        tools: Option<&[u8]>,
        _prompt: bool,
    ) -> Result<Rendered, TemplateFails> {
        let mut text = String::from_utf8_lossy(tools.unwrap_or_default()).into_owned();
        for message in messages {
            let message: Value = serde_json::from_slice(message).expect("JSON");
            let calls = message["tool_calls"].as_array().into_iter().flatten();
            let calls = calls.take(self.most);
            let names = calls.map(|call| call["function"]["name"].as_str().expect("text"));
            let content = message["content"].as_str().into_iter();
            text.extend(content.chain(names).flat_map(|part| [part, "\n"]));
        }
        Ok(Rendered { text, model: None })
    }
}

#[test]
fn calls_that_a_template_leaves_out_are_counted_though_their_names_stand_elsewhere() {
    let call = |round| json!({"tool": "ls", "arguments": {}, "result": "ls", "round": round});
    let mut calls = record(vec![turn(json!([call(0), call(0), call(1)]))]);
    let tool = json!({"type": "function", "function": {"name": "ls", "parameters": {}}});
    calls["tools"] = json!([tool]);
    let dropped = |most| {
        let converter = Converter::new(Preset::Trl, Options::default());
        let template = Calls { most };
        let checker = Checker::new(converter, Some(&template), None);
        let checked = checker.check(calls.to_string().as_bytes(), "train");
        let findings = checked.expect("a record").findings;
        findings.get(&Finding::TemplateDropsCall).copied()
    };
    assert_eq!(dropped(2), None);
    assert_eq!(dropped(1), Some(1));
    assert_eq!(dropped(0), Some(3));
}

#[test]
fn a_record_counts_once_by_the_worst_that_happens_to_it() {
    let mut one = StratumTally::default();
    let mut other = StratumTally::default();
    let steps = json!([{"tool": "ls", "arguments": [1], "result": {"a": 1}}]);
    let changed = check(&record(vec![turn(steps)]), Preset::Trl, None, Some(3));
    one.add(&changed);
    one.add(&check(&talk("u", "m"), Preset::Trl, None, Some(3)));
    other.add(&check(&talk("u", ""), Preset::Trl, None, Some(3)));
    one.merge(other);
    let worst: Vec<_> = one
        .worst
        .iter()
        .map(|(kind, n)| (kind.name(), *n))
        .collect();
    assert_eq!(worst, [("dropped", 1), ("truncated", 1)]);
    assert_eq!((one.records, one.tokens_lost), (3, 2));
    let rule = Finding::Rule(Rule::WrappedArguments);
    assert_eq!(
        (one.findings[&rule].records, one.findings[&rule].times),
        (1, 1)
    );
    assert_eq!(one.lengths.distribution().expect("some").records, 2);
}

#[test]
fn a_record_says_which_rule_drops_it() {
    let dropped = |record: &Value, preset| {
        let converter = Converter::new(preset, Options::default());
        converter.dropped_by(record.to_string().as_bytes())
    };
    assert_eq!(dropped(&talk("u", "m"), Preset::Trl), Ok(None));
    assert_eq!(
        dropped(&talk("u", ""), Preset::Trl),
        Ok(Some(Rule::EmptyReply))
    );
    let call = json!([{"tool": "ls", "arguments": {}, "result": "r"}]);
    let mut open = record(vec![turn(call)]);
    open["turnsArray"][0]["modelMessage"] = json!("");
    assert_eq!(dropped(&open, Preset::Trl), Ok(None));
    assert_eq!(dropped(&open, Preset::Mistral), Ok(Some(Rule::NothingLeft)));
}
