//! Reading the records of a split, in the order of ranks over all its buckets.

use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

use super::ConvertError;
use crate::domain::conversion::NotARecord;
use crate::domain::dataset::manifest::{FileRecord, Framing, JSON, Manifest};
use crate::domain::json::{Scanner, text};
use crate::domain::record::fields::key_text;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::runtime::buffers::{Buffer, Buffers};
use crate::sink::reader::DatasetReader;
use crate::verify::{Hashed, LONGEST, VerifyError};

/// Bytes of records that are converted together.
pub const BATCH_BYTES: usize = 1 << 20;

/// Bytes that are asked for at once.
const READ_BYTES: usize = 256 << 10;

/// The records of a split that were not read yet.
pub struct Records {
    files: Vec<(FileRecord, u64)>,
    framing: Framing,
    seed: String,
    buffers: Buffers,
}

/// Lines that are converted together.
#[derive(Default)]
pub struct Lines {
    text: Buffer,
    /// Where each ends, its file and its number there.
    ends: Vec<(usize, usize, u64)>,
    paths: Arc<[String]>,
}

/// A line.
pub struct Line<'l> {
    /// The record.
    pub text: &'l [u8],
    /// Its file.
    pub path: &'l str,
    /// Its number there, from 1 on.
    pub number: u64,
}

impl Lines {
    /// The number of lines.
    pub fn len(&self) -> u64 {
        self.ends.len() as u64
    }

    /// Their length.
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The lines.
    pub fn iter(&self) -> impl Iterator<Item = Line<'_>> {
        let starts = [0]
            .into_iter()
            .chain(self.ends.iter().map(|&(end, ..)| end));
        self.ends
            .iter()
            .zip(starts)
            .map(|(&(end, file, number), start)| Line {
                text: &self.text[start..end],
                path: &self.paths[file],
                number,
            })
    }
}

impl Records {
    /// The records of a split, whose batches take their memory from `buffers`.
    ///
    /// # Errors
    /// If the manifest names a format that does not exist.
    pub fn new(manifest: &Manifest, split: &str, buffers: &Buffers) -> Result<Self, ConvertError> {
        let strata = manifest
            .strata
            .iter()
            .filter(|stratum| stratum.split == split);
        let files = strata.filter_map(|stratum| Some((stratum.file_record()?, stratum.records)));
        let framing = Framing::of(&manifest.format).ok_or_else(|| VerifyError::Manifest {
            location: manifest.dataset.clone(),
            reason: format!("the format {:?} is not known", manifest.format),
        })?;
        Ok(Self {
            files: files.collect(),
            framing,
            seed: manifest.seed.clone(),
            buffers: buffers.clone(),
        })
    }

    /// Reads them all, and sends them in batches while those are wanted.
    ///
    /// # Errors
    /// If a file cannot be read or is not what the manifest says.
    pub fn read(
        self,
        dataset: &dyn DatasetReader,
        send: impl Fn(Lines) -> bool,
    ) -> Result<(), ConvertError> {
        let paths = self.files.iter().map(|(file, _)| file.path.clone());
        let paths: Arc<[String]> = paths.collect();
        let empty = || Lines {
            text: self.buffers.take(BATCH_BYTES + BATCH_BYTES / 4),
            ends: Vec::new(),
            paths: Arc::clone(&paths),
        };
        let mut ranker = Ranker::new(&self.seed);
        let mut files = Vec::new();
        for (file, records) in &self.files {
            let mut reader = Stratum::open(dataset, file, *records, self.framing)?;
            reader.next(&mut ranker)?;
            files.push(reader);
        }
        let mut lines = empty();
        loop {
            let heads = files.iter().enumerate().filter(|(_, file)| !file.is_over);
            let first = heads.min_by(|(_, a), (_, b)| a.place().cmp(&b.place()));
            let Some(first) = first.map(|(place, _)| place) else {
                break;
            };
            let file = &mut files[first];
            lines.text.extend_from_slice(file.line());
            lines.ends.push((lines.text.len(), first, file.number));
            file.next(&mut ranker)?;
            if lines.text.len() >= BATCH_BYTES && !send(std::mem::replace(&mut lines, empty())) {
                return Ok(());
            }
        }
        if !lines.ends.is_empty() {
            send(lines);
        }
        Ok(())
    }
}

/// The file of a stratum, which is hashed as it is read.
struct Stratum<'d> {
    reader: Hashed<Box<dyn Read + 'd>>,
    /// What was read; the bytes of `unread` are in no line yet.
    buffer: Vec<u8>,
    unread: Range<usize>,
    file: &'d FileRecord,
    expected: u64,
    framing: Framing,
    bytes: u64,
    records: u64,
    /// The number of the line, from 1 on.
    number: u64,
    /// Where the record that is next lies in the buffer.
    line: Range<usize>,
    rank: Rank,
    id: Vec<u8>,
    /// The id of the record before.
    last: Vec<u8>,
    is_over: bool,
}

impl<'d> Stratum<'d> {
    fn open(
        dataset: &'d dyn DatasetReader,
        file: &'d FileRecord,
        expected: u64,
        framing: Framing,
    ) -> Result<Self, ConvertError> {
        let reader = dataset.open(&file.path).map_err(io_error(&file.path))?;
        Ok(Self {
            reader: Hashed::new(reader),
            buffer: vec![0; READ_BYTES],
            unread: 0..0,
            file,
            expected,
            framing,
            bytes: 0,
            records: 0,
            number: 0,
            line: 0..0,
            rank: Rank(0),
            id: Vec::new(),
            last: Vec::new(),
            is_over: false,
        })
    }

    /// Where the next record stands among those of all buckets.
    fn place(&self) -> (Rank, &[u8]) {
        (self.rank, &self.id)
    }

    /// The record that is next.
    fn line(&self) -> &[u8] {
        &self.buffer[self.line.clone()]
    }

    /// Reads the next record; checks the file when there is none.
    fn next(&mut self, ranker: &mut Ranker) -> Result<(), ConvertError> {
        loop {
            let Some(mut line) = self.read_line()? else {
                self.is_over = true;
                return self.check();
            };
            self.number += 1;
            if self.framing == JSON {
                if matches!(&self.buffer[line.clone()], b"[" | b"]") {
                    continue;
                }
                if self.buffer[line.clone()].last() == Some(&b',') {
                    line.end -= 1;
                }
            }
            self.line = line;
            self.records += 1;
            return self.read_id(ranker);
        }
    }

    /// The next line, without its end; `None` at the end of the file.
    fn read_line(&mut self) -> Result<Option<Range<usize>>, ConvertError> {
        let mut searched = 0;
        loop {
            let Range { start, end } = self.unread;
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[start + searched..end]) {
                let line = start..start + searched + at;
                self.unread.start = line.end + 1;
                return Ok(Some(line));
            }
            searched = end - start;
            if searched as u64 > LONGEST {
                return Err(self.damaged(format!("has a line of more than {LONGEST} bytes")));
            }
            self.buffer.copy_within(start..end, 0);
            self.unread = 0..searched;
            if searched == self.buffer.len() {
                self.buffer.resize(2 * searched, 0);
            }
            let read = self.reader.read(&mut self.buffer[searched..]);
            let read = read.map_err(io_error(&self.file.path))?;
            self.unread.end += read;
            self.bytes += read as u64;
            match (read, searched) {
                (0, 0) => return Ok(None),
                (0, _) if self.bytes == self.file.bytes => {
                    return Err(self.damaged("does not end with a line's end".to_owned()));
                }
                // What is wrong with it is how long it is.
                (0, _) => return self.check().map(|()| None),
                _ => {}
            }
        }
    }

    /// The order of ranks shows that the seed is the one that these records were sampled with.
    fn read_id(&mut self, ranker: &mut Ranker) -> Result<(), ConvertError> {
        std::mem::swap(&mut self.id, &mut self.last);
        let last = self.rank;
        self.id.clear();
        let line = &self.buffer[self.line.clone()];
        let mut scanner = Scanner::with_max_depth(line, crate::domain::json::MAX_DEPTH + 2);
        let mut find = || {
            scanner.open_object()?;
            let mut first = true;
            while let Some(key) = scanner.next_key(first)? {
                first = false;
                let value = scanner.value()?;
                if *key_text(&key) == *b"conversationId" {
                    text::decode(value.string_body().unwrap_or_default(), &mut self.id);
                    return Ok(());
                }
            }
            Err(NotARecord::Field("conversationId"))
        };
        find().map_err(|source| ConvertError::Record {
            path: self.file.path.clone(),
            line: self.number,
            source,
        })?;
        self.rank = ranker.rank(&self.id);
        if self.records > 1 && (last, &self.last) >= (self.rank, &self.id) {
            let number = self.number;
            return Err(self.damaged(format!(
                "is not in the order of ranks from line {number} on: its records or the seed of its metadata.json were changed"
            )));
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), ConvertError> {
        let sha256 = self.reader.sha256();
        let (file, expected) = (self.file, self.expected);
        if self.bytes != file.bytes {
            return Err(self.damaged(format!(
                "has {} bytes instead of {}",
                self.bytes, file.bytes
            )));
        }
        if sha256 != file.sha256 {
            return Err(self.damaged("has another SHA-256 than its manifest says".to_owned()));
        }
        if self.records != expected {
            let what = format!("has {} records instead of {expected}", self.records);
            return Err(self.damaged(what));
        }
        Ok(())
    }

    fn damaged(&self, what: String) -> ConvertError {
        ConvertError::Damaged {
            path: self.file.path.clone(),
            what,
        }
    }
}

fn io_error(path: &str) -> impl FnOnce(io::Error) -> ConvertError {
    let path = path.to_owned();
    |source| ConvertError::Dataset(VerifyError::Io { path, source })
}
