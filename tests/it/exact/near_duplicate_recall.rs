//! How many of the pairs that are similar enough the index of near-duplicates finds, against all pairs computed exactly.
//! Over texts with planted edits: a few words swapped, turns appended, a template around it, results in another order.

use std::collections::{BTreeMap, BTreeSet};

use gleaner::domain::near_duplicates::index::Index;
use gleaner::domain::near_duplicates::templates::Templates;
use gleaner::domain::near_duplicates::{Scope, ShingleSet, Sketch, Threshold};
use gleaner::domain::words::Words;
use rand::seq::SliceRandom;
use rand::{Rng, RngExt};

use crate::support::corpus::rng;
use crate::support::shared;

/// Sentences, and in the middle what a tool has answered, a line a result.
type Dialogue = Vec<String>;

const COMMON: u32 = 60;

fn synthetic() -> Vec<Dialogue> {
    let mut rng = rng(7);
    let word = |rng: &mut rand_pcg::Pcg64Mcg| match rng.random_range(0..3) {
        0 => format!("common{}", rng.random_range(0..COMMON)),
        _ => format!("word{}", rng.random_range(0..4_000)),
    };
    let mut dialogue = |sentences: usize| {
        let sentence = |_| {
            let words: Vec<String> = (0..rng.random_range(3..20))
                .map(|_| word(&mut rng))
                .collect();
            words.join(" ")
        };
        (0..sentences).map(sentence).collect()
    };
    (0..160).map(|number| dialogue(3 + number % 37)).collect()
}

/// The dialogues of real people, if they are there.
fn real() -> Option<Vec<Dialogue>> {
    let path = shared()?.join("data/sgd/sgd-events-000.jsonl.zst");
    let text = zstd::decode_all(std::fs::File::open(path).expect("a file")).expect("zstd");
    let mut dialogues = BTreeMap::<String, BTreeMap<i64, String>>::new();
    for line in text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let row: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let turn = row["turnIndex"].as_i64().expect("a number");
        let messages = format!("{}\n{}", text("userMessage"), text("modelMessage"));
        dialogues
            .entry(text("conversationId"))
            .or_default()
            .insert(turn, messages);
    }
    let all = dialogues.into_values().take(250);
    Some(all.map(|turns| turns.into_values().collect()).collect())
}

/// A dialogue and what becomes of it by each kind of edit, more or less of it.
fn edited(dialogue: &Dialogue, rng: &mut impl Rng) -> Vec<String> {
    let text = dialogue.join("\n");
    let mut all = vec![text.clone()];
    for share in [0.005, 0.01, 0.02] {
        let mut words: Vec<&str> = text.split(' ').collect();
        for _ in 0..(words.len() as f64 * share).ceil() as usize {
            let at = rng.random_range(0..words.len());
            words[at] = ["another", "the", "seven"][rng.random_range(0..3)];
        }
        all.push(words.join(" "));
    }
    let tail = [
        "and thank you",
        "One more thing: please do the same again for tomorrow at noon, would you?",
    ];
    all.extend(tail.map(|tail| format!("{text}\n{tail}")));
    all.push(format!(
        "You are an agent. Be helpful and brief.\n{text}\nAnswer in JSON."
    ));
    let mut lines: Vec<&str> = text.lines().collect();
    let middle = lines.len() / 2;
    let end = (middle + 3).min(lines.len());
    lines[middle..end].shuffle(rng);
    all.push(lines.join("\n"));
    all
}

/// Pairs of at least the threshold: how many there are, and how many of them the index finds.
fn recall(dialogues: &[Dialogue], share: f64) -> (usize, usize) {
    let (mut rng, none) = (rng(11), Templates::default());
    let threshold = Threshold::new(share).expect("a share");
    let texts: Vec<String> = dialogues
        .iter()
        .flat_map(|one| edited(one, &mut rng))
        .collect();
    let mut index = Index::new(Scope::All, threshold);
    let (mut sets, mut holders) = (Vec::<ShingleSet>::new(), BTreeMap::<u64, Vec<usize>>::new());
    let (mut similar, mut found) = (0, 0);
    let mut words = Words::new();
    for (number, text) in texts.iter().enumerate() {
        words.clear();
        words.push(text);
        let (set, sketch) = (ShingleSet::of(&words, &none), Sketch::of(&words, &none));
        let candidates = index.similar(0, &sketch);
        // Whoever shares a shingle: all pairs that can be similar at all.
        let sharing: BTreeSet<usize> = set
            .iter()
            .filter_map(|one| holders.get(&one))
            .flatten()
            .copied()
            .collect();
        for other in sharing {
            if threshold.is_met(set.overlap(&sets[other])) {
                similar += 1;
                let other = other as u32;
                // Those behind an equal text are not asked for.
                let is_found = candidates.same.is_some_and(|same| same <= other);
                found += usize::from(is_found || candidates.maybe.contains(&other));
            }
        }
        set.iter()
            .for_each(|shingle| holders.entry(shingle).or_default().push(number));
        sets.push(set);
        index.insert(0, sketch);
    }
    eprintln!(
        "{found} of {similar} pairs of {} texts at {share}",
        texts.len()
    );
    (similar, found)
}

fn assert_recall(dialogues: &[Dialogue]) {
    for share in [0.8, 0.9] {
        let (similar, found) = recall(dialogues, share);
        assert!(similar > 3 * dialogues.len(), "{similar} pairs are planted");
        assert!(
            found as f64 >= 0.99 * similar as f64,
            "{found} of {similar} at {share}"
        );
    }
}

#[test]
fn synthetic_near_duplicates_are_found() {
    assert_recall(&synthetic());
}

#[test]
fn real_dialogues_with_edits_are_found() {
    if let Some(dialogues) = real() {
        assert_recall(&dialogues);
    }
}
