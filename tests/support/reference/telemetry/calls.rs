//! Model calls: each once, from the rows that report it.

use std::collections::BTreeMap;

use super::json::{Json, Units, elements, parse};
use super::row::Row;
use super::split::{Loss, Value, join_events};

/// A message in full or with lengths, or what is known of it.
#[derive(Clone)]
pub struct Message {
    pub json: Json,
    pub loss: Loss,
}

/// A message of a call, and the same with lengths.
#[derive(Clone, Default)]
pub struct Seen {
    pub full: Option<Message>,
    pub lengths: Option<Json>,
}

/// How sure a text is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trust {
    Damaged,
    Plausible,
    Verified,
}

#[derive(Default)]
pub struct Call {
    pub id: Units,
    pub at: i64,
    pub round: Option<u64>,
    pub model: Option<Units>,
    pub asked_model: Option<Units>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub tools: Option<Value>,
    pub input: Vec<Seen>,
    pub output: Vec<Seen>,
    /// Whether a row says that it was answered.
    pub is_answered: bool,
}

pub type Shared = BTreeMap<String, Vec<Row>>;

/// The pieces of a value that came in several events; `None`: one is missing.
fn whole(pieces: &[&Row], key: &str, limit: usize) -> Option<Value> {
    let mut by_place: BTreeMap<u64, Units> = BTreeMap::new();
    let mut total = 0;
    for piece in pieces {
        total = total.max(piece.count("totalChunks").unwrap_or(1));
        let text = piece.bag.value(key, limit)?.text;
        let kept = by_place
            .entry(piece.count("chunkIndex").unwrap_or(0))
            .or_insert_with(|| text.clone());
        if text < *kept {
            *kept = text;
        }
    }
    let pieces: Vec<Units> = by_place.values().cloned().collect();
    by_place
        .into_keys()
        .eq(0..total)
        .then(|| join_events(&pieces))
}

fn shared_value(
    id: &Units,
    event: &str,
    key: &str,
    shared: &Shared,
    limit: usize,
) -> Option<Value> {
    let rows = shared.get(&String::from_utf16(id).ok()?)?;
    let pieces: Vec<&Row> = rows.iter().filter(|row| row.is_of(event)).collect();
    whole(&pieces, key, limit)
}

fn message(id: &Units, shared: &Shared, limit: usize) -> Option<Message> {
    let value = shared_value(id, "model.message.added", "messageJson", shared, limit)?;
    let json = parse(&value.text)?;
    matches!(json, Json::Object(_)).then_some(Message {
        json,
        loss: value.loss,
    })
}

fn tools_of_options(id: &Units, shared: &Shared, limit: usize) -> Option<Value> {
    let value = shared_value(
        id,
        "model.request.options.added",
        "requestOptionsJson",
        shared,
        limit,
    )?;
    let options = parse(&value.text)?;
    let tools = options
        .get("request.option.tools")
        .or(options.get("request_option_tools"))?;
    let text = tools.text()?.clone();
    Some(Value {
        text,
        loss: value.loss,
    })
}

impl Row {
    fn is_output(&self) -> bool {
        if self.is_of("model.modelCall.output") {
            return true;
        }
        match self.bag.known("message_direction") {
            _ if self.is_of("model.modelCall.input") => false,
            Some(direction) => *direction == super::json::units("output"),
            None => {
                self.count("promptTokens").is_some() || self.count("completionTokens").is_some()
            }
        }
    }

    pub fn id_of(&self, key: &str) -> Option<Units> {
        let id = self.bag.known(key)?;
        String::from_utf16(id).ok()?;
        Some(id.clone())
    }
}

impl Call {
    fn new(id: &Units, rows: &[&Row], shared: &Shared, limit: usize) -> Self {
        let mut call = Call {
            id: id.clone(),
            at: rows.iter().map(|row| row.at).min().expect("rows"),
            ..Self::default()
        };
        let (outputs, inputs): (Vec<&Row>, Vec<&Row>) =
            rows.iter().copied().partition(|row| row.is_output());
        // The same is said up to four times: the first row that says it counts.
        let mut in_order = [outputs.clone(), inputs.clone()];
        in_order
            .iter_mut()
            .for_each(|rows| rows.sort_by(|a, b| (a.event, a.order()).cmp(&(b.event, b.order()))));
        let [outputs, inputs] = in_order;
        call.prompt_tokens = outputs.iter().find_map(|row| row.count("promptTokens"));
        call.completion_tokens = outputs.iter().find_map(|row| row.count("completionTokens"));
        call.model = outputs.iter().find_map(|row| row.id_of("baseModel"));
        call.round = inputs.iter().find_map(|row| row.count("requestTurn"));
        call.asked_model = inputs
            .iter()
            .find_map(|row| parse(&row.id_of("request.option.model")?)?.text().cloned());
        call.input = given(&inputs, "model.modelCall.input", shared, limit).unwrap_or_default();
        let output = given(&outputs, "model.modelCall.output", shared, limit);
        call.is_answered = output.is_some();
        call.output = output.unwrap_or_default();
        let full = inputs.iter().find(|row| row.is_of("engine.messages"));
        let options = inputs.iter().find_map(|row| row.id_of("requestOptionsId"));
        let direct = full.and_then(|row| row.bag.value("request.option.tools", limit));
        call.tools = direct.or_else(|| tools_of_options(&options?, shared, limit));
        call
    }
}

/// The messages that the rows of one direction report; `None`: not one says anything.
fn given(rows: &[&Row], by_ids: &str, shared: &Shared, limit: usize) -> Option<Vec<Seen>> {
    let list = |event: &str| {
        let row = rows.iter().find(|row| row.is_of(event))?;
        let value = row.bag.value("messagesJson", limit)?;
        // A list that could be read to the end was not cut, and has no white space at its ends.
        let loss = match value.loss {
            Loss::Rest | Loss::Ends => Loss::Nothing,
            loss => loss,
        };
        let is_message = |json: &Json| matches!(json, Json::Object(_));
        let messages: Vec<Message> = elements(&value.text)
            .into_iter()
            .take_while(is_message)
            .map(|json| Message { json, loss })
            .collect();
        Some(messages)
    };
    let pieces: Vec<&Row> = rows
        .iter()
        .copied()
        .filter(|row| row.is_of(by_ids))
        .collect();
    let by_ids = (!pieces.is_empty()).then(|| {
        let ids = whole(&pieces, "messageUuids", limit).and_then(|ids| parse(&ids.text));
        let Some(Json::List(ids)) = ids else {
            return Vec::new();
        };
        let known = |id: &Json| message(id.text()?, shared, limit);
        ids.iter().map(known).collect::<Vec<_>>()
    });
    let full = list("engine.messages").map(|list| list.into_iter().map(Some).collect::<Vec<_>>());
    let lengths = list("engine.messages.length");
    if full.is_none() && by_ids.is_none() && lengths.is_none() {
        return None;
    }
    let full = full
        .filter(|list| !list.is_empty() || by_ids.is_none())
        .or(by_ids)
        .unwrap_or_default();
    let lengths = lengths.unwrap_or_default();
    let seen = |at: usize| Seen {
        full: full.get(at).cloned().flatten(),
        lengths: lengths.get(at).map(|message| message.json.clone()),
    };
    Some((0..full.len().max(lengths.len())).map(seen).collect())
}

/// The calls of every turn. `of_rows` says of every row which turn it is of.
pub fn calls(
    rows: &[(Option<usize>, &Row)],
    turns: usize,
    shared: &Shared,
    limit: usize,
) -> Vec<Vec<Call>> {
    let mut by_id: BTreeMap<&Units, Vec<(Option<usize>, &Row)>> = BTreeMap::new();
    for (turn, row) in rows {
        if let Some(id) = row.call() {
            by_id.entry(id).or_default().push((*turn, row));
        }
    }
    let mut of_turns: Vec<Vec<Call>> = (0..turns).map(|_| Vec::new()).collect();
    for (id, rows) in by_id {
        if let Some(turn) = rows.iter().find_map(|(turn, _)| *turn) {
            let rows: Vec<&Row> = rows.iter().map(|(_, row)| *row).collect();
            of_turns[turn].push(Call::new(id, &rows, shared, limit));
        }
    }
    for calls in &mut of_turns {
        let has_rounds = calls.iter().all(|call| call.round.is_some());
        calls.sort_by_key(|call| (call.round.filter(|_| has_rounds), call.at, call.id.clone()));
    }
    of_turns
}

/// Who says a message.
pub fn role(message: &Json) -> &'static str {
    let role = message
        .get("role")
        .and_then(Json::text)
        .map(|role| String::from_utf16_lossy(role));
    match role.as_deref() {
        Some("system" | "developer") => "system",
        Some("user") => "user",
        Some("assistant") => "assistant",
        Some("tool") => "tool",
        _ => "",
    }
}

/// The text of a message's content or of arguments; an absent one is empty.
fn text_in(value: Option<&Json>) -> Option<Units> {
    match value {
        None | Some(Json::Null) => Some(Units::new()),
        Some(Json::Text(text)) => Some(text.clone()),
        Some(Json::List(parts)) => {
            let texts: Option<Vec<&Units>> =
                parts.iter().map(|part| part.get("text")?.text()).collect();
            Some(texts?.into_iter().flatten().copied().collect())
        }
        _ => None,
    }
}

/// The length that stands in place of a text.
fn length_in(value: Option<&Json>) -> Option<u64> {
    match value {
        Some(number @ Json::Number(_)) => number.count(),
        other => text_in(other).map(|text| text.len() as u64),
    }
}

impl Seen {
    pub fn any(&self) -> Option<&Json> {
        self.full
            .as_ref()
            .map(|message| &message.json)
            .or(self.lengths.as_ref())
    }

    pub fn role(&self) -> &'static str {
        self.any().map_or("", role)
    }

    /// The length of the text at a place, in units.
    pub fn length(&self, place: impl Fn(&Json) -> Option<Option<&Json>>) -> Option<u64> {
        length_in(place(self.lengths.as_ref()?)?)
    }

    /// A text of the message, with how sure it is.
    pub fn text_at(
        &self,
        place: impl Fn(&Json) -> Option<Option<&Json>>,
    ) -> Option<(Units, Trust)> {
        let message = self.full.as_ref()?;
        let text = text_in(place(&message.json)?)?;
        let same_role = |lengths: &&Json| role(lengths) == role(&message.json);
        let lengths = self.lengths.as_ref().filter(same_role);
        let length = lengths.and_then(|lengths| length_in(place(lengths)?));
        let trust = match length {
            _ if message.loss == Loss::Character && text.contains(&0xFFFD) => Trust::Damaged,
            Some(length) if length == text.len() as u64 => Trust::Verified,
            Some(_) => Trust::Damaged,
            None if message.loss == Loss::Nothing => Trust::Verified,
            None => Trust::Plausible,
        };
        Some((text, trust))
    }

    pub fn content(&self) -> Option<(Units, Trust)> {
        self.text_at(|message| Some(message.get("content")))
    }
}

/// The calls of tools in a message.
pub fn tool_calls(message: &Json) -> Vec<&Json> {
    let Some(Json::List(calls)) = message.get("tool_calls") else {
        return Vec::new();
    };
    calls
        .iter()
        .filter(|call| matches!(call, Json::Object(_)))
        .collect()
}
