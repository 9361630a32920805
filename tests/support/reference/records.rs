//! Records: how they are written, and which are valid.

use std::collections::{BTreeMap, BTreeSet};

use super::json::{Object, as_text, has_lone_surrogate, integer, is_missing, is_null, written};
use super::rows::TURN;
use super::trust::Users;
use super::{Asked, bucket_of, fitness, groups};

pub fn turn_text(row: &Object, turn: i64, sorted: bool) -> String {
    let or_null = |name: &str| {
        row.get(name)
            .map_or("null".to_owned(), |v| written(v, sorted))
    };
    let mut out = format!("{{\"turnIndex\":{turn}");
    for name in &TURN[1..6] {
        out += &format!(",\"{name}\":{}", or_null(name));
    }
    if row.get("trajectory").is_some_and(|v| !is_null(v)) {
        out += &format!(",\"trajectory\":{}", or_null("trajectory"));
    }
    let names: BTreeSet<&str> = row.0.iter().map(|(key, _)| key.as_str()).collect();
    let no_place = ["Timestamp", "conversationId", "userName", "mode"];
    for name in names {
        if !TURN.contains(&name) && !no_place.contains(&name) && !row.get(name).is_some_and(is_null)
        {
            out += &format!(
                ",{}:{}",
                serde_json::to_string(name).expect("text"),
                or_null(name)
            );
        }
    }
    out + "}"
}

pub fn assembled(id: &str, turns: &BTreeMap<i64, Object>, sorted: bool) -> String {
    let name = turns
        .values()
        .find_map(|row| row.get("userName").filter(|v| !is_missing(Some(v))));
    let name = name.map_or("null".to_owned(), |v| written(v, sorted));
    let bucket = bucket_of(turns.len()).map_or("null".to_owned(), |b| format!("\"{}\"", b.0));
    let array: Vec<String> = turns
        .iter()
        .map(|(i, row)| turn_text(row, *i, sorted))
        .collect();
    let mut out = format!(
        "{{\"conversationId\":{},\"userName\":{name},\"turnCount\":{},\"bucket\":{bucket},\"turnsArray\":[{}]",
        serde_json::to_string(id).expect("text"),
        turns.len(),
        array.join(","),
    );
    for field in ["promptTokens", "completionTokens", "llmCallCount"] {
        let counts: Vec<i64> = turns
            .values()
            .filter_map(|row| integer(row.get(field)))
            .collect();
        let sum: i128 = counts.iter().map(|n| i128::from(*n)).sum();
        let sum = if counts.is_empty() {
            "null".to_owned()
        } else {
            sum.to_string()
        };
        out += &format!(",\"{field}\":{sum}");
    }
    out + "}"
}

/// Fatal codes and warnings of a record.
pub fn judge(record: &str, split: &str, asked: &Asked) -> (Vec<&'static str>, Vec<&'static str>) {
    judge_as_read(record, record, split, asked)
}

/// The same of a record that leaves otherwise than it was read: its group is that of what was read.
pub fn judge_as_read(
    record: &str,
    as_read: &str,
    split: &str,
    asked: &Asked,
) -> (Vec<&'static str>, Vec<&'static str>) {
    let object: Object = serde_json::from_str(record).expect("checked");
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let id = as_text(object.get("conversationId"));
    let turns: Option<Vec<Object>> = object
        .get("turnsArray")
        .and_then(|array| serde_json::from_str(array.get()).ok());
    let mut fatal = |wrong: bool, code| {
        if wrong {
            errors.push(code)
        }
    };
    fatal(
        is_missing(object.get("conversationId")),
        "missing_field:conversationId",
    );
    fatal(
        asked.users != Users::Drop && is_missing(object.get("userName")),
        "missing_field:userName",
    );
    fatal(is_missing(object.get("bucket")), "missing_field:bucket");
    fatal(turns.is_none(), "missing_field:turnsArray");
    fatal(groups::is_missing(as_read, asked), "missing_group");
    fatal(
        id.is_some_and(|id| groups::split_of_record(&id, as_read, asked) != split),
        "split_mismatch",
    );
    let turns = turns.unwrap_or_default();
    let indices: Vec<Option<i64>> = turns.iter().map(|t| integer(t.get("turnIndex"))).collect();
    fatal(indices.first() != Some(&Some(1)), "first_turn");
    fatal(
        (1..).zip(&indices).any(|(i, index)| *index != Some(i)),
        "turn_sequence",
    );
    let declared = as_text(object.get("bucket"));
    let fits = bucket_of(turns.len()).is_some_and(|(name, file)| {
        declared.as_deref() == Some(name) || declared.as_deref() == Some(file)
    });
    let counted = integer(object.get("turnCount")) == Some(turns.len() as i64);
    fatal(
        !(fits || is_missing(object.get("bucket"))) || !counted,
        "bucket_mismatch",
    );
    let blank = |name| {
        turns
            .iter()
            .any(|t| as_text(t.get(name)).is_none_or(|m| m.chars().all(char::is_whitespace)))
    };
    fatal(blank("userMessage"), "empty_user_message");
    fatal(has_lone_surrogate(record), "lone_surrogate");
    errors.extend(fitness::judge(&object, &turns, asked));
    if blank("modelMessage") {
        warnings.push("empty_model_message");
    }
    let number = |name| object.get(name).and_then(|v| v.get().parse::<f64>().ok());
    if !number("promptTokens").is_some_and(|n| n > 0.0)
        || !number("completionTokens").is_some_and(|n| n >= 0.0)
    {
        warnings.push("token_counts");
    }
    (errors, warnings)
}
