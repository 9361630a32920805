//! From the bytes of a body, packed or not, to its frames.

use crate::domain::debug_lengths;
use std::io::Write as _;

use flate2::write::MultiGzDecoder;

use super::error::Failure;
use super::frames::{Column, FrameReader, TableSink, damaged};

/// Compressed bytes that are unpacked at once; a thousandfold of them fits into memory.
const UNPACK: usize = 16 * 1024;

/// Pieces from this size on are read where they are: few rows are cut by their ends. Smaller ones
/// are joined, as every row that is cut is scanned twice.
const LARGE: usize = 64 * 1024;

/// Bytes that are joined before they are read.
const JOINED: usize = 512 * 1024;

/// Unpacks and reads a body.
pub struct Decoder {
    unpack: Option<MultiGzDecoder<Vec<u8>>>,
    joined: Joined,
}

debug_lengths!(Decoder { joined } lengths {});

/// Small pieces, and what reads them.
struct Joined {
    bytes: Vec<u8>,
    frames: FrameReader,
}

debug_lengths!(Joined { frames } lengths { bytes });

impl Joined {
    fn push(&mut self, piece: &[u8], sink: &mut impl TableSink) -> Result<(), Failure> {
        if piece.len() >= LARGE {
            self.read(sink)?;
            return self.frames.push(piece, sink);
        }
        self.bytes.extend_from_slice(piece);
        match self.bytes.len() < JOINED {
            true => Ok(()),
            false => self.read(sink),
        }
    }

    fn read(&mut self, sink: &mut impl TableSink) -> Result<(), Failure> {
        self.frames.push(&self.bytes, sink)?;
        self.bytes.clear();
        Ok(())
    }
}

impl Decoder {
    /// A decoder of a body, gzipped if `packed`.
    pub fn new(packed: bool, frames: FrameReader) -> Self {
        Self {
            unpack: packed.then(|| MultiGzDecoder::new(Vec::new())),
            joined: Joined {
                bytes: Vec::new(),
                frames,
            },
        }
    }

    /// The [late](FrameReader::late_columns) columns of the answer.
    pub fn late_columns(&self) -> Option<&[Column]> {
        self.joined.frames.late_columns()
    }

    /// Reads what has arrived.
    ///
    /// # Errors
    /// If it cannot be unpacked or read.
    pub fn push(
        &mut self,
        pieces: &[impl AsRef<[u8]>],
        sink: &mut impl TableSink,
    ) -> Result<(), Failure> {
        for piece in pieces {
            let Some(unpack) = &mut self.unpack else {
                self.joined.push(piece.as_ref(), sink)?;
                continue;
            };
            for packed in piece.as_ref().chunks(UNPACK) {
                unpack.write_all(packed).map_err(unpacking)?;
                self.joined.push(unpack.get_ref(), sink)?;
                unpack.get_mut().clear();
            }
        }
        self.joined.read(sink)
    }

    /// The body has ended.
    ///
    /// # Errors
    /// If it is not whole.
    pub fn finish(&mut self, sink: &mut impl TableSink) -> Result<(), Failure> {
        if let Some(unpack) = &mut self.unpack {
            unpack.try_finish().map_err(unpacking)?;
            self.joined.frames.push(unpack.get_ref(), sink)?;
        }
        self.joined.frames.finish(sink)
    }
}

fn unpacking(error: std::io::Error) -> Failure {
    damaged(format!("it cannot be unpacked: {error}"))
}
