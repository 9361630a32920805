//! A pool of buffers: a dropped buffer serves the next caller.
//!
//! Blocks and batches are as large as what allocators give back to the system at once, and every
//! page that the system gives again is cleared by it first. What is kept is never more than what
//! was in use at one time, which permits and the number of actors bound.

use crate::domain::debug_lengths;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes in a page: what disks that are written to past the page cache want addresses, offsets and
/// lengths to be multiples of.
pub const PAGE: usize = 4096;

/// Buffers of about one size.
#[derive(Debug, Clone)]
pub struct Buffers {
    /// Those with a larger capacity are freed, not kept.
    largest: usize,
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Buffers {
    /// No buffers yet; those above `largest` bytes will not be kept.
    pub fn new(largest: usize) -> Self {
        Self {
            largest,
            free: Arc::default(),
        }
    }

    /// An empty buffer with room for `capacity` bytes.
    pub fn take(&self, capacity: usize) -> Buffer {
        let mut bytes = self.lock().pop().unwrap_or_default();
        bytes.reserve_exact(capacity);
        Buffer {
            bytes,
            home: Some(self.clone()),
        }
    }

    /// A buffer with room for `capacity` bytes from the first page that begins in it. Gives the
    /// length of what is before that page too: the buffer is filled up to there.
    pub fn take_page(&self, capacity: usize) -> (Buffer, usize) {
        let mut buffer = self.take(capacity + PAGE);
        let address = buffer.as_ptr().addr();
        let before = address.next_multiple_of(PAGE) - address;
        buffer.resize(before, 0);
        (buffer, before)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<u8>>> {
        // The guarded value is whole after every statement.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes whose memory goes back to where it came from.
#[derive(Clone, Default)]
pub struct Buffer {
    bytes: Vec<u8>,
    home: Option<Buffers>,
}

debug_lengths!(Buffer {} lengths { bytes });

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.take()
            && (1..=home.largest).contains(&self.bytes.capacity())
        {
            let mut bytes = std::mem::take(&mut self.bytes);
            bytes.clear();
            home.lock().push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_goes_round_and_its_content_does_not() {
        let buffers = Buffers::new(100);
        let mut first = buffers.take(80);
        first.extend_from_slice(b"text");
        let memory = first.as_ptr();
        drop(first);
        let second = buffers.take(80);
        assert!(second.is_empty());
        assert_eq!(second.as_ptr(), memory);
        let third = buffers.take(80);
        assert_ne!(third.as_ptr(), memory, "one buffer has one owner");
    }

    #[test]
    fn a_page_begins_where_it_is_said_and_nothing_moves_it() {
        let buffers = Buffers::new(3 * PAGE);
        let (mut buffer, before) = buffers.take_page(2 * PAGE);
        buffer.extend_from_slice(&[1; 2 * PAGE]);
        let page = &buffer[before..];
        assert!(page.as_ptr().addr().is_multiple_of(PAGE));
        assert_eq!(page, [1; 2 * PAGE]);
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let buffers = Buffers::new(100);
        drop(buffers.take(101));
        assert!(buffers.lock().is_empty());
    }
}
