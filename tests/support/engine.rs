//! An engine in the test's own process: it scans, brings together by chunk, and groups, and does so badly where a test asks for it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use gleaner::pipeline::engine::{Engine, Job, LEDGER, PieceOrder, Scan, Take, group};
use gleaner::source::SourceError;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::corpus::rng;

/// What goes wrong with what is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    Lost,
    Twice,
    /// A byte is another.
    Changed,
    /// It goes to another chunk.
    Misled,
    /// Another one of the job arrives in its place.
    Swapped,
    /// All that a piece has sent is lost.
    PieceLost,
    /// All that a piece has sent comes twice, as a task's that ran twice.
    PieceTwice,
}

pub const WRONGS: [Wrong; 7] = [
    Wrong::Lost,
    Wrong::Twice,
    Wrong::Changed,
    Wrong::Misled,
    Wrong::Swapped,
    Wrong::PieceLost,
    Wrong::PieceTwice,
];

/// Where it goes wrong: between scan and group, or on the way to the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    ToGroup,
    ToDriver,
}

type Item = (u32, i32, Vec<u8>);

/// An engine that shuffles by a seed.
#[derive(Debug, Default)]
pub struct LocalEngine {
    seed: u64,
    /// In the how many-th job, from 0, what goes wrong, and where.
    fault: Option<(usize, Wrong, Way)>,
    /// After how many results of the how many-th job the driver dies.
    dies: Option<(usize, usize)>,
    /// A table: in each job, the last one again, a file for each of its parts.
    table: Vec<Vec<PathBuf>>,
    /// Each job's name, and its scans and groups.
    jobs: Mutex<Vec<(String, usize, usize)>>,
}

impl LocalEngine {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    pub fn with_fault(self, job: usize, wrong: Wrong, way: Way) -> Self {
        Self {
            fault: Some((job, wrong, way)),
            ..self
        }
    }

    pub fn dying(self, job: usize, results: usize) -> Self {
        Self {
            dies: Some((job, results)),
            ..self
        }
    }

    pub fn with_table(self, table: Vec<Vec<PathBuf>>) -> Self {
        Self { table, ..self }
    }

    /// What it scans in a job.
    fn pieces(&self, job: &Job, number: usize) -> Vec<(u32, PieceOrder)> {
        let of_table = |table: &Vec<PathBuf>| {
            let parts = (0..).zip(table);
            let order = |(part, path): (u32, &PathBuf)| {
                let order = PieceOrder::of_table(part, path.clone());
                (part, order.expect("a file"))
            };
            parts.map(order).collect()
        };
        match self.table.get(number).or_else(|| self.table.last()) {
            Some(table) => of_table(table),
            None => {
                let read = |bytes: &Vec<u8>| {
                    let order = PieceOrder::from_bytes(bytes).expect("an order");
                    assert!(order.input.path.is_absolute(), "{:?}", order.input.path);
                    order
                };
                (0..).zip(job.pieces.iter().map(read)).collect()
            }
        }
    }

    /// The jobs that it has begun: name, pieces scanned, chunks grouped.
    pub fn jobs(&self) -> Vec<(String, usize, usize)> {
        self.jobs.lock().expect("no panic").clone()
    }

    /// Spoils what is exchanged; `false` if there is nothing to spoil.
    fn spoil(&self, wrong: Wrong, items: &mut Vec<Item>, chunks: u32) -> bool {
        let rng = &mut rng(self.seed ^ 0x5eed);
        if items.is_empty() {
            return false;
        }
        let at = rng.random_range(0..items.len());
        let piece = items[at].0;
        match wrong {
            Wrong::Lost => drop(items.remove(at)),
            Wrong::Twice => items.push(items[at].clone()),
            Wrong::Changed => {
                let bytes = &mut items[at].2;
                let place = rng.random_range(0..bytes.len());
                bytes[place] ^= 1 << rng.random_range(0..8u32);
            }
            Wrong::Misled => {
                let chunk = items[at].1;
                items[at].1 = match chunk {
                    LEDGER => 0,
                    chunk => (chunk + 1) % chunks.cast_signed(),
                };
                return items[at].1 != chunk;
            }
            Wrong::Swapped => {
                let Some(other) = (0..items.len()).find(|&other| items[other].2 != items[at].2)
                else {
                    return false;
                };
                items[at].2 = items[other].2.clone();
            }
            Wrong::PieceLost => items.retain(|(of, ..)| *of != piece),
            Wrong::PieceTwice => {
                let again: Vec<_> = items
                    .iter()
                    .filter(|(of, ..)| *of == piece)
                    .cloned()
                    .collect();
                items.extend(again);
            }
        }
        true
    }
}

impl Engine for LocalEngine {
    fn name(&self) -> &'static str {
        "local"
    }

    fn has_table(&self) -> bool {
        !self.table.is_empty()
    }

    fn run(&self, job: &Job, take: &mut Take<'_>) -> Result<(), SourceError> {
        let number = {
            let mut jobs = self.jobs.lock().expect("no panic");
            jobs.push((job.name.clone(), 0, 0));
            jobs.len() - 1
        };
        let rng = &mut rng(self.seed + number as u64);
        let mut pieces = self.pieces(job, number);
        pieces.shuffle(rng);
        let mut sent: Vec<Item> = Vec::new();
        for (piece, order) in pieces {
            self.jobs.lock().expect("no panic")[number].1 += 1;
            for item in Scan::of(&job.order, order)? {
                let (chunk, bytes) = item?;
                sent.push((piece, chunk, bytes));
            }
        }
        sent.shuffle(rng);
        let fault = |way| {
            let fault = self
                .fault
                .filter(|fault| (fault.0, fault.2) == (number, way));
            fault.map(|(_, wrong, _)| wrong)
        };
        if let Some(wrong) = fault(Way::ToGroup) {
            assert!(self.spoil(wrong, &mut sent, job.chunks), "nothing to spoil");
        }
        let mut by_chunk: BTreeMap<i32, Vec<Vec<u8>>> = BTreeMap::new();
        for (_, chunk, bytes) in sent {
            by_chunk.entry(chunk).or_default().push(bytes);
        }
        let mut results: Vec<Item> = Vec::new();
        for (chunk, frames) in by_chunk {
            self.jobs.lock().expect("no panic")[number].2 += usize::from(chunk != LEDGER);
            for bytes in group(&job.order, chunk, frames)? {
                results.push((chunk.cast_unsigned(), chunk, bytes));
            }
        }
        results.shuffle(rng);
        if let Some(wrong) = fault(Way::ToDriver) {
            assert!(
                self.spoil(wrong, &mut results, job.chunks),
                "nothing to spoil"
            );
        }
        for (place, (_, chunk, bytes)) in results.into_iter().enumerate() {
            if self.dies == Some((number, place)) {
                return Err(SourceError::Engine {
                    reason: "the driver dies".to_owned(),
                    hint: None,
                });
            }
            take(chunk, &bytes)?;
        }
        Ok(())
    }

    fn stop(&self) {}
}
