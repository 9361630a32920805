//! What is simulated: a few populations with their oracles, made once.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use gleaner::config::{self, Layers, settings::Settings};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::support::corpus;
use crate::support::reference::{Asked, Outcome, evaluate, hash};

/// How many populations there are.
pub const WORLDS: u64 = 12;

/// How rows are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In hash chunks, whole.
    Hash,
    /// In hash chunks, a census first.
    Census,
    /// In files, which are their own store.
    Files,
}

/// A row and what decides its chunk.
#[derive(Debug, Clone)]
pub struct SimRow {
    pub key: Vec<u8>,
    pub turns: u64,
    pub text: Vec<u8>,
}

#[derive(Clone)]
pub struct World {
    pub delivery: Delivery,
    pub rows: Arc<Vec<SimRow>>,
    /// For [`Delivery::Files`].
    pub files: Arc<corpus::Files>,
    pub asked: Asked,
    pub expected: Arc<Outcome>,
}

impl World {
    /// The world of a seed.
    pub fn of(seed: u64) -> &'static Self {
        static MADE: [OnceLock<World>; WORLDS as usize] =
            [const { OnceLock::new() }; WORLDS as usize];
        let number = seed % WORLDS;
        MADE[number as usize].get_or_init(|| Self::make(number))
    }

    fn make(number: u64) -> Self {
        let delivery = [Delivery::Hash, Delivery::Census, Delivery::Files][number as usize % 3];
        let asked = Asked::new(&format!("world {number}"), 1 + number as usize % 4);
        let rows = match delivery {
            Delivery::Census => census_rows(number, &asked),
            _ if number.is_multiple_of(2) => corpus::events(number, 40),
            _ => corpus::conversations(number, 60),
        };
        let files = corpus::in_files(&rows, 5, "f");
        let expected = Arc::new(evaluate(&files, &asked));
        Self {
            delivery,
            rows: Arc::new(rows.into_iter().map(row).collect()),
            files: Arc::new(files),
            asked,
            expected,
        }
    }

    /// The settings of a run in this world; the seed decides how many work, and with how much.
    pub fn settings(&self, seed: u64) -> Settings {
        let of = |from: u64, to: u64, salt: u64| {
            let drawn = hash(format!("{salt}/{seed}").as_bytes()) as u64;
            from + drawn % (to - from + 1)
        };
        let text = format!(
            "name = 'd'\nsource.kind = 'synthetic'\nchunks.count = {}\nlimits.max_malformed_percent = 100\nlimits.in_flight = '{}KB'\n[workers]\nfetchers = {}\nvalidators = {}\nuploaders = {}\n[selection]\nseed = '{}'\nspare_percent = 0\n",
            of(3, 9, 1),
            of(4, 64, 2),
            of(1, 4, 3),
            of(1, 3, 4),
            of(1, 4, 5),
            self.asked.seed,
        );
        let mut layers = Layers::default().text("simulation", &text).expect("TOML");
        for ((split, bucket), target) in &self.asked.targets {
            let line = format!("selection.targets.{split}.{bucket} = {target}");
            layers = layers.text("targets", &line).expect("TOML");
        }
        config::validate(&layers, &[]).expect("valid")
    }
}

fn row(text: Vec<u8>) -> SimRow {
    // Raw, because messages may have half a character in them.
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&text).unwrap_or_default();
    let raw = |name: &str| members.get(name).map_or("null", |value| value.get());
    let id: Option<String> = serde_json::from_str(raw("conversationId")).unwrap_or_default();
    let turns: Option<Vec<Box<RawValue>>> =
        serde_json::from_str(raw("turnsArray")).unwrap_or_default();
    SimRow {
        // A row without an id must be somewhere too.
        key: id.map_or_else(|| text.clone(), String::into_bytes),
        turns: turns.map_or(0, |turns| turns.len() as u64),
        text,
    }
}

/// Good conversations, each once. In some worlds hardly any is valid, so that spares run out.
fn census_rows(number: u64, asked: &Asked) -> Vec<Vec<u8>> {
    let mut seen = std::collections::BTreeSet::new();
    let mut rows = Vec::new();
    let scarce = number.is_multiple_of(4);
    for text in corpus::conversations(number, if scarce { 250 } else { 60 }) {
        let alone = [("f".to_owned(), text.clone())];
        let Ok(Value::Object(mut object)) = serde_json::from_slice::<Value>(&text) else {
            continue;
        };
        let is_good = evaluate(&alone, asked).rows.get("kept_rows") == Some(&1);
        let id = object
            .get("conversationId")
            .map(Value::to_string)
            .unwrap_or_default();
        if !is_good || !seen.insert(id.clone()) {
            continue;
        }
        if scarce && hash(id.as_bytes()) % 10 != 0 {
            object.insert("userName".to_owned(), " ".into());
            rows.push(serde_json::to_vec(&object).expect("JSON"));
        } else {
            rows.push(text);
        }
    }
    rows
}
