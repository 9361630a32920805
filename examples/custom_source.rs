//! A source of your own: transcripts of a support desk, one line a message, become a dataset. The
//! source is held against the conformance kit first, as yours should be in your tests.
//!
//! ```sh
//! cargo run --example custom_source -- FOLDER
//! ```

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::path::PathBuf;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::Pipeline;
use gleaner::domain::scheduling::chunk::{Chunk, HashChunk};
use gleaner::source::{
    Action, ConversationSource, FetchFuture, FetchOrder, RowBlock, RowSink, SourceError, Survey,
};
use serde_json::{Value, json};

/// How the work is cut: by a hash of the conversation's id, so that all its messages are in one
/// chunk. Four are enough for what is in memory.
const CHUNKS: u32 = 4;

/// `ticket | agent | what was asked | what was answered`, a line each, in their order.
struct Transcripts {
    lines: Vec<String>,
}

impl Transcripts {
    /// What a desk has written down.
    fn of_a_desk() -> Self {
        let line = |ticket: usize, message: usize| {
            format!(
                "ticket-{ticket}|agent-{}|question {message}?|answer {message}.",
                ticket % 7
            )
        };
        let ticket = |ticket| (0..3 + ticket % 8).map(move |message| line(ticket, message));
        Self {
            lines: (0..400).flat_map(ticket).collect(),
        }
    }

    /// The rows of one chunk, as events: one a turn.
    fn rows(&self, chunk: HashChunk) -> Vec<u8> {
        let (mut rows, mut turn, mut last) = (Vec::new(), 0, "");
        for line in &self.lines {
            let mut fields = line.split('|');
            let mut field = || fields.next().unwrap_or_default();
            let (ticket, agent, question, answer) = (field(), field(), field(), field());
            turn = if ticket == last { turn + 1 } else { 1 };
            last = ticket;
            if chunk.holds(ticket.as_bytes()) {
                let row = json!({
                    "Timestamp": format!("2025-03-01T10:{turn:02}:00Z"),
                    "conversationId": ticket,
                    "userName": agent,
                    "mode": "agent",
                    "turnIndex": turn,
                    "userMessage": question,
                    "modelMessage": answer,
                    "promptTokens": question.len(),
                    "completionTokens": answer.len(),
                });
                rows.extend_from_slice(row.to_string().as_bytes());
                rows.push(b'\n');
            }
        }
        rows
    }
}

impl ConversationSource for Transcripts {
    fn describe(&self) -> Value {
        json!({"kind": "support_desk", "lines": self.lines.len()})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let chunks = HashChunk::cover(CHUNKS).map(Chunk::Hash).collect();
        // `true`: all rows of a conversation are in one chunk.
        async move { Ok(Survey::of(chunks, true)) }.boxed()
    }

    fn fetch<'a>(&'a self, order: FetchOrder, rows: &'a mut dyn RowSink) -> FetchFuture<'a> {
        async move {
            let Chunk::Hash(chunk) = order.chunk else {
                return Err(SourceError::Custom {
                    reason: format!("there is no chunk {}", order.chunk),
                    action: Action::Fail,
                });
            };
            let block = RowBlock {
                bytes: self.rows(chunk),
                first_line: 1,
                ..RowBlock::default()
            };
            // Waits while too much is in flight.
            rows.write(block).await.map(|()| None)
        }
        .boxed()
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("say in which folder")?;
    let report = Pipeline::builder()
        .source(Transcripts::of_a_desk())
        .config(
            "name = 'desk'
            [selection.targets]
            train = { short = 20, medium = 20, long = 10 }
            val = { short = 2, medium = 2, long = 1 }
            test = { short = 2, medium = 2, long = 1 }",
        )
        .out(&folder.join("out").display().to_string())
        .work_dir(folder.join("work"))
        .build()?
        .spawn_thread()?
        .join_blocking()?;
    for stratum in &report.manifest.strata {
        let name = format!("{}/{}", stratum.split, stratum.bucket);
        println!("{name}: {} of {}", stratum.records, stratum.population);
    }
    println!("{} {}", report.location, report.manifest.content_sha256);
    Ok(())
}
