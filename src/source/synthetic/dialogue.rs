//! One synthetic conversation: its dialogue, its tool calls, its faults, its rows.
//!
//! Everything comes from a generator seeded with (seed, number). Only integers are drawn, so the
//! bytes are the same on every platform.

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use crate::domain::copilot_chat::sender::{ToolUse, uuid};
use crate::domain::json::text;

use super::words::{CODE, OBJECTS, REASONS, TOOLS, VERBS};

/// 2025-01-01T00:00:00Z in milliseconds since 1970.
const START_MS: i64 = 1_735_689_600_000;

/// Conversations begin within this many days.
const DAYS: i64 = 89;

/// The faults of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// The first turn never arrived.
    NoFirstTurn,
    /// A turn in the middle never arrived.
    Gap,
    BlankUserMessage,
    NoUserName,
    LoneSurrogate,
    /// A turn arrived twice.
    Redelivered,
    /// A turn arrived again, later, with other text.
    Conflict,
    /// Another mode than agent.
    OtherMode,
    /// The id `unknown`.
    UnknownId,
    EmptyModelMessage,
    NoTokens,
    /// A row that cannot be read comes along.
    Malformed,
    /// A conversation row that says another bucket.
    WrongBucket,
}

/// One conversation.
pub struct Conversation {
    rng: Pcg64Mcg,
    id: String,
    user_name: String,
    fault: Fault,
}

/// A turn as it was.
pub(super) struct Turn {
    pub index: u64,
    pub at_ms: i64,
    pub user: String,
    pub model: String,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    pub uses: Vec<ToolUse>,
}

impl Turn {
    /// How often the model was called.
    fn calls(&self) -> u64 {
        self.uses.len() as u64 + 1
    }
}

impl Conversation {
    /// Begins conversation `number`.
    pub fn new(seed: u64, number: u64) -> Self {
        let mut rng = rng(seed, number);
        let fault = match rng.random_range(0..1000u32) {
            0..15 => Fault::NoFirstTurn,
            15..25 => Fault::Gap,
            25..40 => Fault::BlankUserMessage,
            40..50 => Fault::NoUserName,
            50..55 => Fault::LoneSurrogate,
            55..75 => Fault::Redelivered,
            75..90 => Fault::Conflict,
            90..110 => Fault::OtherMode,
            110..115 => Fault::UnknownId,
            115..135 => Fault::EmptyModelMessage,
            135..145 => Fault::NoTokens,
            145..150 => Fault::Malformed,
            150..160 => Fault::WrongBucket,
            _ => Fault::None,
        };
        let id = match fault {
            Fault::UnknownId => "unknown".to_owned(),
            _ => uuid(rng.random()),
        };
        Self {
            rng,
            id,
            user_name: String::new(),
            fault,
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What is wrong with it.
    pub(super) fn fault(&self) -> Fault {
        self.fault
    }

    /// Who it is of; blank until its turns were made.
    pub(super) fn user_name(&self) -> &str {
        &self.user_name
    }

    /// Its rows, one per turn or one for all.
    pub fn rows(mut self, is_whole: bool) -> Vec<Vec<u8>> {
        let turns = self.turns();
        let mut rows = match is_whole {
            false => self.turn_rows(&turns),
            true => self.conversations(&turns),
        };
        if self.fault == Fault::Malformed {
            let whole = rows[0].clone();
            rows.push(whole[..whole.len() / 2].to_vec());
        }
        rows
    }

    /// Number of turns: about a fifth short, half medium, a third long, a few outside.
    fn length(&mut self) -> u64 {
        match self.rng.random_range(0..100u32) {
            0..3 => self.rng.random_range(1..3),
            3..23 => self.rng.random_range(3..6),
            23..68 => self.rng.random_range(6..11),
            68..98 => self.rng.random_range(11..21),
            _ => self.rng.random_range(21..31),
        }
    }

    /// Its turns.
    pub(super) fn turns(&mut self) -> Vec<Turn> {
        self.user_name = match self.fault {
            Fault::NoUserName => " ".to_owned(),
            _ => format!("dev_{:04}", self.rng.random_range(0..3000u32)),
        };
        let length = self.length();
        let mut at_ms = START_MS + self.rng.random_range(0..DAYS * 86_400_000);
        let mut prompt_tokens = 0;
        let broken = self.rng.random_range(0..length);
        (0..length)
            .map(|place| {
                let mut user = self.request();
                let mut model = self.reply();
                if place == broken {
                    match self.fault {
                        Fault::BlankUserMessage => user = " \n".to_owned(),
                        Fault::EmptyModelMessage => model.clear(),
                        _ => {}
                    }
                }
                let uses = self.uses();
                prompt_tokens += words(&user);
                let completion_tokens = words(&model);
                at_ms += 5_000 + 1_000 * completion_tokens as i64 + self.rng.random_range(0..1000);
                let turn = Turn {
                    index: place + 1,
                    at_ms,
                    user,
                    model,
                    prompt_tokens: if self.fault == Fault::NoTokens {
                        0
                    } else {
                        prompt_tokens
                    },
                    completion_tokens,
                    uses,
                };
                prompt_tokens += completion_tokens;
                turn
            })
            .collect()
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.rng.random_range(0..of.len())]
    }

    fn request(&mut self) -> String {
        let (verb, object, reason) = (self.pick(&VERBS), self.pick(&OBJECTS), self.pick(&REASONS));
        match self.rng.random_range(0..3u32) {
            0 => format!("Please {verb} {object}, because {reason}."),
            1 => format!(
                "Can you {verb} {object}? {reason}.\n\n```\n{}```",
                self.pick(&CODE)
            ),
            _ => format!("{verb} {object}"),
        }
    }

    fn reply(&mut self) -> String {
        let mut reply = String::from("I looked at it. ");
        for _ in 0..self.rng.random_range(1..6u32) {
            let (verb, object, reason) =
                (self.pick(&VERBS), self.pick(&OBJECTS), self.pick(&REASONS));
            reply.push_str(&format!("To {verb} {object} makes sense: {reason}. "));
        }
        if self.rng.random_range(0..3u32) == 0 {
            reply.push_str("\n```\n");
            reply.push_str(self.pick(&CODE));
            reply.push_str("```");
        }
        reply
    }

    /// Calls of tools. Mostly small results, now and then a large one.
    fn uses(&mut self) -> Vec<ToolUse> {
        let calls = self.rng.random_range(0..4u64);
        let use_of_tool = |_| {
            let pieces = match self.rng.random_range(0..200u32) {
                0 => self.rng.random_range(20..400u32),
                1..40 => self.rng.random_range(4..20),
                _ => self.rng.random_range(1..4),
            };
            let result: String = (0..pieces).map(|_| self.pick(&CODE)).collect();
            let (tool, path) = (self.pick(&TOOLS), self.rng.random_range(0..10_000u32));
            ToolUse {
                tool: tool.to_owned(),
                arguments: format!(r#"{{"path":"src/m{path}.rs","limit":{pieces}}}"#),
                result,
            }
        };
        (0..calls).map(use_of_tool).collect()
    }

    /// The mode of a conversation, and the place of the turn that its fault strikes.
    pub(super) fn mode_and_middle(&mut self, turns: usize) -> (&'static str, usize) {
        let mode = match self.fault {
            Fault::OtherMode => self.pick(&["ask", "edit", "Agent"]),
            _ => "agent",
        };
        (mode, self.rng.random_range(0..turns))
    }

    /// Whether the turn at a place never arrived.
    pub(super) fn is_missing(&self, place: usize, middle: usize, turns: usize) -> bool {
        match self.fault {
            Fault::NoFirstTurn => place == 0 && turns > 1,
            Fault::Gap => place == middle && place + 1 < turns,
            _ => false,
        }
    }

    fn turn_rows(&mut self, turns: &[Turn]) -> Vec<Vec<u8>> {
        let (mode, middle) = self.mode_and_middle(turns.len());
        let mut rows = Vec::new();
        for (place, turn) in turns.iter().enumerate() {
            if self.is_missing(place, middle, turns.len()) {
                continue;
            }
            let row = self.turn_row(mode, turn);
            if place == middle {
                match self.fault {
                    Fault::Redelivered => rows.push(row.clone()),
                    Fault::Conflict => {
                        let other = Turn {
                            at_ms: turn.at_ms - 500,
                            model: "An earlier answer.".to_owned(),
                            user: turn.user.clone(),
                            uses: Vec::new(),
                            ..*turn
                        };
                        rows.push(self.turn_row(mode, &other));
                    }
                    _ => {}
                }
            }
            rows.push(row);
        }
        rows
    }

    fn turn_row(&self, mode: &str, turn: &Turn) -> Vec<u8> {
        let mut out = format!(
            r#"{{"Timestamp":"{}","conversationId":"#,
            instant(turn.at_ms)
        )
        .into_bytes();
        text::write_string(&self.id, &mut out);
        out.extend_from_slice(b",\"userName\":");
        text::write_string(&self.user_name, &mut out);
        out.extend_from_slice(format!(r#","mode":"{mode}","#).as_bytes());
        self.write_turn(turn, &mut out);
        out.push(b'}');
        out
    }

    /// The members of a turn, in their order.
    fn write_turn(&self, turn: &Turn, out: &mut Vec<u8>) {
        out.extend_from_slice(format!(r#""turnIndex":{},"userMessage":"#, turn.index).as_bytes());
        text::write_string(&turn.user, out);
        if self.fault == Fault::LoneSurrogate && turn.index == 1 {
            out.truncate(out.len() - 1);
            out.extend_from_slice(br#" \ud83d""#);
        }
        out.extend_from_slice(b",\"modelMessage\":");
        text::write_string(&turn.model, out);
        let (prompt, completion) = (turn.prompt_tokens, turn.completion_tokens);
        let calls = turn.calls();
        out.extend_from_slice(
            format!(r#","promptTokens":{prompt},"completionTokens":{completion},"llmCallCount":{calls},"trajectory":"#)
                .as_bytes(),
        );
        write_trajectory(&turn.uses, out);
    }

    fn conversations(&mut self, turns: &[Turn]) -> Vec<Vec<u8>> {
        let skipped = usize::from(self.fault == Fault::NoFirstTurn && turns.len() > 1);
        let row = self.whole(&turns[skipped..]);
        match self.fault {
            // Delivered before it was over, and again afterwards.
            Fault::Conflict | Fault::Redelivered if turns.len() > 1 => {
                let shorter = self.whole(&turns[..turns.len() - 1]);
                vec![shorter, row.clone(), row]
            }
            _ => vec![row],
        }
    }

    /// A row that has all of these turns.
    pub(super) fn whole(&self, turns: &[Turn]) -> Vec<u8> {
        let mut out = Vec::from(b"{\"conversationId\":");
        text::write_string(&self.id, &mut out);
        out.extend_from_slice(b",\"userName\":");
        text::write_string(&self.user_name, &mut out);
        let count = turns.len();
        let bucket = match (self.fault, count) {
            (Fault::WrongBucket, 6..=10) => "short",
            (Fault::WrongBucket, _) => "medium",
            (_, 3..=5) => "short",
            (_, 6..=10) => "medium",
            (_, 11..=20) => "long",
            _ => "other",
        };
        out.extend_from_slice(
            format!(r#","turnCount":{count},"bucket":"{bucket}","turnsArray":["#).as_bytes(),
        );
        for (place, turn) in turns.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.push(b'{');
            self.write_turn(turn, &mut out);
            out.push(b'}');
        }
        let sum = |count: fn(&Turn) -> u64| turns.iter().map(count).sum::<u64>();
        let (prompt, completion, calls) = (
            sum(|t| t.prompt_tokens),
            sum(|t| t.completion_tokens),
            sum(Turn::calls),
        );
        out.extend_from_slice(
            format!(r#"],"promptTokens":{prompt},"completionTokens":{completion},"llmCallCount":{calls}}}"#).as_bytes(),
        );
        out
    }
}

/// A generator for what belongs to a number.
pub(super) fn rng(seed: u64, number: u64) -> Pcg64Mcg {
    let state = u128::from(seed) << 64 | u128::from(number);
    // An odd multiplier spreads neighbouring numbers; the generator wants an odd state.
    let mut rng = Pcg64Mcg::new(state.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) | 1);
    for _ in 0..4 {
        rng.random::<u64>();
    }
    rng
}

fn write_trajectory(uses: &[ToolUse], out: &mut Vec<u8>) {
    for (place, tool) in uses.iter().enumerate() {
        let ToolUse {
            tool,
            arguments,
            result,
        } = tool;
        out.push(if place == 0 { b'[' } else { b',' });
        out.extend_from_slice(
            format!(r#"{{"tool":"{tool}","arguments":{arguments},"result":"#).as_bytes(),
        );
        text::write_string(result, out);
        out.push(b'}');
    }
    out.extend_from_slice(if uses.is_empty() { b"[]" } else { b"]" });
}

fn words(text: &str) -> u64 {
    text.split_whitespace().count() as u64
}

/// RFC 3339 with milliseconds.
fn instant(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => String::new(),
    }
}
