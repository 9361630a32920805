//! zstd frames one after the other, each of whose windows is looked at before it is decoded.

use std::io::{self, Read};
use std::path::PathBuf;

use bytesize::ByteSize;
use zstd::stream::raw::{DParameter, Decoder, InBuffer, Operation, OutBuffer};

use super::super::super::SourceError;
use super::super::reading::{TextStream, read_some};

/// The longest head of a zstd frame: RFC 8878, section 3.1.1.1.
const FRAME_HEAD: usize = 18;

/// The largest window that zstd knows on 64 bits: 2 GB.
const MAX_WINDOW_LOG: u32 = 31;

/// What a decoder holds besides the window: tables, a block of input and one of output.
const BESIDES: u64 = 768 * 1024;

/// Reads of the file before the caller has a look at what came of them: 16 MB.
const MOST_READS: u32 = 64;

/// Reads the frames of a file.
pub struct Frames<R> {
    path: PathBuf,
    input: R,
    /// Bytes of the file, of which those from `start` on were not decoded.
    buffer: Vec<u8>,
    start: usize,
    decoder: Decoder<'static>,
    is_in_frame: bool,
    window_log: u32,
    /// The largest window so far, also of the frame that is about to be decoded.
    window: u64,
}

impl<R: Read> Frames<R> {
    /// Reads frames whose windows are up to `max_window` bytes: `buffer` has the first bytes of the
    /// file, `input` the rest.
    ///
    /// # Errors
    /// If there is no memory for a decoder.
    pub fn new(path: PathBuf, buffer: Vec<u8>, input: R, max_window: u64) -> io::Result<Self> {
        let window_log = max_window.max(1).ilog2().min(MAX_WINDOW_LOG);
        let mut decoder = Decoder::new()?;
        decoder.set_parameter(DParameter::WindowLogMax(window_log))?;
        let mut frames = Self {
            path,
            input,
            buffer,
            start: 0,
            decoder,
            is_in_frame: false,
            window_log,
            window: 0,
        };
        // What is refused is refused when it is read.
        let first = window(frames.head()?);
        frames.window = first.min(1 << window_log);
        Ok(frames)
    }

    /// Reads more of the file behind what is left; `false` at its end.
    fn refill(&mut self) -> io::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let left = self.buffer.len();
        self.buffer.resize(left + super::BUFFER, 0);
        let read = read_some(&mut self.input, &mut self.buffer[left..]);
        let n = *read.as_ref().unwrap_or(&0);
        self.buffer.truncate(left + n);
        read.map(|n| n > 0)
    }

    /// The first bytes that were not decoded, as many as a head may have.
    fn head(&mut self) -> io::Result<&[u8]> {
        while self.buffer.len() - self.start < FRAME_HEAD && self.refill()? {}
        Ok(&self.buffer[self.start..])
    }

    /// Looks at the next frame: `None` if there is none, else whether it asks for more memory than
    /// those before.
    fn begin(&mut self) -> io::Result<Option<bool>> {
        let head = self.head()?;
        if head.is_empty() {
            return Ok(None);
        }
        let window = window(head);
        if window > 1 << self.window_log {
            return Err(io::Error::other(self.too_wide(window)));
        }
        let asks = window > self.window;
        self.window = self.window.max(window);
        self.is_in_frame = !asks;
        Ok(Some(asks))
    }

    fn too_wide(&self, window: u64) -> SourceError {
        let size = |bytes| ByteSize::b(bytes).display().iec().to_string();
        SourceError::Unsupported {
            path: self.path.clone(),
            what: format!(
                "a zstd frame with a window of {}; up to {} are read",
                size(window),
                size(1 << self.window_log)
            ),
            hint: format!(
                "recompress it (zstd -dc --long=31 FILE | zstd -o NEW.zst), or set limits.in_flight to {} or more if there is so much memory",
                size(window)
            ),
        }
    }

    /// Decodes what is at hand into the room that the buffer has; whether that led anywhere.
    fn decode(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        let before = bytes.len();
        let mut input = InBuffer::around(&self.buffer[self.start..]);
        let mut output = OutBuffer::around_pos(bytes, before);
        let left = self.decoder.run(&mut input, &mut output)?;
        let used = input.pos();
        self.start += used;
        // All of the frame was decoded and given.
        self.is_in_frame = left > 0;
        Ok(used > 0 || bytes.len() > before)
    }
}

impl<R: Read + Send> TextStream for Frames<R> {
    /// Gives fewer bytes, also none, before a frame that asks for more memory than those before.
    fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
        bytes.reserve_exact(wanted);
        let enough = bytes.len() + wanted;
        let mut reads = 0;
        // A skippable frame of any length has nothing to give: the caller looks up now and then.
        while bytes.len() < enough && reads < MOST_READS {
            if !self.is_in_frame {
                match self.begin()? {
                    None => return Ok(true),
                    Some(true) => return Ok(false),
                    Some(false) => {}
                }
            }
            if self.start == self.buffer.len() {
                self.refill()?;
                reads += 1;
            }
            if !self.decode(bytes)? && !self.refill()? {
                let what = "its last zstd frame is cut off";
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
            }
        }
        Ok(false)
    }

    fn memory(&self) -> u64 {
        self.window + BESIDES
    }
}

/// The window that a frame asks for, in bytes; 0 of what is no frame with content.
fn window(head: &[u8]) -> u64 {
    let [0x28, 0xb5, 0x2f, 0xfd, descriptor, rest @ ..] = head else {
        return 0;
    };
    if descriptor & 0x20 == 0 {
        let window = rest.first().map_or(0, |window| *window);
        let base = 1u64 << (10 + (window >> 3));
        return base + base / 8 * u64::from(window & 7);
    }
    // A single segment: the window is the content, whose size lies behind the dictionary's id.
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size = [1, 2, 4, 8][usize::from(descriptor >> 6)];
    let bytes = rest.get(dictionary..dictionary + size).unwrap_or_default();
    let bytes = bytes.iter().rev();
    let content = bytes.fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    content + if size == 2 { 256 } else { 0 }
}
