//! Records: SPEC, "The bytes of a record", and the keys that telemetry adds.

use super::super::{Asked, bucket_of};
use super::calls::{Call, Shared, Trust, calls};
use super::json::{Json, Units, parse, units, written};
use super::requests_of;
use super::row::Row;
use super::split::{Loss, trim};
use super::texts::{Codes, model_text, user_text};
use super::tools::{Later, later};

/// A turn, written, and what its record sums.
struct Turn {
    json: String,
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    calls: Option<u64>,
}

/// The record of a conversation with these requests as its turns.
pub fn write(id: &str, turns: &[Units], rows: &[Row], shared: &Shared, asked: &Asked) -> String {
    let requests = requests_of(rows);
    let turn_of =
        |request: &Option<Units>| turns.iter().position(|turn| Some(turn) == request.as_ref());
    let is_used = |request: &Option<Units>| request.is_none() || turn_of(request).is_some();
    let mut used: Vec<(Option<usize>, &Row)> = rows
        .iter()
        .zip(&requests)
        .filter(|(_, request)| is_used(request))
        .map(|(row, request)| (turn_of(request), row))
        .collect();
    used.sort_by(|(_, a), (_, b)| a.order().cmp(&b.order()));
    let all_calls = calls(&used, turns.len(), shared, asked.max_record);
    let of_turn = |turn: usize| -> Vec<&Row> {
        used.iter()
            .filter(|(of, _)| *of == Some(turn))
            .map(|(_, row)| *row)
            .collect()
    };
    let written_turns: Vec<Turn> = (0..turns.len())
        .map(|turn| write_turn(turn, &of_turn(turn), &all_calls))
        .collect();
    let named = |row: &&Row| {
        row.id_of("common.userName")
            .filter(|name| !trim(name).is_empty())
    };
    let name = (0..turns.len()).find_map(|turn| of_turn(turn).iter().find_map(named));
    let bucket =
        bucket_of(turns.len()).map_or("null".to_owned(), |bucket| format!("\"{}\"", bucket.0));
    let json: Vec<&str> = written_turns
        .iter()
        .map(|turn| turn.json.as_str())
        .collect();
    let mut out = format!(
        r#"{{"conversationId":{},"userName":{},"turnCount":{},"bucket":{bucket},"turnsArray":[{}]"#,
        written(&units(id)),
        or_null(name.as_ref()),
        turns.len(),
        json.join(",")
    );
    let sum = |of: fn(&Turn) -> Option<u64>| total(written_turns.iter().map(of));
    out += &tokens(
        sum(|turn| turn.prompt_tokens),
        sum(|turn| turn.completion_tokens),
        sum(|turn| turn.calls),
    );
    out + &head(&all_calls) + "}"
}

/// The system's message and the tools of the first call.
fn head(all_calls: &[Vec<Call>]) -> String {
    let mut out = String::new();
    let calls: Vec<&Call> = all_calls.iter().flatten().collect();
    let system = calls
        .first()
        .and_then(|call| call.input.first())
        .filter(|first| first.role() == "system");
    if let Some((text, _)) = system
        .and_then(|first| first.content())
        .filter(|text| text.1 > Trust::Damaged)
    {
        out += &format!(",\"system\":{}", written(&text));
    }
    let first = calls.first().and_then(|call| call.tools.as_ref());
    let is_list = |text: &[u16]| matches!(parse(text), Some(Json::List(_)));
    let whole = first.filter(|tools| !matches!(tools.loss, Loss::Inside | Loss::Character));
    match whole
        .map(|tools| trim(&tools.text))
        .filter(|text| is_list(text))
    {
        Some(text) => {
            out += &format!(",\"tools\":{}", String::from_utf16_lossy(text));
            let others = calls.iter().filter_map(|call| call.tools.as_ref());
            if others
                .into_iter()
                .any(|tools| Some(&tools.text) != first.map(|first| &first.text))
            {
                out += ",\"toolsChanged\":true";
            }
        }
        None => out += ",\"quality\":[\"tools_unknown\"]",
    }
    out
}

fn write_turn(turn: usize, rows: &[&Row], all_calls: &[Vec<Call>]) -> Turn {
    let calls = &all_calls[turn];
    let later = later(all_calls, turn);
    let (user, mut codes) = user_text(rows, &later);
    let (model, of_model) = model_text(rows, calls, &later);
    let answer = model.as_ref().filter(|_| of_model.is_empty());
    let llm_calls = write_calls(calls, &later, answer);
    codes.extend(of_model);
    let has_tokens = |call: &Call| call.prompt_tokens.is_some() && call.completion_tokens.is_some();
    if calls.is_empty() || !calls.iter().all(has_tokens) {
        codes.insert("tokens_missing");
    }
    if !knows_tools(rows, calls, &later) {
        codes.insert("tool_calls_unknown");
    }
    let count = (!calls.is_empty()).then_some(calls.len() as u64);
    let (prompt, completion) = (
        total(calls.iter().map(|call| call.prompt_tokens)),
        total(calls.iter().map(|call| call.completion_tokens)),
    );
    let mut json = format!(
        r#"{{"turnIndex":{},"userMessage":{},"modelMessage":{}"#,
        turn + 1,
        or_null(user.as_ref()),
        or_null(model.as_ref())
    );
    json += &tokens(prompt, completion, count);
    json += &steps(&later);
    let first = |key: &str| rows.iter().find_map(|row| row.id_of(key));
    let message = first("messageId")
        .or_else(|| first("requestId"))
        .filter(|id| *id != units("unknown"));
    for (key, text) in [("messageId", message), ("model", model_name(rows, calls))] {
        json += &text.map_or(String::new(), |text| {
            format!(",\"{key}\":{}", written(&text))
        });
    }
    json += &format!("{llm_calls}{}}}", quality(&codes));
    Turn {
        json,
        prompt_tokens: prompt,
        completion_tokens: completion,
        calls: count,
    }
}

fn steps(later: &Later) -> String {
    let text = |text: &Option<(Units, Trust)>| or_null(text.as_ref().map(|text| &text.0));
    let each: Vec<String> = later
        .steps
        .iter()
        .map(|step| {
            format!(
                r#"{{"round":{},"id":{},"tool":{},"arguments":{},"result":{}}}"#,
                step.round,
                written(&step.id),
                written(&step.tool),
                text(&step.arguments),
                text(&step.result)
            )
        })
        .collect();
    match each.is_empty() {
        true => String::new(),
        false => format!(",\"trajectory\":[{}]", each.join(",")),
    }
}

fn write_calls(calls: &[Call], later: &Later, answer: Option<&Units>) -> String {
    let answered = calls.iter().rposition(|call| call.is_answered);
    let one = |(place, call): (usize, &Call)| {
        let sure = later
            .texts
            .get(&place)
            .filter(|text| text.1 > Trust::Damaged)
            .map(|text| &text.0);
        let text = sure.or(answer.filter(|_| answered == Some(place)));
        let number =
            |number: Option<u64>| number.map_or("null".to_owned(), |number| number.to_string());
        format!(
            r#"{{"modelCallId":{},"model":{},"promptTokens":{},"completionTokens":{},"text":{}}}"#,
            written(&call.id),
            or_null(call.model.as_ref().or(call.asked_model.as_ref())),
            number(call.prompt_tokens),
            number(call.completion_tokens),
            or_null(text)
        )
    };
    match calls.is_empty() {
        true => String::new(),
        false => {
            let each: Vec<String> = calls.iter().enumerate().map(one).collect();
            format!(",\"llmCalls\":[{}]", each.join(","))
        }
    }
}

/// Whether all calls of tools are there with their arguments.
fn knows_tools(rows: &[&Row], calls: &[Call], later: &Later) -> bool {
    let is_damaged =
        |text: &Option<(Units, Trust)>| text.as_ref().is_none_or(|text| text.1 == Trust::Damaged);
    if later.steps.iter().any(|step| is_damaged(&step.arguments)) {
        return false;
    }
    let details = rows.iter().find(|row| row.is_of("toolCallDetailsInternal"));
    let counts = details.and_then(|row| parse(&row.bag.value("toolCounts", usize::MAX)?.text));
    let Some(Json::Object(counts)) = counts else {
        return later.has_end && !calls.is_empty();
    };
    let number = |value: &Json| match value {
        Json::Number(_) => value.count().unwrap_or(0),
        _ => 0,
    };
    let mut counted: Vec<(Units, u64)> = counts
        .iter()
        .map(|(tool, count)| (tool.clone(), number(count)))
        .collect();
    counted.retain(|(_, count)| *count > 0);
    counted.sort();
    let mut tools: Vec<&Units> = later.steps.iter().map(|step| &step.tool).collect();
    tools.sort();
    let seen: Vec<(Units, u64)> = tools
        .chunk_by(|a, b| a == b)
        .map(|same| (same[0].clone(), same.len() as u64))
        .collect();
    seen == counted
}

fn model_name(rows: &[&Row], calls: &[Call]) -> Option<Units> {
    let answered = calls.iter().rev().find_map(|call| call.model.clone());
    let asked = || calls.iter().rev().find_map(|call| call.asked_model.clone());
    let of_rows = |key: &str| rows.iter().rev().find_map(|row| row.id_of(key));
    answered
        .or_else(asked)
        .or_else(|| of_rows("baseModel"))
        .or_else(|| of_rows("model"))
}

fn quality(codes: &Codes) -> String {
    let each: Vec<String> = codes.iter().map(|code| format!("\"{code}\"")).collect();
    match each.is_empty() {
        true => String::new(),
        false => format!(",\"quality\":[{}]", each.join(",")),
    }
}

fn total(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    counts.flatten().reduce(|a, b| a + b)
}

fn tokens(prompt: Option<u64>, completion: Option<u64>, calls: Option<u64>) -> String {
    let number =
        |number: Option<u64>| number.map_or("null".to_owned(), |number| number.to_string());
    format!(
        r#","promptTokens":{},"completionTokens":{},"llmCallCount":{}"#,
        number(prompt),
        number(completion),
        number(calls)
    )
}

fn or_null(text: Option<&Units>) -> String {
    text.map_or("null".to_owned(), |text| written(text))
}
