//! The file of one stratum in the making: verdicts in rank order become blocks.
//!
//! Pure: others read and write.

use super::messages::Validated;
use crate::domain::dataset::manifest::{FileRecord, Framing};
use crate::domain::record::columns::Columns;
use crate::domain::record::tokens::tokens;
use crate::domain::sampling::stratum_fill::StratumFill;
use crate::sink::Block;
use crate::sink::block_cutter::BlockCutter;
use crate::telemetry::distributions::{Distributions, TOKENS_OF};

/// A stratum's file. A clone of an empty one is another beginning of it.
#[derive(Clone)]
pub struct StratumFile {
    cutter: BlockCutter,
    framing: Framing,
    /// What has been decided.
    pub placement: StratumFill,
    /// How the records taken are distributed.
    pub distributions: Distributions,
    /// The fields of the records taken.
    columns: Columns,
}

/// A file that is complete.
pub struct FinishedFile {
    /// What has been decided.
    pub placement: StratumFill,
    /// The fields of its records.
    pub columns: Columns,
    /// The file; without records it has no bytes, and is not to be there.
    pub file: FileRecord,
}

impl StratumFile {
    /// An empty file.
    pub fn new(cutter: BlockCutter, framing: Framing, target: u64) -> Self {
        Self {
            cutter,
            framing,
            placement: StratumFill::new(target),
            distributions: Distributions::default(),
            columns: Columns::default(),
        }
    }

    /// Places the verdicts on the next candidates. Gives the blocks that became full.
    pub fn place(&mut self, batch: Validated) -> Vec<Block> {
        let separator = self.framing.between.len();
        let mut full = Vec::new();
        let mut start = 0;
        // Records that follow each other leave in one piece.
        let mut run = 0..0;
        for mut entry in batch.entries {
            let fields = std::mem::take(&mut entry.verdict.fields);
            let first = self.placement.records == 0;
            if self.placement.place(entry.verdict, entry.turns) {
                if first {
                    self.cutter
                        .append(self.framing.before.as_bytes(), &mut full);
                }
                self.columns.add_fields(&fields);
                self.note(&batch.text[start + separator..entry.end], entry.turns);
                let from = if first { start + separator } else { start };
                if run.end == from {
                    run.end = entry.end;
                } else {
                    self.cutter.append(&batch.text[run], &mut full);
                    run = from..entry.end;
                }
            }
            start = entry.end;
        }
        self.cutter.append(&batch.text[run], &mut full);
        full
    }

    /// Counts a record that was taken.
    fn note(&mut self, record: &[u8], turns: u64) {
        self.distributions.turns.exact(turns);
        self.distributions.bytes.power_of_two(record.len() as u64);
        if self.placement.records <= TOKENS_OF
            && let Some(tokens) = tokens(record)
        {
            self.distributions.tokens.power_of_two(tokens);
        }
    }

    /// Ends the file. Gives the blocks that were not given yet.
    pub fn finish(mut self) -> (Vec<Block>, FinishedFile) {
        let mut blocks = Vec::new();
        if self.placement.records > 0 {
            self.cutter
                .append(self.framing.after.as_bytes(), &mut blocks);
        }
        let finished = FinishedFile {
            placement: self.placement,
            columns: self.columns,
            file: self.cutter.finish(&mut blocks),
        };
        (blocks, finished)
    }
}
