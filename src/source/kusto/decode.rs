//! From the bytes of a body, packed or not, to its frames.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;

use super::error::Failure;
use super::frames::{FrameReader, TableSink, damaged};

/// Compressed bytes that are unpacked at once; a thousandfold of them fits into memory.
const UNPACK: usize = 16 * 1024;

/// Unpacks and reads a body.
#[derive(Debug)]
pub struct Decoder {
    unpack: Option<MultiGzDecoder<Vec<u8>>>,
    frames: FrameReader,
}

impl Decoder {
    /// For a body that is packed with gzip, or is not; with rows of at most `max_row` bytes.
    pub fn new(packed: bool, max_row: u64) -> Self {
        Self {
            unpack: packed.then(|| MultiGzDecoder::new(Vec::new())),
            frames: FrameReader::new(max_row),
        }
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
                self.frames.push(piece.as_ref(), sink)?;
                continue;
            };
            for packed in piece.as_ref().chunks(UNPACK) {
                unpack.write_all(packed).map_err(unpacking)?;
                self.frames.push(unpack.get_ref(), sink)?;
                unpack.get_mut().clear();
            }
        }
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// If it is not whole.
    pub fn finish(mut self, sink: &mut impl TableSink) -> Result<(), Failure> {
        if let Some(unpack) = &mut self.unpack {
            unpack.try_finish().map_err(unpacking)?;
            self.frames.push(unpack.get_ref(), sink)?;
        }
        self.frames.finish(sink)
    }
}

fn unpacking(error: std::io::Error) -> Failure {
    damaged(format!("it cannot be unpacked: {error}"))
}
