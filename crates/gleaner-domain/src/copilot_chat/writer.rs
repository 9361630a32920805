//! The bytes of a record.

use super::quality::QualityCodes;
use super::trajectory::ToolStep;
use super::wtf8;

/// A turn as it is written. `None` is null or absent, as the key wants it.
#[derive(Default)]
pub struct TurnRecord {
    pub user: Option<Vec<u8>>,
    pub model_message: Option<Vec<u8>>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    /// `None`: not a single call is known.
    pub calls: Option<Vec<CallRecord>>,
    pub steps: Option<Vec<ToolStep>>,
    pub message_id: Option<Vec<u8>>,
    pub model: Option<Vec<u8>>,
    pub codes: QualityCodes,
    /// The version of the extension that sent it.
    pub version: Vec<u8>,
}

/// A call as it is written.
pub struct CallRecord {
    pub id: Vec<u8>,
    pub model: Option<Vec<u8>>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub text: Option<Vec<u8>>,
}

/// What a record has beside its turns.
pub struct Head<'a> {
    pub id: &'a str,
    pub user_name: Option<Vec<u8>>,
    pub bucket: Option<&'a str>,
    pub system: Option<Vec<u8>>,
    /// JSON.
    pub tools: Option<Vec<u8>>,
    pub tools_changed: bool,
    pub codes: QualityCodes,
}

/// Appends a record.
pub fn write(head: &Head<'_>, turns: &[TurnRecord], out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"conversationId\":");
    wtf8::write_string(head.id.as_bytes(), out);
    out.extend_from_slice(b",\"userName\":");
    text_or_null(head.user_name.as_deref(), out);
    out.extend_from_slice(b",\"turnCount\":");
    number_or_null(Some(turns.len() as u64), out);
    out.extend_from_slice(b",\"bucket\":");
    text_or_null(head.bucket.map(str::as_bytes), out);
    out.extend_from_slice(b",\"turnsArray\":[");
    for (place, turn) in (1..).zip(turns) {
        if place > 1 {
            out.push(b',');
        }
        write_turn(place, turn, out);
    }
    out.push(b']');
    let sum = |count: fn(&TurnRecord) -> Option<u64>| sum(turns.iter().map(count));
    write_tokens(
        sum(|turn| turn.prompt_tokens),
        sum(|turn| turn.completion_tokens),
        sum(TurnRecord::call_count),
        out,
    );
    if let Some(system) = &head.system {
        out.extend_from_slice(b",\"system\":");
        wtf8::write_string(system, out);
    }
    if let Some(tools) = &head.tools {
        out.extend_from_slice(b",\"tools\":");
        out.extend_from_slice(tools);
    }
    if head.tools_changed {
        out.extend_from_slice(b",\"toolsChanged\":true");
    }
    write_quality(head.codes, out);
    out.push(b'}');
}

/// The sum of the counts that are known; `None` if none is.
pub fn sum(counts: impl Iterator<Item = Option<u64>>) -> Option<u64> {
    let mut known = counts.flatten().peekable();
    known.peek()?;
    Some(known.fold(0, u64::saturating_add))
}

impl TurnRecord {
    /// How many calls of the model the turn took.
    pub fn call_count(&self) -> Option<u64> {
        self.calls.as_ref().map(|calls| calls.len() as u64)
    }
}

fn write_turn(place: u64, turn: &TurnRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"turnIndex\":");
    number_or_null(Some(place), out);
    out.extend_from_slice(b",\"userMessage\":");
    text_or_null(turn.user.as_deref(), out);
    out.extend_from_slice(b",\"modelMessage\":");
    text_or_null(turn.model_message.as_deref(), out);
    let calls = turn.call_count();
    write_tokens(turn.prompt_tokens, turn.completion_tokens, calls, out);
    if let Some(steps) = &turn.steps {
        out.extend_from_slice(b",\"trajectory\":");
        write_list(steps, out, write_step);
    }
    for (key, text) in [
        (&b",\"messageId\":"[..], &turn.message_id),
        (b",\"model\":", &turn.model),
    ] {
        if let Some(text) = text {
            out.extend_from_slice(key);
            wtf8::write_string(text, out);
        }
    }
    if let Some(calls) = &turn.calls {
        out.extend_from_slice(b",\"llmCalls\":");
        write_list(calls, out, write_call);
    }
    write_quality(turn.codes, out);
    out.push(b'}');
}

fn write_step(step: &ToolStep, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"round\":");
    number_or_null(Some(step.round as u64), out);
    out.extend_from_slice(b",\"id\":");
    wtf8::write_string(&step.id, out);
    out.extend_from_slice(b",\"tool\":");
    wtf8::write_string(&step.tool, out);
    for (key, text) in [
        (&b",\"arguments\":"[..], &step.arguments),
        (b",\"result\":", &step.result),
    ] {
        out.extend_from_slice(key);
        text_or_null(text.as_ref().map(|(text, _)| text.as_slice()), out);
    }
    out.push(b'}');
}

fn write_call(call: &CallRecord, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"modelCallId\":");
    wtf8::write_string(&call.id, out);
    out.extend_from_slice(b",\"model\":");
    text_or_null(call.model.as_deref(), out);
    out.extend_from_slice(b",\"promptTokens\":");
    number_or_null(call.prompt_tokens, out);
    out.extend_from_slice(b",\"completionTokens\":");
    number_or_null(call.completion_tokens, out);
    out.extend_from_slice(b",\"text\":");
    text_or_null(call.text.as_deref(), out);
    out.push(b'}');
}

fn write_list<T>(list: &[T], out: &mut Vec<u8>, write: fn(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, element) in list.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(element, out);
    }
    out.push(b']');
}

fn write_tokens(
    prompt: Option<u64>,
    completion: Option<u64>,
    calls: Option<u64>,
    out: &mut Vec<u8>,
) {
    for (key, count) in [
        (&b",\"promptTokens\":"[..], prompt),
        (b",\"completionTokens\":", completion),
        (b",\"llmCallCount\":", calls),
    ] {
        out.extend_from_slice(key);
        number_or_null(count, out);
    }
}

fn write_quality(codes: QualityCodes, out: &mut Vec<u8>) {
    if codes.is_empty() {
        return;
    }
    for (place, code) in codes.iter().enumerate() {
        out.extend_from_slice(if place == 0 { b",\"quality\":[" } else { b"," });
        wtf8::write_string(code.name().as_bytes(), out);
    }
    out.push(b']');
}

fn text_or_null(text: Option<&[u8]>, out: &mut Vec<u8>) {
    match text {
        Some(text) => wtf8::write_string(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn number_or_null(number: Option<u64>, out: &mut Vec<u8>) {
    match number {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => out.extend_from_slice(b"null"),
    }
}
