//! Reading bytes of an input, and whose fault it is when they cannot be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::super::SourceError;
use super::{FileKind, compressed};

/// What an editor may put before a text of UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// A file that is read from its beginning to its end, perhaps decoded.
pub struct Input<R> {
    input: R,
    path: PathBuf,
}

impl<R: Read> Input<R> {
    /// The bytes of a file.
    pub fn new(input: R, path: PathBuf) -> Self {
        Self { input, path }
    }

    /// Appends up to `wanted` bytes; `true` at the end of the input, where they may be fewer.
    ///
    /// # Errors
    /// If they cannot be read or decoded.
    pub fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> Result<bool, SourceError> {
        // Read through `take` into the spare capacity: nothing is zeroed first.
        let limit = wanted as u64;
        let read = (&mut self.input).take(limit).read_to_end(bytes);
        let read = read.map_err(|error| cannot_read(&self.path, error))?;
        Ok((read as u64) < limit)
    }

    /// Reads into a buffer; 0 at the end.
    ///
    /// # Errors
    /// If it cannot be read or decoded.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize, SourceError> {
        read_some(&mut self.input, buffer).map_err(|error| cannot_read(&self.path, error))
    }

    /// The file is damaged.
    pub fn damaged(&self, reason: String) -> SourceError {
        SourceError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }
}

/// Reads once, whatever signals come.
pub fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match input.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The decoders say what is wrong with a file as an error of ours within the system's.
pub fn cannot_read(path: &Path, error: io::Error) -> SourceError {
    match error.downcast::<SourceError>() {
        Ok(error) => error,
        Err(error) => SourceError::Io {
            path: path.to_owned(),
            error,
        },
    }
}

/// Opens a file of text from its beginning, decoded.
///
/// # Errors
/// If it cannot be opened.
pub fn open(
    path: &Path,
    kind: FileKind,
    max_window: u64,
) -> Result<Box<dyn Read + Send>, SourceError> {
    match kind {
        FileKind::Gzip | FileKind::Zstd => compressed::open(path.to_owned(), kind, max_window),
        FileKind::Plain | FileKind::Parquet => {
            let file = File::open(path).map_err(|error| cannot_read(path, error))?;
            Ok(Box::new(file))
        }
    }
}

/// Whether a text is one JSON array: whether its first byte that is not white space is `[`.
///
/// # Errors
/// If it cannot be read that far.
pub fn is_array(path: &Path, kind: FileKind, max_window: u64) -> Result<bool, SourceError> {
    if kind == FileKind::Parquet {
        return Ok(false);
    }
    let mut input = Input::new(open(path, kind, max_window)?, path.to_owned());
    let mut buffer = Vec::new();
    let mut at_start = true;
    loop {
        buffer.clear();
        let at_end = input.fill(&mut buffer, 4096)?;
        let mut bytes = &buffer[..];
        if std::mem::take(&mut at_start) {
            bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        }
        let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
        match first {
            Some(first) => return Ok(*first == b'['),
            None if at_end => return Ok(false),
            None => {}
        }
    }
}
