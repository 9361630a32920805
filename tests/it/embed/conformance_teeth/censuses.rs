//! Sources that break what a census owes.

use std::sync::Arc;

use gleaner::domain::selection::stratum::{Bucket, Selection, Split};
use gleaner::source::{ConversationSource, Pass, RowBlock};
use gleaner::testing::{census_conformance, source_conformance};

use super::broken::{Broken, Fault, NONE, OnBlock, memory, times};
use super::{refused, words};

fn selection() -> Selection {
    let split = Split {
        name: "all".to_owned(),
        percent: 100,
    };
    let bucket = |name: &str, turns| Bucket {
        name: name.to_owned(),
        turns: [turns, turns],
        file: name.to_owned(),
    };
    let buckets = vec![bucket("one", 1), bucket("two", 2)];
    let targets = [
        ("all".to_owned(), "one".to_owned(), 9),
        ("all".to_owned(), "two".to_owned(), 9),
    ];
    Selection::new("s", 0.0, vec![split], buckets, &targets).expect("good")
}

const fn on_block(block: OnBlock) -> Fault {
    Fault { block, ..NONE }
}

/// The kit names the clause that each fault breaks.
async fn refuses(faults: &[(&str, &str, Fault)]) {
    let source = memory().with_census(Arc::new(selection())).with_counts();
    census_conformance(|| Box::new(Broken::new(source.clone(), NONE)), &selection()).await;
    for &(what, clause, mut fault) in faults {
        // It is not what is looked at here.
        fault.chunk_checksum = |chunk_checksum| *chunk_checksum = None;
        let make =
            || -> Box<dyn ConversationSource> { Box::new(Broken::new(source.clone(), fault)) };
        refused(what, clause, census_conformance(make, &selection())).await;
    }
}

/// Writes the rows of a census otherwise.
fn rewrite(block: &mut RowBlock, from: &str, to: &str) {
    let text = String::from_utf8(block.bytes.clone()).expect("text");
    block.bytes = text.replace(from, to).into_bytes();
}

#[tokio::test]
async fn censuses_that_break_the_contract() {
    let clause = "a census has every conversation once, as its row says";
    let missing = on_block(|block, order, _| {
        if order.pass == Pass::Census {
            times(block, "c5", 0);
            block.received.clear();
        }
    });
    let other_turns = on_block(|block, order, _| {
        if order.pass == Pass::Census {
            rewrite(block, "\"turnCount\":1", "\"turnCount\":9");
        }
    });
    let no_census = on_block(|block, order, _| {
        if order.pass == Pass::Census {
            rewrite(block, "turnCount", "turns");
        }
    });
    refuses(&[
        ("a conversation is missing", clause, missing),
        ("other turns", clause, other_turns),
        ("no census", clause, no_census),
    ])
    .await;
}

#[tokio::test]
async fn rounds_that_break_the_contract() {
    let ranks = "a fetch by rank has exactly the conversations of those ranks";
    let received = "delivered has every conversation once, as the census tells it";
    let all_ranks = Fault {
        order: |order, _| order.ranks = None,
        ..NONE
    };
    let untold = on_block(|block, order, _| {
        if matches!(order.pass, Pass::Round(_)) {
            block.received.pop();
        }
    });
    let other_turns = on_block(|block, order, _| {
        if matches!(order.pass, Pass::Round(_)) {
            block.received[0].turns = Some(99);
        }
    });
    let other_time = on_block(|block, order, _| {
        if matches!(order.pass, Pass::Round(_)) {
            block.received[0].last = Some(99);
        }
    });
    refuses(&[
        ("all ranks", ranks, all_ranks),
        ("one is not told", received, untold),
        ("one is told with other turns", received, other_turns),
        ("one is told with another time", received, other_time),
    ])
    .await;
}

#[tokio::test]
async fn censuses_of_some_ranks_that_break_the_contract() {
    let clause = "a census of some ranks has exactly their conversations, and counts the others";
    let all_ranks = Fault {
        order: |order, _| {
            if matches!(order.pass, Pass::CensusUpTo(_)) {
                order.ranks = None;
            }
        },
        ..NONE
    };
    let uncounted = on_block(|block, order, _| {
        if matches!(order.pass, Pass::CensusUpTo(_)) {
            block.undelivered.pop();
        }
    });
    let elsewhere = on_block(|block, order, _| {
        if matches!(order.pass, Pass::CensusUpTo(_)) {
            (block.undelivered.iter_mut()).for_each(|count| count.turns = 99);
        }
    });
    refuses(&[
        ("all ranks", clause, all_ranks),
        ("one is not counted", clause, uncounted),
        ("they are counted elsewhere", clause, elsewhere),
    ])
    .await;
}

#[tokio::test]
async fn the_kits_of_sources_tell_which_of_them_is_right() {
    let with = memory().with_census(Arc::new(selection()));
    let words_with = words(source_conformance(|| Box::new(with.clone()))).await;
    assert!(
        words_with.contains("call census_conformance"),
        "{words_with}"
    );
    let without = words(census_conformance(|| Box::new(memory()), &selection())).await;
    assert!(without.contains("call source_conformance"), "{without}");
}
