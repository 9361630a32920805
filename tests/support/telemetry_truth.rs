//! Copilot Chat telemetry with its truth: records held against what went into the rows.
//!
//! Texts are equal if they are without the white space at both ends: the SDK removes it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use super::reference::hash;

/// The lines of a file, unpacked if its name says so.
pub fn lines(path: &Path) -> impl Iterator<Item = Vec<u8>> + use<> {
    let file = BufReader::new(File::open(path).expect("a file of the data"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(file).expect("zstd");
    decoder.window_log_max(27).expect("a window");
    BufReader::new(decoder)
        .split(b'\n')
        .map(|line| line.expect("a line"))
        .filter(|line| !line.is_empty())
}

/// The rows of one in so many conversations of the real data, by the hash of their ids, file by file. Rows
/// without an id are among them.
pub fn rows_of_one_in(count: i64, folder: &Path) -> [Vec<Vec<u8>>; 2] {
    let is_chosen = |line: &Vec<u8>| {
        let text = String::from_utf8_lossy(line);
        let id = ["\"conversationId\":\"", "\"sessionId\":\""]
            .iter()
            .find_map(|key| text.split_once(key))
            .and_then(|(_, rest)| rest.split_once('"'));
        id.is_none_or(|(id, _)| hash(id.as_bytes()).rem_euclid(count) == 0)
    };
    ["appevents-0.jsonl.zst", "appevents-1.jsonl.zst"]
        .map(|name| lines(&folder.join(name)).filter(is_chosen).collect())
}

/// The conversations of a file of truth.
pub fn truth(path: &Path) -> Vec<Value> {
    lines(path).map(|line| value(&line)).collect()
}

/// JSON as a value. Half a character, which `serde_json` refuses, becomes U+FFFD.
pub fn value(json: &[u8]) -> Value {
    serde_json::from_slice(json).unwrap_or_else(|_| {
        let text = std::str::from_utf8(json).expect("UTF-8");
        serde_json::from_str(&without_halves(text)).expect("JSON")
    })
}

fn without_halves(json: &str) -> String {
    let half = |at: usize| {
        let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
        let unit = u16::from_str_radix(digits, 16).ok()?;
        (0xD800..0xE000).contains(&unit).then_some(unit)
    };
    let mut out = String::new();
    let mut at = 0;
    while let Some(length) = json[at..].find('\\') {
        out.push_str(&json[at..at + length]);
        at += length;
        let (taken, kept) = match (half(at), half(at + 6)) {
            (Some(0xD800..0xDC00), Some(0xDC00..)) => (12, &json[at..at + 12]),
            (Some(_), _) => (6, "\u{fffd}"),
            (None, _) => (2, &json[at..at + 2]),
        };
        out.push_str(kept);
        at += taken;
    }
    out + &json[at..]
}

/// What became of a conversation.
#[derive(Debug)]
pub enum Found {
    /// Its record.
    Record(Value),
    /// It was left out, and why.
    LeftOut(String),
}

/// How many of what, by kind of fault.
#[derive(Debug, Default)]
pub struct Score {
    by_fault: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Where something is wrong: what, which conversation, which turn.
    pub wrong: Vec<(&'static str, String, u64)>,
    pub total: BTreeMap<&'static str, u64>,
}

impl Score {
    /// Counts what was found of a conversation.
    pub fn add(&mut self, truth: &Value, found: Option<&Found>) {
        let id = text(&truth["conversationId"]);
        let starts_before =
            faults(truth).any(|fault| fault == "before_window") || truth["kind"] == "before_window";
        let record = match found {
            Some(Found::Record(record)) => Some(record),
            _ => None,
        };
        let left_out = match found {
            Some(Found::LeftOut(why)) => why.as_str(),
            _ => "",
        };
        if starts_before {
            self.count(truth, "starts before", 1);
            self.check(
                truth,
                "not incomplete",
                left_out.starts_with("Incomplete"),
                &id,
                0,
            );
            return;
        }
        if truth["allAgent"] == Value::Bool(false) {
            self.count(truth, "not all agent", 1);
            self.check(truth, "other mode taken", record.is_none(), &id, 0);
            return;
        }
        self.count(truth, "conversations", 1);
        let ids = |turns: &Value| -> Vec<String> {
            let turns = turns.as_array().expect("turns").iter();
            turns.map(|turn| text(&turn["messageId"])).collect()
        };
        let right = record.is_some_and(|record| {
            truth["turns"][0]["turnId"].is_string()
                && record["turnsArray"].as_array().map(Vec::len)
                    == truth["turns"].as_array().map(Vec::len)
                || ids(&record["turnsArray"]) == ids(&truth["turns"])
        });
        if !self.check(truth, "wrong set of turns", right, &id, 0) {
            return;
        }
        let record = record.expect("a record");
        let name = truth.get("userNameInRows").unwrap_or(&truth["userName"]);
        let name_is_right = record["userName"] == *name
            || record["userName"].is_null() && *name == "undefined"
            || record["userName"].is_null() && name.is_null();
        self.check(truth, "wrong user name", name_is_right, &id, 0);
        let turns = record["turnsArray"].as_array().expect("turns");
        for (turn, truth_of_turn) in turns.iter().zip(truth["turns"].as_array().expect("turns")) {
            self.add_turn(truth, &id, truth_of_turn, turn);
        }
    }

    fn add_turn(&mut self, truth: &Value, id: &str, wanted: &Value, turn: &Value) {
        let index = wanted["turnIndex"].as_u64().expect("an index");
        let has = |code: &str| {
            let codes = turn["quality"].as_array();
            codes.is_some_and(|codes| codes.iter().any(|found| found == code))
        };
        self.count(truth, "turns", 1);
        let user = trimmed(&turn["userMessage"]) == trimmed(&wanted["userMessage"]);
        let user_sure = !has("user_text_cut") && !has("user_text_trimmed");
        self.count(truth, "user exact", u64::from(user));
        self.count(truth, "user exact, sure", u64::from(user && user_sure));
        self.check(truth, "user wrong, sure", user || !user_sure, id, index);
        if !user {
            self.wrong.push(("user inexact", id.to_owned(), index));
        }
        let model = trimmed(&turn["modelMessage"]) == trimmed(&wanted["modelMessage"]);
        let model_sure = !has("model_text_cut") && !has("model_text_unconfirmed");
        self.count(truth, "model exact", u64::from(model));
        self.count(truth, "model exact, sure", u64::from(model && model_sure));
        self.check(truth, "model wrong, sure", model || !model_sure, id, index);
        if !model_sure {
            self.wrong.push(("model unsure", id.to_owned(), index));
        }
        if wanted.get("rounds").is_none() {
            return;
        }
        for key in ["promptTokens", "completionTokens", "llmCallCount"] {
            let count = |turn: &Value| turn[key].as_u64().unwrap_or(0);
            let right = count(turn) == count(wanted);
            if has("tokens_missing") && key != "llmCallCount" {
                self.count(truth, "tokens said to be missing", 1);
            } else {
                self.check(truth, "tokens or calls wrong", right, id, index);
            }
        }
        let model = turn["model"] == wanted["model"];
        self.check(truth, "model's name wrong", model, id, index);
        self.add_tool_calls(truth, id, wanted, turn);
        let unknown = u64::from(has("tool_calls_unknown"));
        self.count(truth, "tool calls said to be unknown", unknown);
    }

    fn add_tool_calls(&mut self, truth: &Value, id: &str, wanted: &Value, turn: &Value) {
        let index = wanted["turnIndex"].as_u64().expect("an index");
        let none = Vec::new();
        let steps = turn["trajectory"].as_array().unwrap_or(&none);
        let mut known = BTreeSet::new();
        let mut all_there = true;
        for round in wanted["rounds"].as_array().expect("rounds") {
            let is_seen_later = round["toolCallsSeenLater"] != Value::Bool(false);
            for call in round["toolCalls"].as_array().expect("calls") {
                let step = steps.iter().find(|step| step["id"] == call["id"]);
                known.insert(text(&call["id"]));
                all_there &= step.is_some_and(|step| step["arguments"] == call["arguments"]);
                if !is_seen_later {
                    self.count(truth, "tool calls never sent", 1);
                    continue;
                }
                self.count(truth, "tool calls", 1);
                let Some(step) = step else {
                    self.check(truth, "tool call not seen", false, id, index);
                    continue;
                };
                self.count(truth, "tool calls seen", 1);
                let exact = step["arguments"] == call["arguments"] && step["tool"] == call["name"];
                self.count(truth, "arguments exact", u64::from(exact));
                if !exact {
                    self.wrong.push(("arguments inexact", id.to_owned(), index));
                }
                let round = step["round"] == round["round"];
                self.check(truth, "tool call in another round", round, id, index);
                let result = trimmed(&step["result"]) == trimmed(&call["result"]);
                self.count(truth, "results exact", u64::from(result));
                if !result {
                    self.wrong.push(("result inexact", id.to_owned(), index));
                }
            }
        }
        let invented = steps.iter().any(|step| !known.contains(&text(&step["id"])));
        self.check(truth, "tool call invented", !invented, id, index);
        let says = turn["quality"]
            .as_array()
            .is_some_and(|codes| codes.iter().any(|code| code == "tool_calls_unknown"));
        self.check(
            truth,
            "tool calls wrong, sure",
            all_there || says,
            id,
            index,
        );
    }

    /// Counts what is not right; says whether it is.
    fn check(
        &mut self,
        truth: &Value,
        what: &'static str,
        right: bool,
        id: &str,
        turn: u64,
    ) -> bool {
        self.count(truth, what, u64::from(!right));
        if !right {
            self.wrong.push((what, id.to_owned(), turn));
        }
        right
    }

    fn count(&mut self, truth: &Value, what: &'static str, count: u64) {
        *self.total.entry(what).or_default() += count;
        let mut kinds: Vec<String> = faults(truth).collect();
        if kinds.is_empty() {
            kinds.push("(none)".to_owned());
        }
        for kind in kinds {
            *self
                .by_fault
                .entry(kind)
                .or_default()
                .entry(what)
                .or_default() += count;
        }
    }

    /// How many.
    pub fn of(&self, what: &str) -> u64 {
        self.total.get(what).copied().unwrap_or(0)
    }

    /// Which part of one count another is.
    pub fn share(&self, part: &str, of: &str) -> f64 {
        100.0 * self.of(part) as f64 / self.of(of) as f64
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.total {
            writeln!(f, "{count:8} {what}")?;
            let kinds = self.by_fault.iter();
            let kinds: Vec<String> = kinds
                .filter_map(|(kind, counts)| Some((kind, counts.get(what)?)))
                .filter(|(_, count)| **count > 0)
                .map(|(kind, count)| format!("{kind} {count}"))
                .collect();
            writeln!(f, "         {}", kinds.join(", "))?;
        }
        Ok(())
    }
}

fn faults(truth: &Value) -> impl Iterator<Item = String> + '_ {
    let faults = truth["faults"].as_array().into_iter().flatten();
    faults.map(|fault| {
        fault
            .as_str()
            .map_or_else(|| fault.to_string(), str::to_owned)
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Whether two texts are equal but for white space at their ends.
pub fn texts_are_equal(a: &Value, b: &Value) -> bool {
    trimmed(a) == trimmed(b)
}

fn trimmed(value: &Value) -> &str {
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    value.as_str().unwrap_or_default().trim_matches(is_space)
}
