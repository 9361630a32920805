//! Copilot Chat telemetry of synthetic conversations: the rows that the extension would have sent.
//!
//! The dialogues are those that the other schemas have with the same seed and number, so these say
//! what must come out again. What happens to the rows on their way is chosen by
//! [`TelemetryStyle::faults`].

use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

use super::dialogue::{self, Conversation, Fault, Turn};
use super::settings::{Synthetic, TelemetryFault, TelemetryStyle};
use super::words::TOOLS;
use crate::domain::copilot_chat::sender::{Era, Event, Request, Round, Sender, Window, of_text};

/// Conversations of one window of the editor: the first of them sends what they share.
const OF_A_WINDOW: u64 = 8;

/// How long the rounds of a request take altogether, in milliseconds. Less than between two turns.
const REQUEST_MS: i64 = 2_400;

/// Of how many conversations one has a fault.
const ONE_IN: u32 = 6;

/// How many bytes a long text has, at least.
const LONG: usize = 12_000;

/// The rows of one synthetic conversation, each a JSON object.
pub fn rows(settings: Synthetic, style: TelemetryStyle, number: u64) -> Vec<Vec<u8>> {
    let mut conversation = Conversation::new(settings.seed, number);
    let mut turns = conversation.turns();
    let faults = Faults::new(settings.seed, style, number);
    faults.lengthen(&mut turns);
    let (mode, middle) = conversation.mode_and_middle(turns.len());
    let mut telemetry = Telemetry {
        window: window(settings.seed, number),
        era: style
            .era
            .unwrap_or_else(|| mixed_era(settings.seed, number)),
        faults,
        conversation: &conversation,
    };
    let mut events = telemetry.events(&turns, mode, middle);
    telemetry.change(&mut events);
    let mut rows: Vec<Vec<u8>> = events.iter().map(Event::row).collect();
    if conversation.fault() == Fault::Malformed {
        let whole = rows[0].clone();
        rows.push(whole[..whole.len() / 2].to_vec());
    }
    rows
}

/// What the rows of a conversation are made from: its row of the schema `conversations`.
pub fn truth(settings: Synthetic, style: TelemetryStyle, number: u64) -> Vec<u8> {
    let mut conversation = Conversation::new(settings.seed, number);
    let mut turns = conversation.turns();
    Faults::new(settings.seed, style, number).lengthen(&mut turns);
    conversation.whole(&turns)
}

/// A generator for what is chosen beside the dialogue.
fn rng(seed: u64, number: u64, of: &str) -> Pcg64Mcg {
    let salt = of
        .bytes()
        .fold(0u64, |salt, byte| salt.rotate_left(8) ^ u64::from(byte));
    dialogue::rng(seed ^ salt, number)
}

/// Windows have one version each.
fn mixed_era(seed: u64, number: u64) -> Era {
    let eras = Era::OF_EDITORS;
    eras[rng(seed, number / OF_A_WINDOW, "era").random_range(0..eras.len())]
}

fn window(seed: u64, number: u64) -> Window {
    let group = number / OF_A_WINDOW;
    let definition = |tool: &&str| {
        format!(
            r#"{{"type":"function","function":{{"name":"{tool}","description":"Runs {tool} in the workspace.","parameters":{{"type":"object","properties":{{"path":{{"type":"string"}},"limit":{{"type":"integer"}}}}}}}}}}"#
        )
    };
    let definitions: Vec<String> = TOOLS.iter().map(definition).collect();
    Window {
        id: format!("{seed}/{group}"),
        system:
            "You are an expert AI programming assistant, working with a user in the VS Code editor."
                .to_owned(),
        tools: format!("[{}]", definitions.join(",")),
        tool_names: format!("[\"{}\"]", TOOLS.join("\",\"")),
        sends_shared: number.is_multiple_of(OF_A_WINDOW),
    }
}

/// Which faults a conversation has.
struct Faults {
    struck: Vec<TelemetryFault>,
    rng: Pcg64Mcg,
}

impl Faults {
    fn new(seed: u64, style: TelemetryStyle, number: u64) -> Self {
        let mut rng = rng(seed, number, "faults");
        let strikes = |_: &TelemetryFault| rng.random_range(0..ONE_IN) == 0;
        // All are drawn, so that one does not depend on which others are wanted.
        let drawn: Vec<TelemetryFault> = TelemetryFault::ALL.into_iter().filter(strikes).collect();
        let struck = drawn
            .into_iter()
            .filter(|fault| style.faults.contains(*fault))
            .collect();
        Self { struck, rng }
    }

    fn has(&self, fault: TelemetryFault) -> bool {
        self.struck.contains(&fault)
    }

    /// Makes texts longer than a property may be.
    fn lengthen(&self, turns: &mut [Turn]) {
        if !self.has(TelemetryFault::LongTexts) {
            return;
        }
        for (place, turn) in turns.iter_mut().enumerate() {
            let text = match place % 3 {
                0 => &mut turn.user,
                1 => &mut turn.model,
                _ => continue,
            };
            if !text.trim().is_empty() {
                *text = text.repeat(LONG / text.len() + 1);
            }
        }
    }
}

struct Telemetry<'c> {
    window: Window,
    era: Era,
    faults: Faults,
    conversation: &'c Conversation,
}

impl Telemetry<'_> {
    fn events(&self, turns: &[Turn], mode: &str, middle: usize) -> Vec<Event> {
        let conversation = self.conversation;
        let (id, user_name) = (conversation.id(), conversation.user_name());
        let mut sender = Sender::new(self.era, &self.window, id, user_name);
        for (place, turn) in turns.iter().enumerate() {
            let is_last = place + 1 == turns.len();
            if self.conversation.is_missing(place, middle, turns.len()) {
                continue;
            }
            let mut request = request(self.conversation, turn, mode);
            if place == middle {
                for earlier in self.replaced(&request) {
                    sender.send(&earlier);
                }
            }
            if is_last && self.faults.has(TelemetryFault::ModeSwitches) {
                request.mode = "ask".to_owned();
            }
            sender.send(&request);
        }
        sender.into_events()
    }

    /// Requests that this one replaces, made shortly before it.
    fn replaced(&self, request: &Request) -> Vec<Request> {
        let earlier = |before: i64, after: u32, user: &str| Request {
            position: request.position + after,
            at_ms: request.at_ms - before,
            round_ms: 400,
            user: of_text(user),
            rounds: request.rounds[request.rounds.len() - 1..].to_vec(),
            ..request.clone()
        };
        let mut replaced = Vec::new();
        if self.faults.has(TelemetryFault::Edits) {
            replaced.push(earlier(2_300, 0, "What I did not mean."));
            replaced.push(earlier(1_700, 1, "And what followed from it."));
        }
        if self.faults.has(TelemetryFault::Retries) || self.conversation.fault() == Fault::Conflict
        {
            let mut again = earlier(1_000, 0, "");
            again.user.clone_from(&request.user);
            again.rounds[0].text = of_text("An earlier answer.");
            replaced.push(again);
        }
        replaced
    }

    /// What happens to the rows on their way.
    fn change(&mut self, events: &mut Vec<Event>) {
        if self.faults.has(TelemetryFault::LostRows) {
            let rng = &mut self.faults.rng;
            events.retain(|_| rng.random_range(0..40u32) > 0);
        }
        if self.faults.has(TelemetryFault::DamagedRows) {
            damage(events, &mut self.faults.rng);
        }
        if self.faults.has(TelemetryFault::Sampled) {
            events
                .iter_mut()
                .step_by(5)
                .for_each(|event| event.item_count = 4);
        }
        let again = match self.conversation.fault() == Fault::Redelivered {
            true => 2,
            false if self.faults.has(TelemetryFault::Duplicates) => 10,
            false => 0,
        };
        if again > 0 {
            let rng = &mut self.faults.rng;
            let mut twice: Vec<Event> = events.clone();
            twice.retain(|_| rng.random_range(0..again) == 0);
            events.extend(twice);
        }
        if self.faults.has(TelemetryFault::Disorder) {
            events.shuffle(&mut self.faults.rng);
        }
    }
}

/// Damages one row in a way in which it can be seen.
fn damage(events: &mut [Event], rng: &mut Pcg64Mcg) {
    let texts = |event: &&mut Event| event.name() == "conversation.messageText";
    let packed = |event: &mut Event| {
        event.replace("messagesJsonChunk", |text| text.truncate(text.len() / 2))
    };
    if rng.random_range(0..2u32) == 0 && events.iter_mut().any(packed) {
        return;
    }
    if let Some(event) = events.iter_mut().find(texts) {
        event.replace("turnIndex", |text| *text = of_text("first"));
    }
}

/// A turn as a request: a round for every call of a tool, and one for the answer.
fn request(conversation: &Conversation, turn: &Turn, mode: &str) -> Request {
    let calls = turn.uses.len() as u64 + 1;
    let share = |tokens: u64, round: u64| match round + 1 == calls {
        true => tokens - tokens / calls * (calls - 1),
        false => tokens / calls,
    };
    let mut user = of_text(&turn.user);
    if conversation.fault() == Fault::LoneSurrogate && turn.index == 1 {
        user.extend([0x20, 0xD83D]);
    }
    let round = |number: u64| {
        let tool = turn.uses.get(number as usize);
        Round {
            text: of_text(match tool {
                None => &turn.model,
                Some(_) if (turn.index + number).is_multiple_of(2) => "I look at that first.",
                Some(_) => "",
            }),
            uses: tool.cloned().into_iter().collect(),
            prompt_tokens: share(turn.prompt_tokens, number),
            completion_tokens: share(turn.completion_tokens, number),
        }
    };
    Request {
        position: turn.index as u32,
        at_ms: turn.at_ms,
        round_ms: REQUEST_MS / calls as i64,
        mode: mode.to_owned(),
        user,
        rounds: (0..calls).map(round).collect(),
    }
}
