//! The model calls of a conversation, each once, from the four rows that report it.

use std::collections::BTreeMap;

use super::bag::Prop;
use super::event::EventKind;
use super::fragment::Fragment;
use super::message::{self, Message, MessageRef, Messages, Role};
use super::shared::{Bodies, Item, join_pieces};
use super::split::{Joined, Loss};
use super::wtf8;
use crate::record::timestamp::Ticks;

/// One call of a model.
#[derive(Default)]
pub struct Call {
    pub id: Vec<u8>,
    /// The first that is known of it.
    pub at: Ticks,
    /// When its output came.
    pub ended: Option<Ticks>,
    /// Its round within the request, from 1 on.
    pub round: Option<u64>,
    /// The model that answered.
    pub model: Option<Vec<u8>>,
    /// The model that was asked for.
    pub asked_model: Option<Vec<u8>>,
    pub prompt_tokens: Option<u64>,
    pub completion_tokens: Option<u64>,
    pub input_ids: Vec<Vec<u8>>,
    pub output_ids: Option<Vec<Vec<u8>>>,
    pub options_id: Option<Vec<u8>>,
    /// The tools that it was offered.
    pub tools: Option<Joined>,
    /// What it was given, as far as it is known.
    input: Vec<Option<Item>>,
    input_lengths: Vec<MessageRef>,
    /// What it gave.
    output: Option<Vec<Option<Item>>>,
    output_lengths: Option<Vec<MessageRef>>,
}

/// A message of a call: itself, its lengths, or both.
#[derive(Clone, Copy)]
pub struct Seen<'m> {
    pub message: Option<(&'m Message, Loss)>,
    pub lengths: Option<&'m Message>,
}

impl<'m> Seen<'m> {
    pub fn role(&self) -> Role {
        let message = self.message.map(|(message, _)| message);
        message.or(self.lengths).map_or(Role::Other, |m| m.role)
    }

    /// The message or, if it is missing, the one that has lengths for texts.
    pub fn any(&self) -> Option<&'m Message> {
        self.message.map(|(message, _)| message).or(self.lengths)
    }
}

impl Call {
    /// Whether there is a sign that the model answered.
    pub fn has_output(&self) -> bool {
        self.output.is_some() || self.output_lengths.is_some()
    }

    /// The messages that it was given.
    pub fn input<'m>(&self, messages: &'m Messages) -> Vec<Seen<'m>> {
        seen(&self.input, &self.input_lengths, messages)
    }

    /// The messages that it gave.
    pub fn output<'m>(&self, messages: &'m Messages) -> Vec<Seen<'m>> {
        let output = self.output.as_deref().unwrap_or_default();
        let lengths = self.output_lengths.as_deref().unwrap_or_default();
        seen(output, lengths, messages)
    }

    /// Replaces ids by what they stand for.
    pub fn resolve(&mut self, bodies: &Bodies) {
        if self.input.is_empty() {
            self.input = self.input_ids.iter().map(|id| bodies.message(id)).collect();
        }
        if let (None, Some(ids)) = (&self.output, &self.output_ids) {
            self.output = Some(ids.iter().map(|id| bodies.message(id)).collect());
        }
        let tools = self.options_id.as_ref().and_then(|id| bodies.tools(id));
        if let (None, Some(tools)) = (&self.tools, tools) {
            self.tools = tools.clone();
        }
    }

    fn add(&mut self, event: EventKind, rows: &[&Fragment<'_>], messages: &mut Messages) {
        let is_output = event == EventKind::CallOutput || is_output(rows[0]);
        self.add_numbers(rows, is_output);
        match event {
            EventKind::CallInput => self.input_ids = ids(rows).unwrap_or_default(),
            EventKind::CallOutput => self.output_ids = Some(ids(rows).unwrap_or_default()),
            _ => {
                let Some(joined) = rows[0].joined(Prop::MessagesJson) else {
                    return;
                };
                let list = messages.intern_list(&joined.text);
                match (event, is_output) {
                    (EventKind::MessageLengths, true) => self.output_lengths = Some(list),
                    (EventKind::MessageLengths, false) => self.input_lengths = list,
                    (_, true) => self.output = Some(items(list, &joined)),
                    (_, false) => self.input = items(list, &joined),
                }
                let is_full = event == EventKind::Messages;
                if is_full && !is_output && rows[0].has(Prop::OptionTools) {
                    self.tools = rows[0].joined(Prop::OptionTools);
                }
            }
        }
    }

    fn add_numbers(&mut self, rows: &[&Fragment<'_>], is_output: bool) {
        for row in rows {
            self.at = self.at.min(row.header.at);
            if is_output {
                let ended = self.ended.get_or_insert(row.header.at);
                *ended = (*ended).min(row.header.at);
                let count = |prop| row.count(prop);
                let prompt = self.prompt_tokens.or_else(|| count(Prop::PromptTokens));
                self.prompt_tokens = prompt;
                let completion = self
                    .completion_tokens
                    .or_else(|| count(Prop::CompletionTokens));
                self.completion_tokens = completion;
                if self.model.is_none() {
                    self.model = row.id(Prop::BaseModel);
                }
            } else {
                self.round = self.round.or_else(|| row.count(Prop::RequestTurn));
                if self.options_id.is_none() {
                    self.options_id = row.id(Prop::RequestOptionsId);
                }
                if self.asked_model.is_none() {
                    self.asked_model = row.id(Prop::OptionModel).and_then(|json| json_text(&json));
                }
            }
        }
    }
}

/// Whether a row of `engine.messages` or its lengths is of a call's output.
fn is_output(row: &Fragment<'_>) -> bool {
    match row.known(Prop::MessageDirection) {
        Some(direction) => *direction == *b"output",
        None => {
            row.count(Prop::PromptTokens).is_some() || row.count(Prop::CompletionTokens).is_some()
        }
    }
}

/// The text that a JSON text is.
fn json_text(json: &[u8]) -> Option<Vec<u8>> {
    let body = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    crate::json::check(json).ok()?;
    Some(wtf8::decode(body))
}

fn items(list: Vec<MessageRef>, joined: &Joined) -> Vec<Option<Item>> {
    // What was read to its end was not cut, and what was not split has lost nothing: JSON has no white
    // space at its ends.
    let loss = match joined.loss {
        Loss::Cut | Loss::Ends => Loss::None,
        loss => loss,
    };
    list.into_iter()
        .map(|message| Some(Item { message, loss }))
        .collect()
}

/// The ids of a call's messages.
pub fn ids(rows: &[&Fragment<'_>]) -> Option<Vec<Vec<u8>>> {
    let joined = join_pieces(rows, Prop::MessageUuids)?;
    let mut ids = Vec::new();
    message::elements(&joined.text, |element| {
        ids.push(message::string(element).unwrap_or_default());
        Ok(())
    })
    .ok()?;
    Some(ids)
}

/// Messages and their lengths side by side: both lists begin at the same message, and either may
/// break off.
fn seen<'m>(
    items: &[Option<Item>],
    lengths: &[MessageRef],
    messages: &'m Messages,
) -> Vec<Seen<'m>> {
    let known = |item: Item| (messages.get(item.message), item.loss);
    (0..items.len().max(lengths.len()))
        .map(|at| Seen {
            message: items.get(at).copied().flatten().map(known),
            lengths: lengths.get(at).map(|&place| messages.get(place)),
        })
        .collect()
}

/// All calls of the turns of a conversation, by turn, each turn's in their order.
pub fn calls(
    rows: &[(Option<u32>, Fragment<'_>)],
    turns: usize,
    messages: &mut Messages,
) -> Vec<Vec<Call>> {
    let mut by_call: BTreeMap<Vec<u8>, Vec<(Option<u32>, &Fragment<'_>)>> = BTreeMap::new();
    for (turn, row) in rows.iter().filter(|(_, row)| row.header.event.is_of_call()) {
        if let Some(id) = row.id(Prop::ModelCallId) {
            by_call.entry(id).or_default().push((*turn, row));
        }
    }
    let mut of_turns: Vec<Vec<Call>> = (0..turns).map(|_| Vec::new()).collect();
    for (id, rows) in by_call {
        let Some(turn) = rows.iter().find_map(|(turn, _)| *turn) else {
            continue;
        };
        let mut call = Call {
            id,
            at: Ticks::MAX,
            ..Call::default()
        };
        for event in EventKind::ALL
            .into_iter()
            .filter(|event| event.is_of_call())
        {
            let of_event = rows.iter().map(|(_, row)| *row);
            let mut of_event: Vec<_> = of_event.filter(|row| row.header.event == event).collect();
            of_event.sort_by_key(|row| (row.header.at, row.header.content));
            let (outputs, inputs): (Vec<_>, Vec<_>) = of_event.into_iter().partition(|row| {
                event == EventKind::CallOutput || event != EventKind::CallInput && is_output(row)
            });
            for rows in [inputs, outputs] {
                if !rows.is_empty() {
                    call.add(event, &rows, messages);
                }
            }
        }
        of_turns[turn as usize].push(call);
    }
    for calls in &mut of_turns {
        let all_rounds = calls.iter().all(|call| call.round.is_some());
        calls.sort_by(|a, b| {
            let key = |call: &Call| (call.round.filter(|_| all_rounds), call.at);
            key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
        });
    }
    of_turns
}
