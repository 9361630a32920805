//! Reading payloads again, by position: from sealed chunks and from plain input files.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::copilot_chat::assembler::OpenError;
use crate::domain::json::JsonError;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::header::Position;
use crate::fault::{Faults, Kind, Site};
use crate::source::{DEFECT, INPUT_CHANGED, RERUN, RowEncoding};
use crate::spool::disk;
use crate::spool::sealed::SealedChunk;

/// Files that are held open at once: well below the usual limit of 1,024.
const OPEN_FILES: usize = 256;

/// The errors of reading a payload again.
#[derive(Debug, Error)]
pub enum PayloadError {
    /// The bytes are not those of the header pass: the file was changed or damaged meanwhile.
    #[error("{path} has changed since it was read")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Whether it is a sealed chunk of the run's own.
        sealed: bool,
    },
    /// The file system refused.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The checksum fits, but the row cannot be read again: a defect.
    #[error("a row that was good is not readable any more")]
    Row(#[from] JsonError),
    /// The checksums fit, but the rows do not make their conversation again: a defect.
    #[error("rows that were good do not make their conversation again")]
    Telemetry(#[from] OpenError),
}

impl PayloadError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Changed { sealed: false, .. } => INPUT_CHANGED,
            Self::Changed { .. } | Self::Io { .. } => RERUN,
            Self::Row(_) | Self::Telemetry(_) => DEFECT,
        }
    }
}

/// A file that holds payloads.
#[derive(Debug, Clone)]
pub enum Store {
    /// An input file; its number among the stores is its number among the inputs.
    Input(PathBuf),
    /// The rows of a sealed chunk.
    Sealed(Arc<SealedChunk>),
}

impl Store {
    fn path(&self) -> &Path {
        match self {
            Self::Input(path) => path,
            Self::Sealed(chunk) => chunk.rows_path(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    stores: Vec<Store>,
    open: HashMap<u32, Arc<File>>,
}

/// All files that hold payloads, by number.
#[derive(Debug, Clone, Default)]
pub struct Payloads {
    inner: Arc<Mutex<Inner>>,
    faults: Faults,
}

impl Payloads {
    /// No files yet.
    pub fn new(faults: Faults) -> Self {
        Self {
            inner: Arc::default(),
            faults,
        }
    }

    fn add(&self, store: Store) -> u32 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.stores.push(store);
        // Fewer than 2^32 files fit into any survey.
        (inner.stores.len() - 1) as u32
    }

    /// Adds an input file; numbers count from 0. All inputs are added first, in their order.
    pub fn add_input(&self, path: &Path) -> u32 {
        self.add(Store::Input(path.to_owned()))
    }

    /// Adds the rows of a sealed chunk.
    pub fn add_sealed(&self, chunk: &SealedChunk) -> u32 {
        self.add(Store::Sealed(Arc::new(chunk.clone())))
    }

    /// The encoding of a store's rows.
    fn encoding(&self, store: u32) -> RowEncoding {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        match &inner.stores[store as usize] {
            Store::Input(_) => RowEncoding::AsWritten,
            Store::Sealed(chunk) => chunk.encoding(),
        }
    }

    /// A reader of payloads.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            payloads: self,
            last: None,
        }
    }

    /// A store by its number.
    pub fn store(&self, number: u32) -> Store {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.stores[number as usize].clone()
    }

    fn file(&self, store: u32) -> Result<Arc<File>, PayloadError> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = inner.open.get(&store) {
            return Ok(Arc::clone(file));
        }
        let Inner { stores, open } = &mut *inner;
        let path = stores[store as usize].path();
        let opened = disk::retry(
            || {
                let opened = File::open(path);
                if opened.as_ref().is_err_and(disk::is_transient) {
                    // The limit of open files may be reached because of these.
                    open.clear();
                }
                opened
            },
            disk::is_transient,
        );
        let file = opened.map_err(|error| PayloadError::Io {
            path: path.to_owned(),
            source: error,
        })?;
        let file = Arc::new(file);
        if inner.open.len() >= OPEN_FILES {
            inner.open.clear();
        }
        inner.open.insert(store, Arc::clone(&file));
        Ok(file)
    }
}

/// Reads payloads, of which those that follow each other often lie in one file: it is looked up
/// once.
#[derive(Debug)]
pub struct Reader<'p> {
    payloads: &'p Payloads,
    /// The last file, by its number.
    last: Option<(u32, Arc<File>)>,
}

impl Reader<'_> {
    fn file(&mut self, store: u32) -> Result<&File, PayloadError> {
        let last = match self.last.take().filter(|(number, _)| *number == store) {
            Some(last) => last,
            None => (store, self.payloads.file(store)?),
        };
        Ok(&self.last.insert(last).1)
    }

    /// Appends the record of a conversation row: complete, or put together. Says whether it became known
    /// by that that the rules find nothing in it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_record(
        &mut self,
        position: &Position,
        assembler: &Assembler<'_>,
        out: &mut Vec<u8>,
    ) -> Result<bool, PayloadError> {
        if self.payloads.encoding(position.store) != RowEncoding::Assembled {
            let start = out.len();
            self.read(position, out)?;
            assembler.fill(out, start)?;
            return Ok(false);
        }
        let mut row = Vec::new();
        self.read(position, &mut row)?;
        Ok(assembler.from_columns(&row, out)?)
    }

    /// Appends a payload to a buffer, after holding it against its checksum.
    ///
    /// # Errors
    /// If it cannot be read or is not what it was.
    pub fn read(&mut self, position: &Position, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        let payloads = self.payloads;
        let file = self.file(position.store)?;
        let start = out.len();
        out.resize(start + position.length as usize, 0);
        let read = || {
            let result = file.read_exact_at(&mut out[start..], position.offset);
            match payloads.faults.due(Site::Payload) {
                Some(Kind::Io) => return Err(Errno::IO.into()),
                Some(Kind::Truncated) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                Some(Kind::Corrupt) if position.length > 0 => out[start] ^= 1,
                _ => {}
            }
            result
        };
        let intact = match disk::retry(read, disk::is_transient) {
            Ok(()) => xxh3_64(&out[start..]) == position.checksum,
            // The file has become shorter.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
            Err(error) => {
                let path = payloads.store(position.store).path().to_owned();
                return Err(PayloadError::Io {
                    path,
                    source: error,
                });
            }
        };
        if intact {
            return Ok(());
        }
        let store = payloads.store(position.store);
        Err(PayloadError::Changed {
            path: store.path().to_owned(),
            sealed: matches!(store, Store::Sealed(_)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dataset::chunk_tally::ChunkTally;
    use crate::domain::record::assembler::Nested;
    use crate::domain::record::header::RowFlags;
    use crate::domain::record::row::RowShape;
    use crate::domain::scheduling::chunk::{Chunk, Piece};
    use crate::domain::scheduling::pass::{ChunkPass, Pass};
    use crate::domain::selection::group::GroupMark;
    use crate::domain::selection::stratum::fixtures::selection;
    use crate::spool::sealed::{RowFacts, Spool, SpooledRow};

    #[test]
    fn a_changed_or_shorter_file_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        std::fs::write(&path, b"0123456789").expect("writable");
        let payloads = Payloads::default();
        let position = Position {
            store: payloads.add_input(&path),
            length: 3,
            offset: 4,
            checksum: xxh3_64(b"456"),
        };
        let mut out = b"x".to_vec();
        payloads.reader().read(&position, &mut out).expect("intact");
        assert_eq!(out, b"x456");
        for damage in [&b"0123x56789"[..], b"012345"] {
            std::fs::write(&path, damage).expect("writable");
            assert!(matches!(
                payloads.reader().read(&position, &mut Vec::new()),
                Err(PayloadError::Changed { sealed: false, .. })
            ));
        }
    }

    /// An input file with these bytes, and the place of all of them.
    fn input(payloads: &Payloads, path: &Path, bytes: &[u8]) -> Position {
        std::fs::write(path, bytes).expect("writable");
        Position {
            store: payloads.add_input(path),
            length: bytes.len() as u32,
            offset: 0,
            checksum: xxh3_64(bytes),
        }
    }

    /// A sealed chunk with one conversation row.
    fn sealed(folder: &Path, encoding: RowEncoding, row: &[u8]) -> SealedChunk {
        let chunk = Chunk::Piece(Piece {
            file: encoding as u32,
            start: 0,
            end: 1,
        });
        let pass = Pass::All;
        let chunk_pass = ChunkPass { chunk, pass };
        let spool = Spool::open(folder.to_owned(), 1 << 20).expect("a folder");
        let writer = spool.create(chunk_pass, RowShape::Conversations, encoding);
        let mut writer = writer.expect("files");
        let facts = RowFacts {
            turn: 1,
            at: 0,
            flags: RowFlags::default(),
            group: GroupMark::ABSENT,
            line: 1,
            telemetry: None,
        };
        let row = SpooledRow {
            id: b"c"[..].into(),
            facts,
            payload: row.into(),
        };
        writer.append(&[row]).expect("room");
        writer.seal(ChunkTally::default()).expect("room")
    }

    #[test]
    fn a_row_is_written_anew_only_if_it_was_put_together() {
        let folder = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::default();
        let row = br#"{"turnsArray": [], "conversationId": "c"}"#;
        let input = input(&payloads, &folder.path().join("rows"), row);
        let [as_written, assembled] =
            [RowEncoding::AsWritten, RowEncoding::Assembled].map(|encoding| {
                let chunk = sealed(&folder.path().join("spool"), encoding, row);
                let store = payloads.add_sealed(&chunk);
                assert_eq!(payloads.store(store).path(), chunk.rows_path());
                Position { store, ..input }
            });
        let stores = [input, as_written, assembled].map(|position| position.store);
        assert_eq!(stores, [0, 1, 2]);
        let forms = stores.map(|store| payloads.encoding(store));
        let [plain, anew] = [RowEncoding::AsWritten, RowEncoding::Assembled];
        assert_eq!(forms, [plain, plain, anew]);
        let selection = selection(1);
        let assembler = Assembler::new(&selection, Nested::AsIs);
        let record = |position| {
            let mut out = b"[".to_vec();
            let read = payloads
                .reader()
                .read_record(position, &assembler, &mut out);
            read.map(|_| out)
        };
        for position in [&input, &as_written] {
            let filled =
                br#"[{"turnsArray": [], "conversationId": "c","turnCount":0,"bucket":null}"#;
            assert_eq!(record(position).expect("intact"), filled);
        }
        let anew = record(&assembled).expect("intact");
        assert!(anew.starts_with(br#"[{"conversationId":"c","userName":null,"#));
        let Store::Sealed(chunk) = payloads.store(assembled.store) else {
            panic!("it is a sealed chunk");
        };
        std::fs::write(chunk.rows_path(), b"{}").expect("writable");
        assert!(matches!(
            record(&assembled),
            Err(PayloadError::Changed { sealed: true, .. })
        ));
    }

    #[test]
    fn files_are_kept_open_and_not_too_many() {
        let folder = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::default();
        let mut most = 0;
        for number in 0..OPEN_FILES + 9 {
            let path = folder.path().join(number.to_string());
            let position = input(&payloads, &path, number.to_string().as_bytes());
            payloads
                .reader()
                .read(&position, &mut Vec::new())
                .expect("intact");
            let open = payloads.inner.lock().expect("no panic").open.len();
            assert!(open <= OPEN_FILES);
            most = most.max(open);
            // An open file is not opened again.
            std::fs::remove_file(path).expect("a file");
            payloads
                .reader()
                .read(&position, &mut Vec::new())
                .expect("open");
        }
        assert_eq!(most, OPEN_FILES);
    }

    #[test]
    fn what_the_system_refuses_was_not_changed() {
        let folder = tempfile::tempdir().expect("a folder");
        let payloads = Payloads::default();
        let gone = folder.path().join("gone");
        // A folder can be opened, and not be read.
        for path in [&gone, folder.path()] {
            let position = Position {
                store: payloads.add_input(path),
                length: 1,
                offset: 0,
                checksum: 0,
            };
            let refused = payloads.reader().read(&position, &mut Vec::new());
            assert!(
                matches!(refused, Err(PayloadError::Io { path: of, .. }) if of == *path),
                "{path:?}"
            );
        }
    }
}
