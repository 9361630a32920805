//! What goes from a scan to a group: frames of rows, and what each piece counted.
//!
//! An engine is not trusted to deliver each frame once and unchanged. A frame says which piece of which job made it, and
//! for which chunk; its last 8 bytes are the XXH3-64 of all before. A piece's ledger has, for each chunk, how many frames
//! it made and the sum of their checksums; a group says the same of what it was given. Whether both are equal is
//! compared by the driver, in memory for the chunks and not for pieces times chunks.
//!
//! Frames with payloads travel compressed ([`pack`]); the sums are of what is in them.
//!
//! A frame is (numbers little-endian): the job (u64), piece, part, chunk and rows (u32 each), the schema, whether rows were
//! put together from columns, and whether there are payloads (a byte each); then the rows; then the checksum. A row is:
//! the lengths of its id and of its payload (u32 each), turn and time (i64 each), the payload's XXH3-64 and the row's line
//! (u64 each), flags and group (a byte each), the id, of Copilot Chat telemetry what its header has besides
//! ([`telemetry`]; of a malformed row nothing), and the payload, if there are payloads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::Fault;
use crate::domain::copilot_chat::header::TelemetryHeader;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::record::header::RowFlags;
use crate::domain::record::row::RowShape;
use crate::domain::selection::exclude::FoundUsers;
use crate::domain::selection::group::GroupMark;
use crate::spool::sealed::{SpooledRow, telemetry};

/// Bytes that a frame should have at most: small beside an executor's memory, large beside what a row costs an engine.
const FRAME_BYTES: usize = 256 * 1024;

/// Bytes before the rows.
const HEAD: usize = 8 + 4 * 4 + 3;

/// Bytes of a row before its id.
const ROW: usize = 4 * 2 + 8 * 4 + 2;

/// zstd's fastest level that is not a negative one: three times less of dialogues.
const PACKED_LEVEL: i32 = 1;

/// Bytes of a checksum.
const SUM: usize = 8;

/// How many frames there are, and the sum of their checksums (wrapping).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FrameSum {
    frames: u64,
    sum: u64,
}

impl FrameSum {
    /// Counts a frame.
    pub fn count(&mut self, frame: &[u8]) {
        self.add(Self {
            frames: 1,
            sum: checksum(frame),
        });
    }

    /// Counts what another has counted.
    pub fn add(&mut self, other: Self) {
        self.frames += other.frames;
        self.sum = self.sum.wrapping_add(other.sum);
    }
}

fn checksum(frame: &[u8]) -> u64 {
    let end = frame.len().saturating_sub(SUM);
    u64::from_le_bytes(array(&frame[end..]))
}

/// The first bytes of some; zeros where there are none.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let length = bytes.len().min(N);
    array[..length].copy_from_slice(&bytes[..length]);
    array
}

/// Puts the checksum behind some bytes.
pub fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = xxh3_64(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// What stands before the checksum.
///
/// # Errors
/// If it does not fit.
pub fn sealed(bytes: &[u8]) -> Result<&[u8], Fault> {
    let (body, sum) = bytes
        .split_at_checked(bytes.len().saturating_sub(SUM))
        .ok_or(Fault::Damaged)?;
    match sum == xxh3_64(body).to_le_bytes() {
        true => Ok(body),
        false => Err(Fault::Damaged),
    }
}

/// Text that is to travel: compressed, because an engine copies it a dozen times.
pub fn compressed(text: &[u8]) -> Vec<u8> {
    // Into memory, where nothing refuses.
    zstd::bulk::compress(text, PACKED_LEVEL).unwrap_or_default()
}

/// What was compressed and had so many bytes.
///
/// # Errors
/// If it was damaged.
pub fn decompressed(bytes: &[u8], length: u64) -> Result<Vec<u8>, Fault> {
    let length = usize::try_from(length).map_err(|_| Fault::Damaged)?;
    match zstd::bulk::decompress(bytes, length) {
        Ok(text) if text.len() == length => Ok(text),
        _ => Err(Fault::Damaged),
    }
}

/// A frame that is to travel: its length (u64), the frame compressed, and a checksum of both.
pub fn pack(frame: &[u8]) -> Vec<u8> {
    let mut bytes = (frame.len() as u64).to_le_bytes().to_vec();
    bytes.extend(compressed(frame));
    seal(bytes)
}

/// The frame that was packed.
///
/// # Errors
/// If it was damaged.
pub fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let (length, frame) = sealed(bytes)?.split_first_chunk().ok_or(Fault::Damaged)?;
    decompressed(frame, u64::from_le_bytes(*length))
}

/// What a piece has counted, and the frames that it made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceLedger {
    /// The job.
    pub job: u64,
    /// The piece's number.
    pub piece: u32,
    /// Its rows.
    pub tally: ChunkTally,
    /// By chunk.
    pub frames: BTreeMap<u32, FrameSum>,
    /// Of a part of a table: the sum of what its rows are hashed to (XXH3-64, wrapping), whatever their order.
    pub content: u64,
    /// The conversations of users that are left out, if the job looks for them.
    pub users: FoundUsers,
}

impl PieceLedger {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        // It has names for keys, and nothing that JSON cannot hold.
        seal(serde_json::to_vec(self).unwrap_or_default())
    }

    /// As it has travelled.
    ///
    /// # Errors
    /// If it was damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        serde_json::from_slice(sealed(bytes)?).map_err(|_| Fault::Damaged)
    }
}

/// The frames of a piece in the making.
#[derive(Debug)]
pub struct Frames {
    job: u64,
    piece: u32,
    parts: u32,
    is_assembled: bool,
    has_payloads: bool,
    /// By chunk, each with its number of rows.
    open: BTreeMap<u32, (Vec<u8>, u32)>,
    sums: BTreeMap<u32, FrameSum>,
}

impl Frames {
    /// None yet.
    pub fn new(job: u64, piece: u32, has_payloads: bool) -> Self {
        Self {
            job,
            piece,
            parts: 0,
            is_assembled: false,
            has_payloads,
            open: BTreeMap::new(),
            sums: BTreeMap::new(),
        }
    }

    /// Says whether rows were put together from columns: all of a piece, or none.
    pub fn assembled(&mut self, is_assembled: bool) {
        self.is_assembled = is_assembled;
    }

    /// Adds a row; gives a frame if it is full.
    pub fn add(&mut self, chunk: u32, shape: RowShape, row: &SpooledRow<'_>) -> Option<Vec<u8>> {
        let payload = &*row.payload;
        let (bytes, rows) = self.open.entry(chunk).or_default();
        if bytes.is_empty() {
            bytes.extend_from_slice(&[0; HEAD]);
            bytes[24] = shape_byte(shape);
        }
        *rows += 1;
        // A row is at most 4 GiB long, and so is its id.
        bytes.extend_from_slice(&(row.id.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&row.facts.turn.to_le_bytes());
        bytes.extend_from_slice(&row.facts.at.to_le_bytes());
        bytes.extend_from_slice(&xxh3_64(payload).to_le_bytes());
        bytes.extend_from_slice(&row.facts.line.to_le_bytes());
        bytes.extend_from_slice(&[row.facts.flags.byte(), row.facts.group.byte()]);
        bytes.extend_from_slice(&row.id);
        if let Some(header) = &row.facts.telemetry {
            bytes.extend_from_slice(&telemetry::to_bytes(header));
        }
        if self.has_payloads {
            bytes.extend_from_slice(payload);
        }
        match bytes.len() < FRAME_BYTES {
            true => None,
            false => self.close(chunk),
        }
    }

    /// The next frame that is not full, once there are no more rows.
    pub fn rest(&mut self) -> Option<(u32, Vec<u8>)> {
        let chunk = *self.open.keys().next()?;
        Some((chunk, self.close(chunk)?))
    }

    /// By chunk, once there are no frames left.
    pub fn sums(&self) -> &BTreeMap<u32, FrameSum> {
        &self.sums
    }

    fn close(&mut self, chunk: u32) -> Option<Vec<u8>> {
        let (mut bytes, rows) = self.open.remove(&chunk)?;
        let part = self.parts;
        self.parts += 1;
        bytes[..8].copy_from_slice(&self.job.to_le_bytes());
        let numbers = [self.piece, part, chunk, rows];
        for (place, number) in numbers.into_iter().enumerate() {
            bytes[8 + 4 * place..][..4].copy_from_slice(&number.to_le_bytes());
        }
        bytes[25] = u8::from(self.is_assembled);
        bytes[26] = u8::from(self.has_payloads);
        let frame = seal(bytes);
        self.sums.entry(chunk).or_default().count(&frame);
        Some(frame)
    }
}

fn shape_byte(shape: RowShape) -> u8 {
    match shape {
        RowShape::Turns => 0,
        RowShape::Conversations => 1,
        RowShape::CopilotChat => 2,
    }
}

/// A frame that has travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The piece that it is of.
    pub piece: u32,
    /// Its number among those of the piece.
    pub part: u32,
    /// The schema of its rows.
    pub shape: RowShape,
    /// Whether they were put together from columns.
    pub is_assembled: bool,
    has_payloads: bool,
    rows: u32,
    body: &'a [u8],
}

/// A row of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRow<'a> {
    /// Its id, decoded.
    pub id: &'a [u8],
    /// Bytes of its payload.
    pub length: u32,
    /// As in a [`Header`](crate::domain::record::header::Header).
    pub turn: i64,
    /// As in a [`Header`](crate::domain::record::header::Header).
    pub at: i64,
    /// XXH3-64 of its payload.
    pub checksum: u64,
    /// Its line in the piece.
    pub line: u64,
    /// What else is known of it.
    pub flags: RowFlags,
    /// What it says of its conversation's group.
    pub group: GroupMark,
    /// What Copilot Chat telemetry has besides.
    pub telemetry: Option<TelemetryHeader>,
    /// Its text, if the frame has payloads.
    pub payload: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Reads a frame of a job that is for a chunk.
    ///
    /// # Errors
    /// If it is another's, or was damaged.
    pub fn read(bytes: &'a [u8], job: u64, chunk: u32) -> Result<Self, Fault> {
        let body = sealed(bytes)?;
        let (head, body) = body.split_at_checked(HEAD).ok_or(Fault::Damaged)?;
        let number = |place: usize| u32::from_le_bytes(array(&head[8 + 4 * place..]));
        if u64::from_le_bytes(array(head)) != job {
            return Err(Fault::OtherJob);
        }
        if number(2) != chunk {
            return Err(Fault::OtherChunk);
        }
        Ok(Self {
            piece: number(0),
            part: number(1),
            shape: match head[24] {
                0 => RowShape::Turns,
                1 => RowShape::Conversations,
                2 => RowShape::CopilotChat,
                _ => return Err(Fault::Damaged),
            },
            is_assembled: head[25] == 1,
            has_payloads: head[26] == 1,
            rows: number(3),
            body,
        })
    }

    /// Its rows.
    pub fn rows(&self) -> impl Iterator<Item = Result<FrameRow<'a>, Fault>> {
        let (frame, mut rest, mut left) = (*self, self.body, self.rows);
        std::iter::from_fn(move || {
            if left == 0 {
                return (!std::mem::take(&mut rest).is_empty()).then_some(Err(Fault::Damaged));
            }
            left -= 1;
            let row = frame.take_row(&mut rest);
            if row.is_none() {
                (rest, left) = (&[], 0);
            }
            Some(row.ok_or(Fault::Damaged))
        })
    }

    fn take_row(&self, rest: &mut &'a [u8]) -> Option<FrameRow<'a>> {
        let (head, tail) = rest.split_at_checked(ROW)?;
        let short = |at: usize| u32::from_le_bytes(array(&head[at..]));
        let long = |at: usize| u64::from_le_bytes(array(&head[at..]));
        let (flags, group) = (
            RowFlags::from_byte(head[40]),
            GroupMark::from_byte(head[41]),
        );
        let (id, mut tail) = tail.split_at_checked(short(0) as usize)?;
        let mut telemetry = None;
        if self.shape == RowShape::CopilotChat && !flags.has(RowFlags::MALFORMED) {
            let (besides, after) = tail.split_first_chunk()?;
            let header = telemetry::from_bytes(besides).ok()?;
            telemetry = Some(TelemetryHeader { group, ..header });
            tail = after;
        }
        let length = match self.has_payloads {
            true => short(4) as usize,
            false => 0,
        };
        let (payload, tail) = tail.split_at_checked(length)?;
        *rest = tail;
        Some(FrameRow {
            id,
            length: short(4),
            turn: long(8).cast_signed(),
            at: long(16).cast_signed(),
            checksum: long(24),
            line: long(32),
            flags,
            group,
            telemetry,
            payload,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::spool::sealed::RowFacts;

    fn row(id: &str, payload: &str, line: u64) -> SpooledRow<'static> {
        SpooledRow {
            id: Cow::Owned(id.as_bytes().to_vec()),
            facts: RowFacts {
                turn: -3,
                at: 7,
                flags: RowFlags::OTHER_MODE,
                group: GroupMark::of_residue(5),
                line,
                telemetry: None,
            },
            payload: Cow::Owned(payload.as_bytes().to_vec()),
        }
    }

    /// All frames of some rows, which go to two chunks.
    fn frames(rows: &[SpooledRow<'_>], has_payloads: bool) -> (Vec<(u32, Vec<u8>)>, Frames) {
        let mut frames = Frames::new(9, 4, has_payloads);
        let mut made = Vec::new();
        for (number, row) in (0..).zip(rows) {
            let full = frames.add(number % 2, RowShape::Turns, row);
            made.extend(full.map(|frame| (number % 2, frame)));
        }
        made.extend(std::iter::from_fn(|| frames.rest()));
        (made, frames)
    }

    #[test]
    fn rows_arrive_as_they_left_with_payloads_and_without() {
        let long = "x".repeat(FRAME_BYTES);
        let rows = [
            row("a", "1", 1),
            row("b", &long, 2),
            row("", "", 3),
            row("d", "4", 4),
        ];
        for has_payloads in [false, true] {
            let (made, frames) = frames(&rows, has_payloads);
            let mut found = Vec::new();
            let mut sums = BTreeMap::<u32, FrameSum>::new();
            for (chunk, bytes) in &made {
                let frame = Frame::read(bytes, 9, *chunk).expect("intact");
                assert_eq!((frame.piece, frame.is_assembled), (4, false));
                sums.entry(*chunk).or_default().count(bytes);
                found.extend(frame.rows().map(|row| row.expect("intact")));
            }
            assert_eq!(made.len(), if has_payloads { 3 } else { 2 });
            assert_eq!(&sums, frames.sums());
            found.sort_by_key(|row| row.line);
            for (found, row) in found.iter().zip(&rows) {
                let payload: &[u8] = if has_payloads { &row.payload } else { b"" };
                assert_eq!((found.id, found.payload), (&*row.id, payload));
                assert_eq!(found.length as usize, row.payload.len());
                assert_eq!((found.turn, found.at, found.line), (-3, 7, row.facts.line));
                assert_eq!(
                    (found.flags, found.group),
                    (row.facts.flags, row.facts.group)
                );
                assert_eq!(found.checksum, xxh3_64(&row.payload));
            }
        }
    }

    #[test]
    fn a_frame_that_was_changed_or_is_anothers_is_refused() {
        let (made, _) = frames(&[row("a", "1", 1)], true);
        let (_, frame) = &made[0];
        assert_eq!(Frame::read(frame, 8, 0), Err(Fault::OtherJob));
        assert_eq!(Frame::read(frame, 9, 1), Err(Fault::OtherChunk));
        for place in 0..frame.len() {
            let mut changed = frame.clone();
            changed[place] ^= 1;
            assert_eq!(Frame::read(&changed, 9, 0), Err(Fault::Damaged));
            assert_eq!(Frame::read(&frame[..place], 9, 0), Err(Fault::Damaged));
        }
    }
}
