//! A source in memory: rows arrive in small blocks, each after a while of virtual time.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use gleaner::domain::chunk::{Chunk, HashChunk, Piece};
use gleaner::domain::rank::Ranker;
use gleaner::domain::selector::{Certificate, Selector};
use gleaner::domain::stratum::Selection;
use gleaner::source::{
    ConversationSource, Delivered, FetchOrder, InputStamp, Pass, Place, RowBlock, RowForm, RowSink,
    SourceError, Survey,
};

use crate::support::reference::hash;
use crate::world::{Delivery, SimRow, World};

/// Rows in a block.
const ROWS: usize = 5;

/// All conversations changed last at this instant.
const LAST: &str = "2025-01-01T00:00:00Z";

pub struct SimSource {
    world: World,
    chunks: u32,
    selection: Selection,
    /// Where the files of [`Delivery::Files`] lie.
    folder: PathBuf,
    /// What is being fetched: never the same thing twice at once.
    active: Arc<Mutex<BTreeSet<(Chunk, bool)>>>,
}

impl SimSource {
    pub fn new(world: &World, chunks: u32, selection: &Selection, folder: PathBuf) -> Self {
        if world.delivery == Delivery::Files {
            for (name, bytes) in &*world.files {
                std::fs::write(folder.join(name), bytes).expect("writable");
            }
        }
        Self {
            world: world.clone(),
            chunks,
            selection: selection.clone(),
            folder,
            active: Arc::default(),
        }
    }

    /// The rows that are asked for, with what is known of them.
    fn rows(&self, order: &FetchOrder, chunk: HashChunk) -> Vec<&SimRow> {
        let mut ranker = Ranker::new(self.selection.seed());
        let mut is_wanted = |row: &SimRow| match &order.pass {
            Pass::All | Pass::Census => true,
            Pass::Ranks(selector) => {
                let selector: &Selector = selector;
                let rank = ranker.rank(&row.key);
                selector.wants(&self.selection, &row.key, row.turns, rank)
            }
        };
        let rows = self.world.rows.iter();
        rows.filter(|row| chunk.holds(&row.key) && is_wanted(row))
            .collect()
    }

    async fn deliver(
        &self,
        order: &FetchOrder,
        chunk: HashChunk,
        sink: &mut dyn RowSink,
    ) -> Result<(), SourceError> {
        let mut line = 1;
        for (number, rows) in self.rows(order, chunk).chunks(ROWS).enumerate() {
            pause(order.chunk, number).await;
            let mut block = RowBlock {
                first_line: line,
                ..RowBlock::default()
            };
            line += rows.len() as u64;
            for row in rows {
                if order.pass == Pass::Census {
                    block.form = RowForm::Census;
                    let id = serde_json::to_string(&String::from_utf8_lossy(&row.key));
                    let header = format!(
                        r#"{{"conversationId":{},"turnCount":{},"lastTimestamp":"{LAST}"}}"#,
                        id.expect("text"),
                        row.turns
                    );
                    block.bytes.extend_from_slice(header.as_bytes());
                } else {
                    block.bytes.extend_from_slice(&row.text);
                }
                block.bytes.push(b'\n');
                if matches!(order.pass, Pass::Ranks(_)) {
                    block.delivered.push(Delivered {
                        id_hash: hash(&row.key),
                        turns: Some(row.turns as i64),
                        last: None,
                    });
                }
            }
            sink.write(block).await?;
        }
        Ok(())
    }

    async fn deliver_file(&self, piece: Piece, sink: &mut dyn RowSink) -> Result<(), SourceError> {
        let bytes = &self.world.files[piece.file as usize].1;
        let (mut offset, mut line) = (0, 1);
        for (number, lines) in bytes
            .split_inclusive(|&b| b == b'\n')
            .collect::<Vec<_>>()
            .chunks(ROWS)
            .enumerate()
        {
            pause(Chunk::Piece(piece), number).await;
            let block = RowBlock {
                bytes: lines.concat(),
                place: Place::InFile {
                    file: piece.file,
                    offset,
                },
                first_line: line,
                ..RowBlock::default()
            };
            offset += block.bytes.len() as u64;
            line += lines.len() as u64;
            sink.write(block).await?;
        }
        Ok(())
    }
}

/// A block takes 1 to 200 ms.
async fn pause(chunk: Chunk, block: usize) {
    let drawn = hash(format!("{chunk}/{block}").as_bytes()) as u64;
    tokio::time::sleep(Duration::from_millis(1 + drawn % 200)).await;
}

/// Something that is being fetched.
struct Active {
    what: (Chunk, bool),
    all: Arc<Mutex<BTreeSet<(Chunk, bool)>>>,
}

impl Drop for Active {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.remove(&self.what);
    }
}

impl ConversationSource for SimSource {
    fn describe(&self) -> serde_json::Value {
        serde_json::json!({"kind": "simulation"})
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        let survey = match self.world.delivery {
            Delivery::Files => {
                let files = self.world.files.iter();
                let pieces = (0..).zip(files.clone()).map(|(file, (_, bytes))| {
                    let end = bytes.len() as u64;
                    Chunk::Piece(Piece {
                        file,
                        start: 0,
                        end,
                    })
                });
                let mut survey = Survey::of(pieces.collect(), false);
                survey.stamp = files
                    .map(|(name, bytes)| InputStamp {
                        path: self.folder.join(name),
                        bytes: bytes.len() as u64,
                        modified_ns: 0,
                    })
                    .collect();
                survey
            }
            delivery => {
                let chunks = HashChunk::cover(self.chunks).map(Chunk::Hash);
                let mut survey = Survey::of(chunks.collect(), true);
                survey.census = delivery == Delivery::Census;
                survey
            }
        };
        async move { Ok(survey) }.boxed()
    }

    fn fetch<'a>(
        &'a self,
        order: FetchOrder,
        rows: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<Option<Certificate>, SourceError>> {
        async move {
            let what = (order.chunk, order.pass == Pass::Census);
            let is_new = self.active.lock().expect("no panic").insert(what);
            assert!(is_new, "{} is fetched twice at once", order.chunk);
            let _active = Active {
                what,
                all: Arc::clone(&self.active),
            };
            match order.chunk {
                Chunk::Hash(chunk) => self.deliver(&order, chunk, rows).await?,
                Chunk::Piece(piece) => self.deliver_file(piece, rows).await?,
            }
            Ok(None)
        }
        .boxed()
    }
}
