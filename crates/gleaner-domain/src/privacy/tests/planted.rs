//! Two thousand secrets of every kind in records as agents write them: none is left.

use super::*;

/// Secrets that are planted of each form.
const OF_EACH: u64 = 20;

/// A conversation with a text in one of the ways in which agents' records hold texts.
fn record(way: u64, text: &str) -> String {
    let call = |name: &str, arguments: String, result: Value| json!({"name": name, "arguments": arguments, "result": result});
    let (user, model, calls) = match way % 7 {
        0 => (format!("use {text} please"), String::new(), vec![]),
        1 => ("why".to_owned(), format!("```\n{text}\n```"), vec![]),
        2 => (
            String::new(),
            String::new(),
            vec![call("run", json!({"command": text}).to_string(), json!(""))],
        ),
        3 => (
            String::new(),
            String::new(),
            vec![call(
                "read",
                "{}".to_owned(),
                json!({"output": json!({"files": [{"text": text}]}).to_string()}),
            )],
        ),
        // JSON that was cut off, and a program's text with it inside.
        4 => (
            String::new(),
            json!({"log": text}).to_string() + "…",
            vec![],
        ),
        5 => (
            String::new(),
            String::new(),
            vec![call(
                "read",
                "{}".to_owned(),
                json!(format!("1\t{}", json!(text))),
            )],
        ),
        _ => (
            String::new(),
            String::new(),
            vec![call(
                text,
                "{}".to_owned(),
                json!([{"type": "text", "text": text}]),
            )],
        ),
    };
    let turn =
        json!({"turnIndex": 1, "userMessage": user, "modelMessage": model, "trajectory": calls});
    let record =
        json!({"conversationId": "c", "userName": "n", "bucket": "short", "turnsArray": [turn]})
            .to_string();
    if way.is_multiple_of(2) {
        return record;
    }
    // Escapes that nothing asks for.
    record.replace('/', "\\/").replace('k', "\\u006b")
}

/// All texts of a value, also those of JSON in strings.
fn texts(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => {
            match serde_json::from_str::<Value>(text) {
                Ok(inner @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
                    texts(&inner, out)
                }
                _ => out.push_str(&text.replace("\\n", "\n")),
            }
            out.push('\n');
        }
        Value::Array(elements) => elements.iter().for_each(|element| texts(element, out)),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            out.push_str(key);
            out.push('\n');
            texts(value, out);
        }),
        _ => {}
    }
}

#[test]
fn no_planted_secret_is_left() {
    let mut left = Vec::new();
    let mut planted = 0;
    for (rule, form) in FORMS {
        for seed in 0..OF_EACH {
            let example = example(form, 10_000 + seed);
            let record = record(seed, &example.text);
            let after = redacted(&record, None).0;
            let mut decoded = String::new();
            texts(&serde_json::from_str(&after).expect("JSON"), &mut decoded);
            planted += 1;
            // Of a key that is a file every line is one.
            let lines = example
                .secret
                .lines()
                .filter(|line| line.len() >= 6 && !line.starts_with("--"));
            if lines.into_iter().any(|line| decoded.contains(line)) {
                left.push((*rule, seed % 7, decoded));
            }
        }
    }
    assert!(planted >= 2_000, "{planted}");
    assert!(
        left.is_empty(),
        "{} of {planted}: {:#?}",
        left.len(),
        &left[..left.len().min(5)]
    );
}
