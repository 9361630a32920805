use super::index::Index;
use super::signature::Signature;
use super::templates::{CONVERSATIONS, CoarseCounts, MOST_CONVERSATIONS, Templates};
use super::*;
use crate::words::{Words, mix};

fn words(text: &str) -> Words {
    let mut words = Words::new();
    words.push(text);
    words
}

fn set(text: &str) -> ShingleSet {
    ShingleSet::of(&words(text), &Templates::default())
}

fn sketch(text: &str) -> Sketch {
    Sketch::of(&words(text), &Templates::default())
}

fn threshold(share: f64) -> Threshold {
    Threshold::new(share).expect("a share")
}

/// Numbered words from `first` on.
fn text(first: u64, count: u64) -> String {
    let words: Vec<String> = (first..first + count)
        .map(|n| format!("w{}", mix(n)))
        .collect();
    words.join(" ")
}

#[test]
fn a_threshold_is_a_share_with_six_decimals_at_most() {
    for share in [0.000_001, 0.1, 0.8, 0.95, 0.999_999, 1.0] {
        assert_eq!(threshold(share).share(), share);
    }
    for other in [
        0.0,
        -0.5,
        1.000_001,
        80.0,
        0.800_000_4,
        f64::NAN,
        f64::INFINITY,
    ] {
        assert_eq!(Threshold::new(other), None, "{other}");
    }
}

#[test]
fn a_threshold_is_met_exactly() {
    let met = |share, both, either| threshold(share).is_met(Overlap { both, either });
    assert!(met(0.8, 4, 5) && !met(0.8, 799, 1000) && met(0.55, 11, 20) && met(0.7, 7, 10));
    assert!(met(1.0, 3, 3) && !met(1.0, 2, 3));
    assert!(!met(0.000_001, 0, 0), "two empty sets are no duplicates");
}

#[test]
fn sets_overlap_as_sets_do() {
    let (a, b) = (set("a b c d e f g"), set("x b c d e f g"));
    assert_eq!(a.overlap(&b), Overlap { both: 2, either: 4 });
    assert_eq!(set("one two").overlap(&a), Overlap { both: 0, either: 3 });
    assert_eq!(set("a a a a a a a a").iter().count(), 1);
}

#[test]
fn a_signature_is_that_of_the_definition() {
    assert_eq!(Signature::of([]), None);
    let one = 0x8000_0000_0000_00AB;
    assert_eq!(
        Signature::of([one, one | 0xFFFF]),
        Some(Signature([0xAB; 128]))
    );
    // Two bins have shingles: each of the others has the byte of one of them, both about as often.
    let two = Signature::of([one, 0x0100_0000_0000_00CD]).expect("shingles");
    assert_eq!((two.0[64], two.0[0]), (0xAB, 0xCD));
    let first = two.0.iter().filter(|&&byte| byte == 0xAB).count();
    assert!((40..88).contains(&first), "{first}");
    assert!(two.0.iter().all(|byte| [0xAB, 0xCD].contains(byte)));
}

#[test]
fn templates_are_in_more_than_twenty_conversations() {
    let conversation = |number: u64| {
        let wrap = if number < 21 {
            "begin of a long template"
        } else {
            ""
        };
        let rare = if number < 20 {
            "words of a rarer template"
        } else {
            ""
        };
        set(&format!("{wrap} {} {rare}", text(number * 100, 30)))
    };
    let mut coarse = CoarseCounts::default();
    (0..CONVERSATIONS as u64).for_each(|number| coarse.add(&conversation(number)));
    let mut fine = coarse.finish();
    (0..CONVERSATIONS as u64).for_each(|number| fine.add(&conversation(number)));
    let templates = fine.finish();
    assert_eq!((MOST_CONVERSATIONS, templates.len()), (20, 1));
    let of = |text: &str| ShingleSet::of(&words(text), &templates).iter().count();
    assert_eq!(of("Begin of a LONG template x"), 1);
    assert_eq!(of("words of a rarer template"), 1);
    assert_eq!(
        Sketch::of(&words("begin of a long template"), &templates).signature,
        None
    );
}

#[test]
fn the_first_record_that_may_be_repeated_comes_first() {
    let mut index = Index::new(Scope::All, threshold(0.8));
    let base = text(0, 200);
    for (split, text) in [
        (0, base.clone()),
        (1, text(5, 200)),
        (0, text(1000, 200)),
        (1, base.clone()),
    ] {
        index.insert(split, sketch(&text));
    }
    let similar = index.similar(2, &sketch(&base));
    assert_eq!((similar.maybe.len(), similar.same), (0, Some(0)));
    let similar = index.similar(0, &sketch(&text(4, 200)));
    assert_eq!((similar.maybe, similar.same), (vec![0, 1, 3], None));
    assert!(index.similar(0, &sketch(&text(5000, 200))).maybe.is_empty());
}

#[test]
fn across_splits_records_of_one_split_are_not_compared() {
    let mut index = Index::new(Scope::AcrossSplits, threshold(0.8));
    let base = text(0, 200);
    [0, 0, 1].into_iter().for_each(|split| {
        index.insert(split, sketch(&base));
    });
    assert_eq!(index.similar(0, &sketch(&base)).same, Some(2));
    assert_eq!(index.similar(1, &sketch(&base)).same, Some(0));
    assert_eq!(index.similar(0, &sketch(&text(1, 200))).maybe, [2]);
}

#[test]
fn texts_without_shingles_repeat_only_their_equals() {
    let mut index = Index::new(Scope::All, threshold(0.1));
    index.insert(0, sketch("yes please"));
    index.insert(0, sketch(""));
    assert_eq!(index.similar(0, &sketch("YES  please")).same, Some(0));
    assert_eq!(
        index.similar(0, &sketch("yes please do")),
        Default::default()
    );
    assert_eq!(index.similar(0, &sketch(" ")).same, Some(1));
}

#[test]
fn a_record_takes_half_a_kilobyte_or_so() {
    let mut index = Index::new(Scope::All, threshold(0.8));
    for count in [10_000, 28_000, 57_000] {
        while index.len() < count {
            index.insert(0, sketch(&text(index.len() as u64 * 1000, 60)));
        }
        let bytes = index.bytes() / count;
        assert!(
            (250..700).contains(&bytes),
            "{bytes} bytes a record of {count}"
        );
    }
}
