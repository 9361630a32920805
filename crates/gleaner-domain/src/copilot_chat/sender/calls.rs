//! The events of a conversation's requests and calls of the model.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_128;

use super::event::{Event, Splitting};
use super::history::{self, Message, list_json};
use super::request::{Request, Round, Window};
use super::units::{json, of_text};
use super::{Era, uuid};
use crate::copilot_chat::split::EVENT_CUT;

/// The sender of a conversation's events.
#[derive(Debug)]
pub struct Sender<'w> {
    pub(super) era: Era,
    pub(super) window: &'w Window,
    id: String,
    user_name: String,
    /// The model that answers.
    pub(super) model: &'static str,
    /// Whether the API tells the request in rows of the output.
    tells_request: bool,
    pub(super) history: Vec<Vec<Message>>,
    /// Ids of messages that were sent, by their JSON.
    sent: BTreeMap<String, String>,
    pub(super) requests: u64,
    pub(super) events: Vec<Event>,
}

impl<'w> Sender<'w> {
    /// A sender of nothing yet.
    pub fn new(era: Era, window: &'w Window, id: &str, user_name: &str) -> Self {
        let models = ["gpt-4.1", "gpt-5-codex", "claude-opus-4.6"];
        let api = (xxh3_128(id.as_bytes()) % 3) as usize;
        Self {
            era,
            window,
            id: id.to_owned(),
            user_name: user_name.to_owned(),
            model: models[api],
            tells_request: api == 0,
            history: Vec::new(),
            sent: BTreeMap::new(),
            requests: 0,
            events: Vec::new(),
        }
    }

    /// The events in the order in which they were sent.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }

    /// Sends a request. It goes on from the turns before its position: later ones are replaced.
    pub fn send(&mut self, request: &Request) {
        self.requests += 1;
        self.history.truncate(request.position as usize - 1);
        let message_id = self.uuid("request", self.requests);
        if self.era == Era::AgentHost {
            return self.send_from_host(request);
        }
        let mut of_turn = vec![Message::prompt(&request.user)];
        for (place, round) in request.rounds.iter().enumerate() {
            let call = Call {
                message_id: &message_id,
                id: self.call_id(place),
                place,
                at_ms: request.at_ms + request.round_ms * place as i64,
            };
            self.session_message(request, &call);
            if place == 0 && self.era.has_ids() {
                let added = self.event(call.at_ms + 1, "model.request.added");
                self.events.push(added.with("headerRequestId", &message_id));
            }
            self.input(&call, &of_turn);
            self.output(&call, request.round_ms, round);
            self.texts(request, &call, round);
            let id_of = |nth| tool_id(&call.id, nth);
            of_turn.extend(history::round(request, place, id_of));
        }
        self.details(request, &message_id);
        self.history.push(of_turn);
    }

    /// An id that looks like any other and follows from what it is for.
    pub(super) fn uuid(&self, of: &str, number: u64) -> String {
        named(&format!("{}/{of}/{number}", self.id))
    }

    /// The id of the call of the model in a round of the request at hand.
    pub(super) fn call_id(&self, round: usize) -> String {
        self.uuid("call", (self.requests << 16) + round as u64)
    }

    /// An event of the conversation.
    pub(super) fn event(&self, at_ms: i64, name: &'static str) -> Event {
        let id = match name {
            "interactiveSessionMessage" | "interactiveSessionResponse" => "sessionId",
            _ => "conversationId",
        };
        Event::new(at_ms, name)
            .with(id, &self.id)
            .with("common.extname", "GitHub.copilot-chat")
            .with("common.extversion", self.era.version())
            .with("common.userName", &self.user_name)
    }

    fn session_message(&mut self, request: &Request, call: &Call<'_>) {
        let event = self
            .event(call.at_ms, "interactiveSessionMessage")
            .with("requestId", call.message_id)
            .with("baseModel", self.model)
            .with_units("query", request.user.clone())
            .measuring("turnNumber", u64::from(request.position));
        self.events.push(event);
    }

    /// What a call was given.
    fn input(&mut self, call: &Call<'_>, of_turn: &[Message]) {
        let system = Message::new("system", &of_text(&self.window.system));
        let before = self.history.iter().flatten();
        let given: Vec<Message> = [&system]
            .into_iter()
            .chain(before)
            .chain(of_turn)
            .cloned()
            .collect();
        let at_ms = call.at_ms + 1;
        if self.era.has_ids() {
            self.shared(at_ms);
            let ids: Vec<String> = given
                .iter()
                .map(|message| self.added(message, call, at_ms))
                .collect();
            let event = self
                .event(at_ms, "model.modelCall.input")
                .with("modelCallId", &call.id)
                .with("headerRequestId", call.message_id)
                .with("messageCount", &ids.len().to_string())
                .with("requestTurn", &(call.place + 1).to_string())
                .with("requestOptionsId", &self.options_id());
            self.in_pieces(
                &event,
                "messageUuids",
                &of_text(&format!("[\"{}\"]", ids.join("\",\""))),
            );
        } else {
            let event = self
                .event(at_ms, "engine.messages")
                .with("messageId", call.message_id)
                .with("modelCallId", &call.id)
                .with("request.option.model", &json(&of_text(self.model)))
                .with_long(
                    "request.option.tools",
                    "",
                    &of_text(&self.window.tools),
                    Splitting::Numbered,
                )
                .with_long(
                    "messagesJson",
                    "",
                    &list_json(&given, false),
                    Splitting::Numbered,
                );
            self.events.push(event);
        }
        let event = self
            .event(at_ms, "engine.messages.length")
            .with("headerRequestId", call.message_id)
            .with("request.option.model", &json(&of_text(self.model)));
        self.lengths(event, call, "input", &given);
    }

    /// What a call gave.
    fn output(&mut self, call: &Call<'_>, round_ms: i64, round: &Round) {
        let at_ms = call.at_ms + round_ms - 2;
        let answer = Message::answer(&round.text, Vec::new());
        let with_tokens = |event: Event| {
            event
                .measuring("promptTokens", round.prompt_tokens)
                .measuring("completionTokens", round.completion_tokens)
        };
        if self.era.has_ids() {
            let id = self.added(&answer, call, at_ms);
            let request = match self.tells_request {
                true => call.message_id,
                false => "unknown",
            };
            let event = self
                .event(at_ms, "model.modelCall.output")
                .with("modelCallId", &call.id)
                .with("headerRequestId", request);
            let event = with_tokens(event);
            self.in_pieces(&event, "messageUuids", &of_text(&format!("[\"{id}\"]")));
        } else {
            let event = self
                .event(at_ms, "engine.messages")
                .with("messageId", call.message_id)
                .with("modelCallId", &call.id)
                .with("baseModel", self.model)
                .with_long(
                    "messagesJson",
                    "",
                    &list_json(std::slice::from_ref(&answer), false),
                    Splitting::Numbered,
                );
            self.events.push(with_tokens(event));
        }
        let event = self
            .event(at_ms, "engine.messages.length")
            .with("baseModel", self.model);
        self.lengths(with_tokens(event), call, "output", &[answer]);
    }

    fn lengths(&mut self, event: Event, call: &Call<'_>, direction: &str, messages: &[Message]) {
        if self.era == Era::V030 {
            return;
        }
        let splitting = match self.era.compresses() {
            true => Splitting::AlwaysCompressed,
            false => Splitting::Numbered,
        };
        let event = event
            .with("messageId", call.message_id)
            .with("modelCallId", &call.id)
            .with("message_direction", direction)
            .with_long(
                "messagesJson",
                "messagesJson",
                &list_json(messages, true),
                splitting,
            );
        self.events.push(event);
    }

    /// What one conversation of a window sends for all of them.
    fn shared(&mut self, at_ms: i64) {
        let system = Message::new("system", &of_text(&self.window.system)).json(false);
        if self.sent.contains_key(&system) {
            return;
        }
        let id = named(&format!("{}/system", self.window.id));
        if self.window.sends_shared {
            let added = self
                .event(at_ms, "model.message.added")
                .with("messageUuid", &id);
            self.in_pieces(&added, "messageJson", &of_text(&system));
            let (model, tools) = (
                json(&of_text(self.model)),
                json(&of_text(&self.window.tools)),
            );
            let options = format!(
                r#"{{"request.option.model":{},"request.option.tools":{tools}}}"#,
                json(&of_text(&model))
            );
            let added = self
                .event(at_ms, "model.request.options.added")
                .with("requestOptionsId", &self.options_id());
            self.in_pieces(&added, "requestOptionsJson", &of_text(&options));
        }
        self.sent.insert(system, id);
    }

    fn options_id(&self) -> String {
        named(&format!("{}/options", self.window.id))
    }

    /// The id of a message, which is sent if it was not before.
    fn added(&mut self, message: &Message, call: &Call<'_>, at_ms: i64) -> String {
        let json = message.json(false);
        if let Some(id) = self.sent.get(&json) {
            return id.clone();
        }
        let id = self.uuid("message", self.sent.len() as u64);
        let event = self
            .event(at_ms, "model.message.added")
            .with("messageUuid", &id)
            .with("headerRequestId", call.message_id);
        self.in_pieces(&event, "messageJson", &of_text(&json));
        self.sent.insert(json, id.clone());
        id
    }

    /// Sends an event for every piece of a value.
    fn in_pieces(&mut self, event: &Event, key: &str, value: &[u16]) {
        let pieces: Vec<&[u16]> = value.chunks(EVENT_CUT).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let event = event
                .clone()
                .with_units(key, piece.to_vec())
                .with("chunkIndex", &place.to_string())
                .with("totalChunks", &pieces.len().to_string());
            self.events.push(event);
        }
    }
}

/// A call of the model that is reported.
pub struct Call<'c> {
    pub message_id: &'c str,
    pub id: String,
    pub place: usize,
    pub at_ms: i64,
}

/// The id of a call of a tool.
fn tool_id(call: &str, nth: usize) -> String {
    format!("call_{}{nth}", call.replace('-', ""))
}

/// The id of what has this name.
fn named(name: &str) -> String {
    uuid(xxh3_128(name.as_bytes()))
}
