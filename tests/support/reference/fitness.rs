//! What a configuration asks beyond the rules: few words, and that TRL takes the record. Trajectories are
//! those of gleaner's own: `tool`, `arguments`, `result`.

use super::Asked;
use super::json::{Object, as_text, is_null};

/// A tokenizer of words between white space.
pub const WORDS: &str = r#"{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":null,"pre_tokenizer":{"type":"WhitespaceSplit"},"post_processor":null,"decoder":null,"model":{"type":"WordLevel","vocab":{"?":0},"unk_token":"?"}}"#;

type Entries = Vec<Object>;

/// Fatal codes of a record.
pub fn judge(object: &Object, turns: &[Object], asked: &Asked) -> Vec<&'static str> {
    let mut errors = Vec::new();
    let turns: Vec<_> = turns.iter().map(|turn| (turn, trajectory(turn))).collect();
    let words = |text: Option<String>| text.unwrap_or_default().split_whitespace().count();
    let of_entry = |entry: &Object| {
        let arguments = entry.get("arguments").map(|value| value.get().to_owned());
        words(as_text(entry.get("tool"))) + words(arguments) + words(as_text(entry.get("result")))
    };
    let of_turn = |(turn, entries): &(&Object, Entries)| {
        let said = ["userMessage", "modelMessage"].map(|name| words(as_text(turn.get(name))));
        said.iter().sum::<usize>() + entries.iter().map(of_entry).sum::<usize>()
    };
    let all = words(as_text(object.get("system"))) + turns.iter().map(of_turn).sum::<usize>();
    if asked.max_words.is_some_and(|most| all > most) {
        errors.push("too_long");
    }
    let is_silent = |(turn, entries): &(&Object, Entries)| {
        let text = as_text(turn.get("modelMessage")).unwrap_or_default();
        text.trim().is_empty() && entries.is_empty()
    };
    let has_no_result = |(_, entries): &(&Object, Entries)| {
        let lacks = |entry: &Object| entry.get("result").is_none_or(is_null);
        entries.iter().any(lacks)
    };
    if asked.valid_for_trl && turns.iter().any(is_silent) {
        errors.push("not_for:trl:empty_reply");
    } else if asked.valid_for_trl && turns.first().is_none_or(has_no_result) {
        // The conversation ends before the first turn.
        errors.push("not_for:trl:nothing_left");
    }
    errors
}

fn trajectory(turn: &Object) -> Entries {
    let entries = turn.get("trajectory");
    entries
        .and_then(|value| serde_json::from_str(value.get()).ok())
        .unwrap_or_default()
}
