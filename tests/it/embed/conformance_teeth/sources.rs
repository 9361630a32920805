//! Sources that break their contract.

use gleaner::domain::sampling::rank_ranges::ChunkChecksum;
use gleaner::domain::scheduling::chunk::Chunk;
use gleaner::source::files::FilesSource;
use gleaner::source::{InputFingerprint, ParsedKind, ParsedRow, RowEncoding, RowLocation, Survey};
use gleaner::testing::source_conformance;
use serde_json::{Value, json};

use super::broken::{Broken, Fault, NONE, On, OnBlock, memory, n, pop, times};
use super::refused;

const SAME: &str = "a chunk has the same rows whenever it is fetched";

/// The kit names the clause that each fault of a block breaks.
async fn refuses(faults: &[(&str, &str, OnBlock)]) {
    for &(what, clause, block) in faults {
        let fault = Fault { block, ..NONE };
        let kit = source_conformance(|| Box::new(Broken::new(memory(), fault)));
        refused(what, clause, kit).await;
    }
}

#[tokio::test]
async fn without_a_fault_a_source_passes() {
    source_conformance(|| Box::new(Broken::new(memory(), NONE))).await;
}

#[tokio::test]
async fn surveys_that_break_the_contract() {
    let chunks = "the chunks of a survey are disjoint";
    let again = "asked again, a survey says the same";
    let kept = "what a survey promises can be kept";
    let faults: [(&str, &str, On<Survey>); 8] = [
        ("other chunks", again, |survey, nth| {
            survey.chunks.truncate(4 - nth.min(2) as usize);
        }),
        ("another stamp", again, |survey, nth| {
            survey.input_fingerprints = vec![InputFingerprint {
                path: "a".into(),
                bytes: 1,
                modified_ns: nth.into(),
            }];
        }),
        ("another promise", again, |survey, nth| {
            survey.self_contained = nth < 2
        }),
        ("another length", again, |survey, nth| {
            survey.bytes = Some(nth.into())
        }),
        ("a chunk twice", chunks, |survey, _| {
            survey.chunks.push(survey.chunks[0])
        }),
        ("a chunk that cannot be", kept, |survey, _| {
            if let Chunk::Hash(chunk) = &mut survey.chunks[2] {
                chunk.index = 3;
            }
        }),
        ("none at once", kept, |survey, _| {
            survey.max_concurrency = Some(0)
        }),
        ("no chunks", kept, |survey, _| survey.chunks.clear()),
    ];
    for (what, clause, survey) in faults {
        let fault = Fault { survey, ..NONE };
        let kit = source_conformance(|| Box::new(Broken::new(memory(), fault)));
        refused(what, clause, kit).await;
    }
    let clause = "describe() is an object with a kind, always the same";
    let faults: [(&str, On<Value>); 2] = [
        ("no kind", |described, _| *described = json!({"name": "x"})),
        ("another each time", |described, nth| {
            described["nth"] = nth.into()
        }),
    ];
    for (what, describe) in faults {
        let fault = Fault { describe, ..NONE };
        let kit = source_conformance(|| Box::new(Broken::new(memory(), fault)));
        refused(what, clause, kit).await;
    }
}

#[tokio::test]
async fn rows_that_break_the_contract() {
    let faults: [(&str, &str, OnBlock); 5] = [
        (
            "a row is lost on the second fetch",
            SAME,
            |block, order, nth| {
                if nth > 3 && order.attempt == 2 {
                    pop(block);
                }
            },
        ),
        (
            "a row is lost in a half",
            "the halves of a hash chunk",
            |block, order, _| {
                if order.chunk.to_string().starts_with("h6") {
                    pop(block);
                }
            },
        ),
        ("a row is doubled", "no row comes twice", |block, _, _| {
            block.first_line = 2 * block.first_line - 1;
            times(block, "c5", 2);
        }),
        (
            "a row is in the wrong chunk",
            "a hash chunk has the rows of its ids",
            |block, order, _| {
                if order.chunk.to_string() == "h3-0" {
                    block.first_line = 2 * block.first_line - 1;
                    // hash("World") is 1846988464401551951, which is 2 modulo 3.
                    block
                        .bytes
                        .extend_from_slice(b"{\"conversationId\":\"World\",\"turnsArray\":[]}\n");
                }
            },
        ),
        ("nothing at all", "the kit needs rows", |block, _, _| {
            block.bytes.clear()
        }),
    ];
    refuses(&faults).await;
}

#[tokio::test]
async fn blocks_that_break_the_contract() {
    let numbered = "lines are numbered from 1, one block behind the other";
    let encoding = "one form in a fetch, the census's in a census alone";
    let faults: [(&str, &str, OnBlock); 6] = [
        ("every block begins with line 1", numbered, |block, _, _| {
            block.first_line = 1
        }),
        ("lines are numbered from 0", numbered, |block, _, _| {
            block.first_line -= 1
        }),
        (
            "cut within a line",
            "every line ends with a newline",
            |block, _, _| {
                block.bytes.pop();
            },
        ),
        (
            "said to be UTF-8",
            "is_utf8 is true only if it is",
            |block, _, _| {
                block.bytes.splice(..0, *b"\xff\n");
                block.is_utf8 = true;
            },
        ),
        ("a census that nobody asked for", encoding, |block, _, _| {
            block.encoding = RowEncoding::Census
        }),
        ("two forms", encoding, |block, _, _| {
            if block.first_line > 1 {
                block.encoding = RowEncoding::Assembled;
            }
        }),
    ];
    refuses(&faults).await;
}

#[tokio::test]
async fn knowledge_of_lines_that_is_wrong() {
    let known = "what is known of the lines is what they say";
    let faults: [(&str, &str, OnBlock); 3] = [
        ("too little is known", known, |block, _, _| {
            let (length, id) = (1, Box::default());
            let kind = ParsedKind::Conversation { turns: 1 };
            block.parsed.push(ParsedRow { length, id, kind });
        }),
        ("something else is known", known, |block, _, _| {
            let lines = block.bytes.iter().filter(|&&b| b == b'\n').count();
            let parsed = ParsedRow {
                length: 1,
                id: b"c1"[..].into(),
                kind: ParsedKind::Conversation { turns: 1 },
            };
            block.parsed = vec![parsed; lines];
        }),
        ("a line is known to be longer", known, |block, _, _| {
            let lines = block.bytes.split_inclusive(|&b| b == b'\n');
            let lines = lines.map(|line| (line.len(), serde_json::from_slice(line).expect("JSON")));
            let know = |(length, row): (usize, Value)| ParsedRow {
                length: length as u32,
                id: row["conversationId"]
                    .as_str()
                    .expect("an id")
                    .as_bytes()
                    .into(),
                kind: ParsedKind::Conversation {
                    turns: row["turnsArray"].as_array().expect("turns").len() as u32,
                },
            };
            block.parsed = lines.map(know).collect();
        }),
    ];
    refuses(&faults).await;
}

#[tokio::test]
async fn fetches_that_break_the_contract() {
    let deaf = Fault {
        is_deaf: true,
        ..NONE
    };
    let untidy = Fault {
        is_untidy: true,
        survey: |survey, _| survey.max_concurrency = Some(1),
        ..NONE
    };
    let chunk_checksum = Fault {
        chunk_checksum: |chunk_checksum| {
            *chunk_checksum = Some(ChunkChecksum {
                conversations: 7,
                checksum: 7,
            });
        },
        ..NONE
    };
    let faults = [
        (
            "deaf",
            "what the sink refuses ends the fetch with that error",
            deaf,
        ),
        (
            "untidy",
            "dropped half-way, a fetch leaves the source as it was",
            untidy,
        ),
        (
            "a wrong chunk checksum",
            "a chunk checksum counts what was delivered",
            chunk_checksum,
        ),
    ];
    for (what, clause, fault) in faults {
        let kit = source_conformance(|| Box::new(Broken::new(memory(), fault)));
        refused(what, clause, kit).await;
    }
}

#[tokio::test]
async fn files_that_break_the_contract() {
    let folder = tempfile::tempdir().expect("a folder");
    let row = |i: usize, turn: usize| {
        let message = "SECRET".repeat(500);
        json!({"conversationId": format!("c{i}"), "Timestamp": "2025-01-01T00:00:00Z", "mode": "agent", "turnIndex": turn, "userMessage": message})
    };
    let lines: String = (0..1000)
        .map(|i| format!("{}\n", row(i % 300, i)))
        .collect();
    std::fs::write(folder.path().join("a.jsonl"), lines).expect("writable");
    let files = || FilesSource::new(vec![folder.path().to_owned()], n(4), 1 << 20);
    let placed = "rows that stay in a file lie where the block says";
    let place: OnBlock = |block, _, _| {
        if let RowLocation::InFile { offset, .. } = &mut block.location {
            *offset += 1;
        }
    };
    let elsewhere: OnBlock = |block, _, _| {
        if let RowLocation::InFile { file, .. } = &mut block.location {
            *file += 1;
        }
    };
    let gap: OnBlock = |block, _, _| {
        block.first_line += u64::from(block.first_line > 1);
    };
    let block = |block| Fault { block, ..NONE };
    let closed = Fault {
        survey: |survey, _| survey.self_contained = true,
        ..NONE
    };
    for (what, clause, fault) in [
        ("a byte beside", placed, block(place)),
        (
            "a file that is none of the inputs",
            placed,
            block(elsewhere),
        ),
        (
            "a line is skipped",
            "lines are numbered from 1, one block",
            block(gap),
        ),
        (
            "pieces are not closed",
            "a closed chunk has all rows",
            closed,
        ),
    ] {
        let kit = source_conformance(|| Box::new(Broken::new(files(), fault)));
        refused(what, clause, kit).await;
    }
}
