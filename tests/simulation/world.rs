//! What is simulated: a few populations with their oracles, made once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock};

use gleaner::config;
use gleaner::config::Layers;
use gleaner::config::settings::Settings;
use gleaner::domain::privacy::placeholder::Key;
use gleaner::domain::privacy::policy::Action;
use gleaner::domain::privacy::users;
use gleaner::domain::scheduling::chunk::HashChunk;
use gleaner::domain::selection::exclude::ExcludeList;
use gleaner::domain::selection::group::GroupMark;
use serde_json::value::RawValue;

use crate::behaviour::draw;
use crate::support::corpus;
use crate::support::reference::near_duplicates::NearDuplicates;
use crate::support::reference::rows::readable_id;
use crate::support::reference::trust::{self, Users};
use crate::support::reference::{Asked, Outcome, evaluate, hash, ticks};

/// How many populations there are.
pub const WORLDS: u64 = 16;

/// How rows are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In hash chunks, whole.
    Hash,
    /// In hash chunks, a census first.
    Census,
    /// In hash chunks, a census of some ranks first; the other conversations are counted.
    Thresholds,
    /// In files, which are their own store.
    Files,
}

/// A row and what decides its chunk.
#[derive(Debug, Clone)]
pub struct SimRow {
    pub key: Vec<u8>,
    pub turns: u64,
    /// If groups decide the split.
    pub group: GroupMark,
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
    /// What is expected without some chunks.
    without: Arc<Mutex<BTreeMap<Vec<HashChunk>, Arc<Outcome>>>>,
}

impl World {
    /// The world of a seed.
    pub fn of(seed: u64) -> &'static Self {
        static MADE: [OnceLock<World>; WORLDS as usize] =
            [const { OnceLock::new() }; WORLDS as usize];
        let number = seed % WORLDS;
        MADE[number as usize].get_or_init(|| Self::make(number))
    }

    /// In every second four hardly any conversation is valid, so that spares run out.
    fn make(number: u64) -> Self {
        use Delivery::*;
        let delivery = [Hash, Census, Files, Thresholds][number as usize % 4];
        let scarce = number / 4 % 2 == 1;
        let target = if scarce { 3 } else { 1 + number as usize % 4 };
        let mut asked = Asked::new(&format!("world {number}"), target);
        // Of each conversation the turn n is of the day n + 1.
        if let 0 | 2 | 8 = number {
            let at = |day| ticks(&format!("2025-01-{day}T00:00:00Z")).expect("an instant");
            asked.window = (at("02"), at("12"));
            asked.keep_cut = number == 2;
        }
        if number == 8 {
            // Some begin before it, and all the rest of them exists.
            asked.window.0 += 60 * 10_000_000;
            asked.slack *= 30;
        }
        if let 9..=13 = number {
            asked.near_duplicates = Some(NearDuplicates {
                across_splits: number.is_multiple_of(2),
                percent: 80,
            });
        }
        trusted(number, &mut asked);
        if let 3 | 8 = number {
            asked.targets.insert(("train", "short"), 0);
        }
        let rows = match delivery {
            _ if asked.near_duplicates.is_some() => corpus::repeated(number, 110),
            _ if scarce => corpus::conversations(number, 130),
            Hash | Files => corpus::events(number, 40),
            _ => corpus::conversations(number, 60),
        };
        let rows = rows.into_iter().map(|text| match asked.redacts {
            true => with_secret(text),
            false => text,
        });
        let rows = rows.map(|text| row(text, &asked));
        let rows = rows.map(|row| of_some_user(row, &asked));
        let rows = rows.map(|row| match scarce {
            true if hash(&row.key) % 10 != 0 => nameless(row),
            _ => row,
        });
        let rows: Vec<SimRow> = match delivery {
            Census | Thresholds => good_once(rows, &asked),
            _ => rows.collect(),
        };
        if let 1 | 5 | 6 | 9 | 12 | 14 = number {
            let ids = rows.iter().filter(|row| hash(&row.key) % 7 == 1);
            let ids = ids.filter_map(|row| String::from_utf8(row.key.clone()).ok());
            // A row without an id is its own.
            asked.exclude = ids.filter(|id| !id.contains(['{', '\n'])).collect();
        }
        let texts: Vec<_> = rows.iter().map(|row| row.text.clone()).collect();
        let files = corpus::in_files(&texts, 5, "f");
        let expected = Arc::new(evaluate(&files, &asked));
        Self {
            delivery,
            rows: Arc::new(rows),
            files: Arc::new(files),
            asked,
            expected,
            without: Arc::default(),
        }
    }

    /// What is expected if some chunks are missing.
    pub fn expected_without(&self, missing: &[HashChunk]) -> Arc<Outcome> {
        if missing.is_empty() {
            return Arc::clone(&self.expected);
        }
        let mut known = self.without.lock().expect("no panic");
        let outcome = known.entry(missing.to_vec()).or_insert_with(|| {
            let is_there = |row: &&SimRow| !missing.iter().any(|chunk| chunk.holds(&row.key));
            let rows = self.rows.iter().filter(is_there);
            let rows: Vec<_> = rows.map(|row| row.text.clone()).collect();
            Arc::new(evaluate(&corpus::in_files(&rows, 1, "f"), &self.asked))
        });
        Arc::clone(outcome)
    }

    /// The line of `selection.split_by`, if the id does not split.
    fn split_by(&self) -> String {
        let field = self.asked.split_by.iter();
        field
            .map(|field| format!("split_by = '{field}'\n"))
            .collect()
    }

    /// The settings of a run in this world; the seed decides how many work, and with how much.
    pub fn settings(&self, seed: u64) -> Settings {
        let of = |from, to, salt: u32| draw(seed, &salt.to_string(), from, to);
        let text = format!(
            "name = 'd'\nsource.kind = 'synthetic'\nsink.format = '{}'\nchunks.count = {}\nlimits.max_malformed_percent = 100\nlimits.in_flight = '{}KB'\n[workers]\nfetchers = {}\nvalidators = {}\nuploaders = {}\nrestarts = {}\n[selection]\nseed = '{}'\nspare_percent = 0\n",
            ["json", "jsonl"][of(0, 1, 7) as usize],
            of(3, 9, 1),
            of(4, 64, 2),
            of(1, 4, 3),
            of(1, 3, 4),
            of(1, 4, 5),
            of(1, 5, 6),
            self.asked.seed,
        );
        let text = match self.asked.keep_cut {
            true => text + "cut = 'keep'\n",
            false => text,
        };
        let text = text + &self.split_by();
        let mut layers = Layers::default().text("simulation", &text).expect("TOML");
        for line in self
            .asked
            .near_duplicates
            .iter()
            .flat_map(NearDuplicates::settings)
        {
            let (key, value) = line.split_once('=').expect("a value");
            let value = if key.ends_with("scope") {
                format!("'{value}'")
            } else {
                value.to_owned()
            };
            layers = layers
                .text("near-duplicates", &format!("{key} = {value}"))
                .expect("TOML");
        }
        for ((split, bucket), target) in &self.asked.targets {
            let line = format!("selection.targets.{split}.{bucket} = {target}");
            layers = layers.text("targets", &line).expect("TOML");
        }
        // Read when the settings are checked.
        let file = tempfile::NamedTempFile::with_suffix(".jsonl").expect("a file");
        if let Some(text) = &self.asked.benchmark {
            let row = serde_json::json!({"text": text}).to_string();
            std::fs::write(file.path(), row).expect("written");
            let path = file.path().display();
            let files =
                format!("decontaminate.files = [{{path = '{path}', field = 'text', name = 'b'}}]");
            layers = layers.text("benchmark", &files).expect("TOML");
        }
        let mut settings = config::validate(&layers, &[]).expect("valid");
        settings.privacy.key = Key::new(trust::KEY);
        if self.asked.redacts {
            settings.privacy.secrets = Action::Redact;
        }
        let listed: Vec<&str> = self.asked.exclude.iter().map(String::as_str).collect();
        settings.exclude = ExcludeList::parse(&listed.join("\n")).expect("ids");
        settings.privacy.users = match self.asked.users {
            Users::Keep => users::Users::Keep,
            Users::Pseudonym => users::Users::Pseudonym,
            Users::Drop => users::Users::Drop,
        };
        settings
    }
}

/// A row with a secret in front of what its user wrote.
fn with_secret(text: Vec<u8>) -> Vec<u8> {
    let Ok(text) = String::from_utf8(text.clone()) else {
        return text;
    };
    let message = "\"userMessage\":\"";
    let planted = format!("{message}{} ", trust::planted_secret());
    text.replace(message, &planted).into_bytes()
}

/// What is done about users, benchmarks and groups.
fn trusted(number: u64, asked: &mut Asked) {
    // Rows of events have no names in their turns.
    asked.users = match number {
        0 | 2 | 9 | 12 => Users::Drop,
        8 | 10 | 13 => Users::Pseudonym,
        _ => Users::Keep,
    };
    if let 9 | 11 | 12 = number {
        let words: Vec<_> = (7..20).map(|word| format!("W3-{word}")).collect();
        asked.benchmark = Some(words.join(" "));
    }
    asked.redacts = matches!(number, 2 | 5 | 7 | 10 | 11 | 14);
    if let 1 | 4..=6 | 8 | 10 | 13 | 14 = number {
        asked.split_by = Some("userName".to_owned());
    }
}

fn row(text: Vec<u8>, asked: &Asked) -> SimRow {
    // Raw, because messages may have half a character in them.
    let members: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&text).unwrap_or_default();
    let raw = |name: &str| members.get(name).map_or("null", |value| value.get());
    let id: Option<String> = serde_json::from_str(raw("conversationId")).unwrap_or_default();
    let turns: Option<Vec<Box<RawValue>>> =
        serde_json::from_str(raw("turnsArray")).unwrap_or_default();
    SimRow {
        // A row that is cut is where its conversation is, and one without an id somewhere.
        key: (id.or_else(|| readable_id(&text, asked)))
            .map_or_else(|| text.clone(), String::into_bytes),
        turns: turns.map_or(0, |turns| turns.len() as u64),
        group: GroupMark::ABSENT,
        text,
    }
}

/// A row whose user is one of nine, by its conversation, where users decide the splits.
fn of_some_user(mut row: SimRow, asked: &Asked) -> SimRow {
    if asked.split_by.is_none() {
        return row;
    }
    let user = format!("user {}", hash(&row.key).rem_euclid(9));
    for name in [r#""userName":"ann""#, r#""userName":"n""#] {
        let Some(at) = row
            .text
            .windows(name.len())
            .position(|part| part == name.as_bytes())
        else {
            continue;
        };
        let named = format!("\"userName\":\"{user}\"");
        row.text.splice(at..at + name.len(), named.into_bytes());
        row.group = GroupMark::of_hash(hash(user.as_bytes()));
        break;
    }
    row
}

/// A row whose user has no name: it is read, and its conversation is not valid.
fn nameless(mut row: SimRow) -> SimRow {
    let name = b"\"userName\":";
    let Some(at) = row.text.windows(name.len()).position(|part| part == name) else {
        return row;
    };
    row.group = GroupMark::ABSENT;
    let start = at + name.len();
    let length = row.text[start..].iter().position(|&b| b == b',');
    let length = length.expect("another member follows");
    row.text
        .splice(start..start + length, b"\" \"".iter().copied());
    row
}

/// What a cluster has: good conversations, each once.
fn good_once(rows: impl Iterator<Item = SimRow>, asked: &Asked) -> Vec<SimRow> {
    let mut seen = BTreeSet::new();
    let mut is_good = |row: &SimRow| {
        let alone = [("f".to_owned(), row.text.clone())];
        evaluate(&alone, asked).rows.get("kept_rows") == Some(&1) && seen.insert(row.key.clone())
    };
    rows.filter(|row| is_good(row)).collect()
}
