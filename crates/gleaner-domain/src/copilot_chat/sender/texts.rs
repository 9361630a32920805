//! The events of a request's texts, and of an agent host.

use std::collections::BTreeMap;

use super::Era;
use super::calls::{Call, Sender};
use super::event::{Event, Splitting};
use super::request::{Request, Round};

impl Sender<'_> {
    /// The texts of a round, and its end.
    pub(super) fn texts(&mut self, request: &Request, call: &Call<'_>, round: &Round) {
        let at_ms = call.at_ms + request.round_ms - 2;
        let response = self
            .event(at_ms, "interactiveSessionResponse")
            .with("requestId", call.message_id)
            .with("baseModel", self.model)
            .with_units("request", request.user.clone())
            .with_units("response", round.text.clone())
            .measuring("turnNumber", u64::from(request.position));
        self.events.push(response);
        let splitting = match self.era.compresses() {
            true => Splitting::Compressed,
            false => Splitting::None,
        };
        let text = |source: &str, index: u32, text: &[u16]| {
            let event = self
                .event(at_ms, "conversation.messageText")
                .with("source", source)
                .with("messageId", call.message_id)
                .with("headerRequestId", call.message_id)
                .with("turnIndex", &index.to_string())
                .measuring("promptTokenLen", round.prompt_tokens)
                .measuring("messageCharLen", request.user.len() as u64);
            let event = match source == "user" || self.era != Era::V030 {
                true => event.with("mode", &request.mode),
                false => event,
            };
            // A round without a text has no such property; nor has one that has only white space.
            match source == "model" && text.is_empty() {
                true => event,
                false => event.with_long("messageText", "messageText", text, splitting),
            }
        };
        let user = text("user", request.position - 1, &request.user);
        let model = text("model", request.position, &round.text);
        self.events.extend([user, model]);
    }

    /// How often which tool was called.
    pub(super) fn details(&mut self, request: &Request, message_id: &str) {
        let at_ms = request.at_ms + request.round_ms * request.rounds.len() as i64 - 1;
        let event = self.event(at_ms, "toolCallDetailsInternal");
        let event = match self.era {
            Era::V030 => event,
            _ => event.with("messageId", message_id),
        };
        let event = self.with_counts(event, request);
        self.events
            .push(event.measuring("turnIndex", u64::from(request.position)));
    }

    fn with_counts(&self, event: Event, request: &Request) -> Event {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for tool in request.rounds.iter().flat_map(|round| &round.uses) {
            *counts.entry(&tool.tool).or_default() += 1;
        }
        let total = counts.values().sum();
        let counts: Vec<String> = counts
            .iter()
            .map(|(tool, count)| format!("\"{tool}\":{count}"))
            .collect();
        event
            .with("responseType", "success")
            .with("toolCounts", &format!("{{{}}}", counts.join(",")))
            .with("model", self.model)
            .with("availableTools", &self.window.tool_names)
            .measuring("numRequests", request.rounds.len() as u64)
            .measuring("messageCharLen", request.user.len() as u64)
            .measuring("totalToolCalls", total)
    }

    /// The events of an agent host.
    pub(super) fn send_from_host(&mut self, request: &Request) {
        let index = request.position - 1;
        let text = |at_ms: i64, source: &str, text: &[u16]| {
            self.event(at_ms, "conversation.messageText")
                .with("source", source)
                .with("initiatorClientType", "editor_window")
                .with("turnIndex", &index.to_string())
                .with_long("messageText", "messageText", text, Splitting::Compressed)
                .measuring("messageCharLen", text.len() as u64)
        };
        let mut events = vec![text(request.at_ms, "user", &request.user)];
        for (place, round) in request.rounds.iter().enumerate() {
            if !round.text.is_empty() {
                let at_ms = request.at_ms + request.round_ms * (place as i64 + 1) - 2;
                let call = self.call_id(place);
                events.push(text(at_ms, "model", &round.text).with("headerRequestId", &call));
            }
        }
        let at_ms = request.at_ms + request.round_ms * request.rounds.len() as i64 - 1;
        let details = self
            .event(at_ms, "toolCallDetailsInternal")
            .with("initiatorClientType", "editor_window")
            .with("requestId", &self.uuid("request", self.requests));
        events.push(
            self.with_counts(details, request)
                .measuring("turnIndex", u64::from(index)),
        );
        self.events.extend(events);
        self.history.push(Vec::new());
    }
}
