//! What a job brings of a chunk: the records of the conversations that are wanted, or rows of telemetry.
//!
//! They travel, and lie on the driver's disk, as the length of a head (u64), the head in JSON, the texts, each with a
//! newline, compressed, and a checksum of all that. Who asks for the head alone decompresses nothing.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Fault;
use super::frame::{FrameSum, compressed, decompressed, seal, sealed};

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// `hash(id)`
    pub id_hash: i64,
    /// Its number of turns.
    pub turns: u64,
    /// Its text, one line; of Copilot Chat telemetry its rows, a line each.
    pub text: Vec<u8>,
}

/// What is known of a chunk's records without their texts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordsHead {
    /// The frames that they were made of.
    pub frames: FrameSum,
    /// Hash, turns, and bytes of the text.
    records: Vec<(i64, u64, u64)>,
    /// Bytes of the shared rows.
    shared: u64,
    /// The hashes of the shared rows that the rows of conversations name.
    pub named: BTreeSet<i64>,
}

impl RecordsHead {
    /// As it has travelled, before the texts.
    ///
    /// # Errors
    /// If anything was damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        Ok(Self::split(bytes)?.0)
    }

    /// The head, and the texts as they are compressed.
    fn split(bytes: &[u8]) -> Result<(Self, &[u8]), Fault> {
        let (length, rest) = sealed(bytes)?.split_first_chunk().ok_or(Fault::Damaged)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| Fault::Damaged)?;
        let (head, texts) = rest.split_at_checked(length).ok_or(Fault::Damaged)?;
        let head = serde_json::from_slice(head).map_err(|_| Fault::Damaged)?;
        Ok((head, texts))
    }

    /// Bytes of all texts.
    fn text_bytes(&self) -> u64 {
        let records = self.records.iter().map(|(_, _, bytes)| bytes + 1);
        records.sum::<u64>() + self.shared
    }
}

/// The records of a chunk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChunkRecords {
    head: RecordsHead,
    texts: Vec<u8>,
}

impl ChunkRecords {
    /// None yet, of these frames.
    pub fn new(frames: FrameSum) -> Self {
        Self {
            head: RecordsHead {
                frames,
                ..RecordsHead::default()
            },
            texts: Vec::new(),
        }
    }

    /// Adds one.
    pub fn push(&mut self, record: Record) {
        let bytes = record.text.len() as u64;
        self.head
            .records
            .push((record.id_hash, record.turns, bytes));
        self.texts.extend_from_slice(&record.text);
        self.texts.push(b'\n');
    }

    /// Adds a shared row of Copilot Chat telemetry.
    pub fn push_shared(&mut self, row: &[u8]) {
        self.head.shared += row.len() as u64 + 1;
        self.texts.extend_from_slice(row);
        self.texts.push(b'\n');
    }

    /// Notes shared rows that a conversation names, by the hashes of their ids.
    pub fn name(&mut self, shared: impl Iterator<Item = i64>) {
        self.head.named.extend(shared);
    }

    /// Hash and turns of each.
    pub fn conversations(&self) -> impl Iterator<Item = (i64, u64)> {
        self.head
            .records
            .iter()
            .map(|&(hash, turns, _)| (hash, turns))
    }

    /// Their lines, each with its newline.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        memchr::memchr_iter(b'\n', &self.texts).map(move |at| {
            let line = &self.texts[start..=at];
            start = at + 1;
            line
        })
    }

    /// As they travel.
    pub fn to_bytes(&self) -> Vec<u8> {
        // It has nothing that JSON cannot hold.
        let head = serde_json::to_vec(&self.head).unwrap_or_default();
        let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&head);
        bytes.extend(compressed(&self.texts));
        seal(bytes)
    }

    /// As they have travelled.
    ///
    /// # Errors
    /// If they were damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let (head, texts) = RecordsHead::split(bytes)?;
        let texts = decompressed(texts, head.text_bytes())?;
        Ok(Self { head, texts })
    }
}
