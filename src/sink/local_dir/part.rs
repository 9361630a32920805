//! A file in the making.
//!
//! Whole pages of a block go to the disk past the page cache, as far as the file system lets them:
//! they are written once and synced, not read soon, and copying them into the cache costs
//! more than anything else about them (`docs/adr/0010-past-the-page-cache.md`). The rest of a file,
//! and all of it elsewhere, is written the usual way.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind};
#[cfg(target_os = "linux")]
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::lock;
use crate::runtime::buffers::PAGE;
#[cfg(target_os = "linux")]
use crate::runtime::files::NO_FOLLOW;
use crate::runtime::storage::DiskFile;
use crate::sink::{Block, BlockReceipt};

/// Bytes of the page cache after which their write-back starts, so that the sync at the end has
/// little to do.
const WRITE_BACK_BYTES: u64 = 32 << 20;

/// A file that is being written.
#[derive(Debug)]
pub struct Part {
    file: DiskFile,
    /// The same file, for whole pages; absent where there is no such thing.
    direct: Option<File>,
    turned_down: AtomicBool,
    /// The blocks written so far.
    pub state: Mutex<PartState>,
}

/// The progress of a file.
#[derive(Debug, Default)]
pub struct PartState {
    /// Offset and length of the blocks written, by index.
    blocks: BTreeMap<u32, (u64, u64)>,
    /// Whether a commit has had it, with success or without.
    pub over: bool,
}

impl PartState {
    /// Whether all blocks of a file were written, one behind the other.
    pub fn holds(&self, receipts: &[BlockReceipt]) -> bool {
        let mut end = 0;
        receipts.iter().all(|receipt| {
            let offset = end;
            end += receipt.bytes;
            self.blocks.get(&receipt.index) == Some(&(offset, receipt.bytes))
        })
    }
}

impl Part {
    /// Begins a file anew.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = DiskFile::create(path)?;
        let direct = direct(path);
        Ok(Self {
            file,
            turned_down: AtomicBool::new(direct.is_none()),
            direct,
            state: Mutex::default(),
        })
    }

    /// Writes a block.
    ///
    /// # Errors
    /// If it cannot be written. It can be written again.
    pub fn write(&self, block: &Block) -> io::Result<()> {
        let (bytes, offset) = (&block.bytes, block.offset);
        let direct = self.write_pages(bytes, offset)?;
        let (rest, at) = (&bytes[direct..], offset + direct as u64);
        self.file.write_all_at(self.file.get(), rest, at)?;
        let end = at + rest.len() as u64;
        if at / WRITE_BACK_BYTES != end / WRITE_BACK_BYTES {
            self.file.sync_data()?;
        }
        let place = (offset, bytes.len() as u64);
        lock(&self.state).blocks.insert(block.index, place);
        Ok(())
    }

    /// Writes the pages that bytes begin with past the page cache; says how many bytes that were.
    fn write_pages(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let pages = bytes.len() - bytes.len() % PAGE;
        let aligned =
            bytes.as_ptr().addr().is_multiple_of(PAGE) && offset.is_multiple_of(PAGE as u64);
        let wanted = aligned && pages > 0 && !self.turned_down();
        let Some(direct) = self.direct.as_ref().filter(|_| wanted) else {
            return Ok(0);
        };
        match self.file.write_all_at(direct, &bytes[..pages], offset) {
            Ok(()) => Ok(pages),
            // Its pages are larger, or what was written first ended within one: it is written again.
            Err(error) if error.kind() == ErrorKind::InvalidInput => {
                self.turned_down.store(true, Ordering::Relaxed);
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the file system takes no whole pages: it is not asked again.
    pub fn turned_down(&self) -> bool {
        self.turned_down.load(Ordering::Relaxed)
    }

    /// The file has this many bytes, and they are on the disk.
    ///
    /// # Errors
    /// If they are not: the state of the disk is then unknown, and there is no second try.
    pub fn finish(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)?;
        self.file.sync()
    }
}

/// The file, past the page cache. Not every file system can.
#[cfg(target_os = "linux")]
fn direct(path: &Path) -> Option<File> {
    let flag = NO_FOLLOW | rustix::fs::OFlags::DIRECT.bits() as i32;
    let mut options = File::options();
    options.write(true).custom_flags(flag).open(path).ok()
}

#[cfg(not(target_os = "linux"))]
fn direct(_: &Path) -> Option<File> {
    None
}
