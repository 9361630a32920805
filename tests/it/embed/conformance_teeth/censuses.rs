//! Sources that break what a census owes.

use std::sync::Arc;

use gleaner::domain::selection::stratum::{Bucket, Selection, Split};
use gleaner::source::{ConversationSource, Pass};
use gleaner::testing::{census_conformance, source_conformance};

use super::broken::{Broken, Fault, NONE, memory, times};
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

#[tokio::test]
async fn censuses_that_break_the_contract() {
    let (census, ranks) = (
        "a census has every conversation once, as its row says",
        "a fetch by rank has exactly the conversations of those ranks",
    );
    let received = "delivered has every conversation once, as the census tells it";
    let source = memory().with_census(Arc::new(selection()));
    census_conformance(|| Box::new(Broken::new(source.clone(), NONE)), &selection()).await;
    let block = |block| Fault { block, ..NONE };
    let faults: [(&str, &str, Fault); 7] = [
        (
            "a conversation is missing",
            census,
            block(|block, order, _| {
                if order.pass == Pass::Census {
                    times(block, "c5", 0);
                    block.received.clear();
                }
            }),
        ),
        (
            "other turns",
            census,
            block(|block, order, _| {
                if order.pass == Pass::Census {
                    let text = String::from_utf8(block.bytes.clone()).expect("text");
                    block.bytes = text
                        .replace("\"turnCount\":1", "\"turnCount\":9")
                        .into_bytes();
                }
            }),
        ),
        (
            "no census",
            census,
            block(|block, order, _| {
                if order.pass == Pass::Census {
                    let text = String::from_utf8(block.bytes.clone()).expect("text");
                    block.bytes = text.replace("turnCount", "turns").into_bytes();
                }
            }),
        ),
        (
            "all ranks",
            ranks,
            Fault {
                order: |order, _| {
                    order.ranks = None;
                },
                ..NONE
            },
        ),
        (
            "one is not told",
            received,
            block(|block, order, _| {
                if matches!(order.pass, Pass::Round(_)) {
                    block.received.pop();
                }
            }),
        ),
        (
            "one is told with other turns",
            received,
            block(|block, order, _| {
                if matches!(order.pass, Pass::Round(_)) {
                    block.received[0].turns = Some(99);
                }
            }),
        ),
        (
            "one is told with another time",
            received,
            block(|block, order, _| {
                if matches!(order.pass, Pass::Round(_)) {
                    block.received[0].last = Some(99);
                }
            }),
        ),
    ];
    for (what, clause, mut fault) in faults {
        // It is not what is looked at here.
        fault.chunk_checksum = |chunk_checksum| *chunk_checksum = None;
        let make =
            || -> Box<dyn ConversationSource> { Box::new(Broken::new(source.clone(), fault)) };
        refused(what, clause, census_conformance(make, &selection())).await;
    }
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
