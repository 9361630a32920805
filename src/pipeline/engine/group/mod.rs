//! On an executor: the frames of a chunk, from all pieces, become its census or its records.
//!
//! Grouping, ties and assembly are those of one machine: [`rows`] of turns and conversations, [`telemetry`] of Copilot
//! Chat.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::frame::{Frame, FrameRow, FrameSum};
use super::order::Order;
use super::{EngineError, Fault, LEDGER, frame};
use crate::domain::grouping::batch::{Batch, ClosedIndex, RowIndex};
use crate::domain::record::header::{Header, Position};
use crate::domain::selection::kusto_hash;
use rows::RowGroup;
use telemetry::TelemetryGroup;

mod rows;
mod telemetry;
mod whole;

/// The rows of a chunk.
struct Group {
    arrived: Arrived,
    /// The frames that have arrived, by piece and part.
    seen: BTreeSet<(u32, u32)>,
    index: RowIndex,
}

/// What has arrived for a chunk, besides the headers of its rows.
struct Arrived {
    order: Order,
    chunk: u32,
    /// The frames.
    sum: FrameSum,
    /// Whether rows were put together from columns.
    is_assembled: bool,
    payloads: Payloads,
}

/// The payloads of rows, if they are sent.
#[derive(Default)]
struct Payloads {
    /// One after the other.
    text: Vec<u8>,
    /// Where that of a row is, by its piece and line.
    places: HashMap<(u32, u64), Range<usize>>,
}

/// Groups what has arrived for a chunk; gives what is to be sent to the driver. Ledgers are passed on as they are.
///
/// # Errors
/// If a frame arrived twice, was damaged, or is of another chunk or job.
pub fn group(
    order: &[u8],
    chunk: i32,
    frames: impl IntoIterator<Item = Vec<u8>>,
) -> Result<Vec<Vec<u8>>, EngineError> {
    if chunk == LEDGER {
        return Ok(frames.into_iter().collect());
    }
    let mut group = Group::new(Order::from_bytes(order)?, chunk.cast_unsigned());
    let is_packed = group.arrived.order.brings.has_payloads();
    for bytes in frames {
        let added = match is_packed {
            true => frame::unpacked(&bytes).and_then(|frame| group.add(&frame)),
            false => group.add(&bytes),
        };
        added.map_err(|fault| fault.of_chunk(chunk))?;
    }
    Ok(vec![group.finish()?])
}

impl Group {
    fn new(order: Order, chunk: u32) -> Self {
        Self {
            arrived: Arrived {
                order,
                chunk,
                sum: FrameSum::default(),
                is_assembled: false,
                payloads: Payloads::default(),
            },
            seen: BTreeSet::new(),
            index: RowIndex::default(),
        }
    }

    /// Takes the rows of a frame.
    fn add(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let arrived = &mut self.arrived;
        let frame = Frame::read(bytes, arrived.order.job, arrived.chunk)?;
        if !self.seen.insert((frame.piece, frame.part)) {
            return Err(Fault::Twice);
        }
        arrived.sum.count(bytes);
        arrived.is_assembled |= frame.is_assembled;
        let has_payloads = arrived.order.brings.has_payloads();
        let mut batch = Batch::new(frame.shape);
        for row in frame.rows() {
            let row = row?;
            if has_payloads {
                arrived.payloads.keep((frame.piece, row.line), row.payload);
            }
            batch.push(row.id, header(frame.piece, &row), row.telemetry);
        }
        self.index.observe(&batch);
        Ok(())
    }

    /// All frames are in.
    fn finish(self) -> Result<Vec<u8>, EngineError> {
        let selection = self.arrived.order.rules.selection()?;
        match self.index.closed() {
            ClosedIndex::Rows(index) => RowGroup::new(&self.arrived, index, &selection).finish(),
            ClosedIndex::Telemetry(index) => {
                TelemetryGroup::new(&self.arrived, index, &selection).finish()
            }
        }
    }
}

impl Arrived {
    /// A payload is not what its header says.
    fn damaged(&self) -> EngineError {
        Fault::Damaged.of_chunk(self.chunk.cast_signed())
    }
}

impl Payloads {
    fn keep(&mut self, place: (u32, u64), payload: &[u8]) {
        let start = self.text.len();
        self.text.extend_from_slice(payload);
        self.places.insert(place, start..self.text.len());
    }

    /// That of a row.
    fn of(&self, row: &Position) -> Option<&[u8]> {
        let place = self.places.get(&(row.store, row.offset))?;
        Some(&self.text[place.clone()])
    }
}

fn header(piece: u32, row: &FrameRow<'_>) -> Header {
    Header {
        id_length: 0,
        id_hash: kusto_hash::hash(row.id),
        turn: row.turn,
        at: row.at,
        flags: row.flags,
        group: row.group,
        position: Position {
            store: piece,
            length: row.length,
            offset: row.line,
            checksum: row.checksum,
        },
    }
}
