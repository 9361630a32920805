//! Synthetic input with every fault in it, from a seed.

use gleaner::domain::copilot_chat::sender::Era;
use gleaner::domain::record::row::RowShape;
use gleaner::source::synthetic::settings::{Synthetic, TelemetryFault, TelemetryStyle};
use gleaner::source::synthetic::telemetry::rows;
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_pcg::Pcg64Mcg;

pub type Files = Vec<(String, Vec<u8>)>;

pub fn rng(seed: u64) -> Pcg64Mcg {
    Pcg64Mcg::new(u128::from(seed) << 1 | 1)
}

fn pick<'a>(rng: &mut Pcg64Mcg, of: &[&'a str]) -> &'a str {
    of[rng.random_range(0..of.len())]
}

const MESSAGES: [&str; 14] = [
    r#""plain text""#,
    r#""quote \" slash \/ back \\ ""#,
    r#""\u00e9\n\t\u0001 \ud83d\ude42""#,
    "\"日本語 🙂\"",
    r#""\ud83d alone""#,
    r#""""#,
    r#"" \u2003\n ""#,
    "null",
    "7",
    "\"\u{a0}\"",
    r#""a""#,
    r#""b""#,
    r#""long long long long long long long long long long text\\\"\\\"""#,
    "[1]",
];

fn message(rng: &mut Pcg64Mcg) -> &'static str {
    // Mostly good ones.
    if rng.random_range(0..10u32) < 9 {
        return pick(rng, &MESSAGES[..4]);
    }
    pick(rng, &MESSAGES)
}

fn id(rng: &mut Pcg64Mcg, number: usize) -> String {
    match rng.random_range(0..30u32) {
        0 => r#""unknown""#.to_owned(),
        1 => format!(r#""q\"{number}/\n""#),
        2 => format!("\"é🙂{number}\""),
        3 => format!(r#""\u0041{number}""#),
        _ => format!("\"id-{number}\""),
    }
}

fn turn_members(rng: &mut Pcg64Mcg) -> String {
    let mut out = format!(
        r#""userMessage":{},"modelMessage":{}"#,
        message(rng),
        message(rng)
    );
    for name in ["promptTokens", "completionTokens", "llmCallCount"] {
        let value = pick(
            rng,
            &[
                "1",
                "2",
                "30",
                "4.0",
                "\"5\"",
                "null",
                "-1",
                "1e2",
                "0.5",
                "99999999999999999999",
            ],
        );
        if rng.random_range(0..8u32) > 0 {
            out += &format!(r#","{name}":{value}"#);
        }
    }
    let trajectory = pick(
        rng,
        &[
            "[]",
            "null",
            r#"[ {"b":1, "a":[1.50,{"z":"\u0041","y":null}]} ]"#,
            r#""text""#,
            "{}",
        ],
    );
    out += &format!(r#", "trajectory" : {trajectory}"#);
    if rng.random_range(0..6u32) == 0 {
        out += pick(
            rng,
            &[
                r#","zeta":{"k": 1},"alpha":"x\/""#,
                r#","extra":null"#,
                r#","dup":1,"dup":2"#,
                r#","bucket":"b""#,
            ],
        );
    }
    out
}

const MALFORMED: [&str; 16] = [
    "not json",
    "[1,2]",
    "{\"conversationId\":\"x\"",
    "{}",
    "\"text\"",
    "{\"a\":1}}",
    r#"{"conversationId":"x","turnIndex":"3","Timestamp":"2025-01-01T00:00:00Z","mode":"agent"}"#,
    r#"{"conversationId":"x","turnIndex":3.5,"Timestamp":"2025-01-01T00:00:00Z","mode":"agent"}"#,
    r#"{"conversationId":"","turnIndex":3,"Timestamp":"2025-01-01T00:00:00Z","mode":"agent"}"#,
    r#"{"conversationId":5,"turnIndex":3,"Timestamp":"2025-01-01T00:00:00Z","mode":"agent"}"#,
    r#"{"conversationId":"\ud83d","turnIndex":3,"Timestamp":"2025-01-01T00:00:00Z","mode":"agent"}"#,
    r#"{"conversationId":"x","turnIndex":3,"Timestamp":"yesterday","mode":"agent"}"#,
    r#"{"conversationId":"x","turnIndex":3,"turnIndex":3,"Timestamp":"2025-01-01T00:00:00Z"}"#,
    r#"{"conversationId":"x","turnsArray":null}"#,
    r#"{"conversationId":"x","turnsArray":[1]}"#,
    r#"{"conversationId":"x","turnsArray":[{"turnIndex":1,"turnIndex":2}]}"#,
];

/// A malformed row, as often as not of this conversation.
fn malformed(rng: &mut Pcg64Mcg, kinds: &[&str], id: &str) -> Vec<u8> {
    let row = pick(rng, kinds);
    match rng.random_range(0..2u32) {
        0 => row.replace("\"x\"", id).into_bytes(),
        _ => row.as_bytes().to_vec(),
    }
}

/// Event rows of so many conversations.
pub fn events(seed: u64, conversations: usize) -> Vec<Vec<u8>> {
    let rng = &mut rng(seed);
    let mut rows = Vec::new();
    for number in 0..conversations {
        let id = id(rng, number);
        let turns = rng.random_range(1..24u64);
        let user = pick(
            rng,
            &[
                r#""ann""#,
                r#""ann""#,
                r#""b\u00e9a""#,
                r#"" ""#,
                "null",
                "7",
            ],
        );
        let missing = match rng.random_range(0..12u32) {
            0 => rng.random_range(1..turns + 1),
            _ => 0,
        };
        for turn in (1..=turns).filter(|turn| *turn != missing) {
            let copies = if rng.random_range(0..15u32) == 0 {
                2
            } else {
                1
            };
            let mut last = String::new();
            for copy in 0..copies {
                let index = match rng.random_range(0..20u32) {
                    0 => format!("{turn}.0"),
                    _ => turn.to_string(),
                };
                let fraction = pick(rng, &["", ".1", ".1234567", ".123456789", ".000"]);
                let zone = pick(rng, &["Z", "Z", "", "+00:00", "-00:30"]);
                let mode = if rng.random_range(0..60u32) == 0 {
                    r#""Agent""#
                } else {
                    r#""agent""#
                };
                let row = format!(
                    r#"{{"Timestamp":"2025-01-{:02}T00:{:02}:00{fraction}{zone}","conversationId":{id},"userName":{user},"mode":{mode},"turnIndex":{index},{}}}"#,
                    1 + turn,
                    rng.random_range(0..3u32),
                    turn_members(rng),
                );
                // Now and then the very same row again.
                last = if copy == 1 && rng.random_range(0..2u32) == 0 {
                    last
                } else {
                    row
                };
                rows.push(last.clone().into_bytes());
            }
        }
        if rng.random_range(0..15u32) == 0 {
            rows.push(malformed(rng, &MALFORMED[..13], &id));
        }
    }
    rows
}

/// Conversation rows of so many conversations.
pub fn conversations(seed: u64, conversations: usize) -> Vec<Vec<u8>> {
    let rng = &mut rng(seed);
    let mut rows = Vec::new();
    for number in 0..conversations {
        let id = id(rng, number);
        let copies = if rng.random_range(0..8u32) == 0 { 2 } else { 1 };
        let turns = rng.random_range(0..24u64);
        for _ in 0..copies {
            let turns = if rng.random_range(0..3u32) == 0 {
                turns + 1
            } else {
                turns
            };
            let mut array: Vec<String> = Vec::new();
            for turn in 1..=turns {
                let index = if rng.random_range(0..150u32) == 0 {
                    pick(rng, &["0", "\"2\"", "null", "99"]).to_owned()
                } else {
                    turn.to_string()
                };
                array.push(format!(r#"{{"turnIndex":{index},{}}}"#, turn_members(rng)));
            }
            let bucket = match turns {
                _ if rng.random_range(0..20u32) == 0 => {
                    pick(rng, &["\"long\"", "null", "\" \"", "3"])
                }
                3..=5 => pick(rng, &["\"short\"", "\"short_3_to_5_turns\""]),
                6..=10 => "\"medium\"",
                _ => "\"long\"",
            };
            let space = pick(rng, &["", "", " ", "\t"]);
            let user = pick(rng, &["\"ann\"", "\"ann\"", "\"ann\"", "\" \"", "null"]);
            let count = match rng.random_range(0..20u32) {
                0 => "7".to_owned(),
                _ => turns.to_string(),
            };
            // Some rows lack one, the other, or both.
            let lacks = |every, at| rows.len() % every == at;
            let count = match lacks(5, 1) {
                true => String::new(),
                false => format!(r#""turnCount":{count},"#),
            };
            let bucket = match lacks(4, 2) {
                true => String::new(),
                false => format!(r#""bucket":{bucket},"#),
            };
            rows.push(format!(
                r#"{space}{{"conversationId":{id}, "userName":{user},{count}{bucket}"turnsArray":[{}],"promptTokens":{},"completionTokens":{},"other":[1, 2]}}{space}"#,
                array.join(","),
                pick(rng, &["1", "10", "0", "null"]), pick(rng, &["0", "3", "-1", "\"x\""]),
            ).into_bytes());
        }
        if rng.random_range(0..15u32) == 0 {
            let kinds = [&MALFORMED[..6], &MALFORMED[13..]].concat();
            rows.push(malformed(rng, &kinds, &id));
        }
    }
    rows
}

/// The row of a conversation in which every turn says these words.
pub fn conversation(number: usize, turns: usize, words: &str) -> Vec<u8> {
    let bucket = match turns {
        3..=5 => "short",
        6..=10 => "medium",
        _ => "long",
    };
    const COUNTS: &str = r#""promptTokens":1,"completionTokens":1,"llmCallCount":1"#;
    let turn = |index| {
        format!(
            r#"{{"turnIndex":{index},"userMessage":"{words} {index}","modelMessage":"ok",{COUNTS}}}"#
        )
    };
    let all: Vec<_> = (1..=turns).map(turn).collect();
    let row = format!(
        r#"{{"conversationId":"c{number}","userName":"n","turnCount":{turns},"bucket":"{bucket}","turnsArray":[{}],{COUNTS}}}"#,
        all.join(",")
    );
    row.into_bytes()
}

/// Rows of conversations of which many say the same or nearly so.
pub fn repeated(seed: u64, conversations: usize) -> Vec<Vec<u8>> {
    let rng = &mut rng(seed);
    let row = |number| {
        let (kind, turns) = (
            rng.random_range(0..conversations / 4),
            rng.random_range(3..13),
        );
        let words: Vec<String> = (0..60).map(|word| format!("w{kind}-{word}")).collect();
        let last = rng.random_range(0..3);
        conversation(number, turns, &format!("{} {last}", words.join(" ")))
    };
    (0..conversations).map(row).collect()
}

/// Rows in so many files, in another order for another seed.
pub fn shuffled(rows: &[Vec<u8>], files: usize, seed: u64) -> Files {
    let mut rows = rows.to_vec();
    rows.shuffle(&mut rng(seed));
    in_files(&rows, files, &format!("s{seed}-"))
}

pub fn in_files(rows: &[Vec<u8>], files: usize, prefix: &str) -> Files {
    let each = rows.len().div_ceil(files).max(1);
    let file = |(number, rows): (usize, &[Vec<u8>])| {
        let mut bytes = rows.join(&b"\n"[..]);
        bytes.push(b'\n');
        (format!("{prefix}{number:02}.jsonl"), bytes)
    };
    rows.chunks(each).enumerate().map(file).collect()
}

/// Rows of Copilot Chat telemetry with all faults, as the versions of an era send them; `None`: of all.
pub fn telemetry(seed: u64, era: Option<Era>, conversations: u64) -> Vec<Vec<u8>> {
    let settings = Synthetic {
        conversations,
        seed,
        schema: RowShape::CopilotChat,
    };
    let style = TelemetryStyle {
        era,
        faults: TelemetryFault::ALL.into_iter().collect(),
    };
    (0..conversations)
        .flat_map(|number| rows(settings, style, number))
        .collect()
}
