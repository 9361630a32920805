//! Reading bytes of an input, and whose fault it is when they cannot be read.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::super::{RowBlock, SourceError};
use super::ahead::Ahead;
use super::{FileKind, compressed, document};

/// The byte order mark that an editor may put before UTF-8.
pub const BOM: &[u8] = b"\xef\xbb\xbf";

/// A text that is read from its beginning to its end.
pub trait TextStream: Send {
    /// Appends about `wanted` bytes (at least 1), or fewer where there is a reason; `true` at the end
    /// of the text.
    ///
    /// # Errors
    /// If they cannot be read or decoded.
    fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool>;

    /// Bytes of memory that it needs to go on, besides what it appends to.
    fn memory(&self) -> u64 {
        0
    }
}

impl<R: Read + Send> TextStream for R {
    fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
        // Read through `take` into the spare capacity: nothing is zeroed first.
        let limit = wanted as u64;
        let read = self.take(limit).read_to_end(bytes)?;
        Ok((read as u64) < limit)
    }
}

impl TextStream for Box<dyn TextStream> {
    fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
        (**self).append(bytes, wanted)
    }

    fn memory(&self) -> u64 {
        (**self).memory()
    }
}

/// A file that is read from its beginning to its end, perhaps decoded.
pub struct Input<R> {
    /// Absent while a thread reads ahead in it, and after that has failed.
    input: Option<R>,
    ahead: Option<Ahead<R>>,
    /// What `input` needed when it was here last.
    memory: u64,
    path: PathBuf,
    /// Set when the bytes are no longer wanted: a small file may decompress to terabytes.
    stop: Arc<AtomicBool>,
    /// Bytes of the file that were read so far, where they are not those that come out.
    consumed: Option<Arc<AtomicU64>>,
    /// The number of them that were reported.
    counted: u64,
    /// Bytes that may still come out.
    left: u64,
}

impl<R: TextStream> Input<R> {
    /// The bytes of a file.
    pub fn new(input: R, path: PathBuf) -> Self {
        Self {
            memory: input.memory(),
            input: Some(input),
            ahead: None,
            path,
            stop: Arc::default(),
            consumed: None,
            counted: 0,
            left: u64::MAX,
        }
    }

    /// Bytes of memory that reading on needs, besides what is read into. It grows before a part that
    /// needs more: reading then gives fewer bytes than are wanted.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// Has reading end with [`SourceError::Stopped`] soon after so many bytes have come out.
    #[must_use]
    pub fn limited(self, bytes: u64) -> Self {
        Self {
            left: bytes,
            ..self
        }
    }

    /// Has reading end with [`SourceError::Stopped`] once this is set.
    pub fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.stop = stop;
    }

    /// Counts by what was read of the file itself.
    #[must_use]
    pub fn counting(self, consumed: Arc<AtomicU64>) -> Self {
        Self {
            consumed: Some(consumed),
            ..self
        }
    }

    /// Bytes of the file that were read since this was asked last; `None`: as many as came out.
    pub fn newly_consumed(&mut self) -> Option<u64> {
        let now = self.consumed.as_ref()?.load(Ordering::Relaxed);
        Some(now - std::mem::replace(&mut self.counted, now))
    }

    /// Notes in a block what it took of the input; `false` if nothing came into it: that was all.
    pub fn has_filled(&mut self, block: &mut RowBlock) -> bool {
        block.input_bytes = self.newly_consumed();
        !block.bytes.is_empty() || !block.rejects.is_empty()
    }

    fn check_stop(&self) -> Result<(), SourceError> {
        match self.left == 0 || self.stop.load(Ordering::Relaxed) {
            true => Err(SourceError::Stopped),
            false => Ok(()),
        }
    }

    /// Appends about `wanted` bytes; `true` at the end of the input. Before it they may be fewer.
    ///
    /// # Errors
    /// If they cannot be read or decoded.
    pub fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> Result<bool, SourceError> {
        self.check_stop()?;
        let before = bytes.len();
        let input = self.input.as_mut().ok_or(SourceError::Stopped)?;
        let at_end = input.append(bytes, wanted);
        self.memory = input.memory();
        let read = bytes.len() - before;
        self.left = self.left.saturating_sub(read as u64);
        at_end.map_err(|error| cannot_read(&self.path, error))
    }

    /// The file says that it is not the whole answer to a query.
    pub fn partial_answer(&self, error: String) -> SourceError {
        SourceError::PartialAnswer {
            path: self.path.clone(),
            reason: error,
        }
    }

    /// The file is damaged.
    pub fn damaged(&self, reason: String) -> SourceError {
        SourceError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }
}

impl<R: TextStream + 'static> Input<R> {
    /// Has about `wanted` bytes appended on another thread, which [`Self::filled_ahead`] then gives:
    /// nothing else is asked of this before. Gives the buffer back if there is no thread.
    ///
    /// # Errors
    /// If nothing is wanted any more.
    pub fn fill_ahead(
        &mut self,
        bytes: Vec<u8>,
        wanted: usize,
    ) -> Result<Option<Vec<u8>>, SourceError> {
        self.check_stop()?;
        if self.ahead.is_none() {
            self.ahead = Ahead::start().ok();
        }
        match (&self.ahead, self.input.take()) {
            (Some(ahead), Some(input)) => {
                ahead.order(input, bytes, wanted);
                Ok(None)
            }
            (_, input) => {
                self.input = input;
                Ok(Some(bytes))
            }
        }
    }

    /// What was read ahead, and whether that was the end; `None` if nothing was asked for.
    ///
    /// # Errors
    /// As of [`Self::fill`].
    ///
    /// # Panics
    /// If reading has panicked.
    pub fn filled_ahead(&mut self) -> Result<Option<(Vec<u8>, bool)>, SourceError> {
        if self.input.is_some() {
            return Ok(None);
        }
        self.check_stop()?;
        let ahead = self.ahead.take().ok_or(SourceError::Stopped)?;
        let (ahead, filled) = ahead.take();
        self.ahead = Some(ahead);
        self.memory = filled.input.memory();
        self.input = Some(filled.input);
        let at_end = filled
            .at_end
            .map_err(|error| cannot_read(&self.path, error))?;
        Ok(Some((filled.bytes, at_end)))
    }
}

/// Reads once, again after a signal.
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
            source: error,
        },
    }
}

/// Opens a file of text from its beginning, decoded, and a count of the bytes that were read of it.
///
/// # Errors
/// If it cannot be opened.
pub fn open(path: &Path, kind: FileKind, max_window: u64) -> Result<Opened, SourceError> {
    let file = File::open(path).map_err(|error| cannot_read(path, error))?;
    let consumed = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        file,
        bytes: Arc::clone(&consumed),
    };
    let text: Box<dyn TextStream> = match kind {
        FileKind::Gzip | FileKind::Zstd => {
            compressed::open(path.to_owned(), counted, kind, max_window)?
        }
        FileKind::Plain | FileKind::Parquet => Box::new(counted),
    };
    Ok((text, consumed))
}

/// A text, and how many bytes of its file were read so far.
pub type Opened = (Box<dyn TextStream>, Arc<AtomicU64>);

/// A file that counts what is read of it.
struct Counted {
    file: File,
    bytes: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.bytes.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// The layouts of rows in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One a line.
    Lines,
    /// The elements of one JSON array.
    Array,
    /// An answer of the query API (`document.rs`).
    Document,
}

/// Bytes from the first that is not white space that distinguish a document from lines.
const HEAD: usize = 4096;

/// How the rows of a text are laid out, by its first bytes that are not white space. Looks at
/// `most` bytes of it.
///
/// # Errors
/// If it cannot be read that far.
pub fn layout(
    path: &Path,
    kind: FileKind,
    max_window: u64,
    most: u64,
) -> Result<Layout, SourceError> {
    if kind == FileKind::Parquet {
        return Ok(Layout::Lines);
    }
    let mut input = Input::new(open(path, kind, max_window)?.0, path.to_owned()).limited(most);
    let mut head = Vec::new();
    let mut at_start = true;
    loop {
        head.clear();
        let at_end = input.fill(&mut head, HEAD)?;
        if std::mem::take(&mut at_start) && head.starts_with(BOM) {
            head.drain(..BOM.len());
        }
        let Some(first) = head.iter().position(|byte| !byte.is_ascii_whitespace()) else {
            match at_end {
                true => return Ok(Layout::Lines),
                false => continue,
            }
        };
        if head[first] == b'{' && first > 0 && !at_end {
            input.fill(&mut head, first)?;
        }
        return Ok(match head[first] {
            b'[' => Layout::Array,
            b'{' if document::is_document(&head[first..]) => Layout::Document,
            _ => Layout::Lines,
        });
    }
}
