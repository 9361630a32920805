//! Growing tables that never move: memory grows by a segment, not by doubling, so that the bound
//! of bytes per row (promise P6) holds at every moment.

use std::ops::{Index, IndexMut};

const SEGMENT: usize = 1 << 12;

/// A list in segments of 4,096 items.
#[derive(Debug, Clone)]
pub struct Segments<T> {
    segments: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for Segments<T> {
    fn default() -> Self {
        Self {
            segments: Vec::new(),
            len: 0,
        }
    }
}

impl<T> Segments<T> {
    /// How many items there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Appends an item.
    pub fn push(&mut self, item: T) {
        if self.len.is_multiple_of(SEGMENT) {
            // The first segment grows as a plain vector does: small tables stay small.
            let first = if self.len == 0 { 0 } else { SEGMENT };
            self.segments.push(Vec::with_capacity(first));
        }
        self.segments[self.len / SEGMENT].push(item);
        self.len += 1;
    }
}

impl<T> Index<usize> for Segments<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.segments[at / SEGMENT][at % SEGMENT]
    }
}

impl<T> IndexMut<usize> for Segments<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.segments[at / SEGMENT][at % SEGMENT]
    }
}

/// Where a text lies in [`Bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    segment: u32,
    start: u32,
    length: u32,
}

/// Bytes in a segment of [`Bytes`]; a longer text gets a segment of its own.
const BYTES_SEGMENT: usize = 1 << 18;

/// Many short texts, one after the other.
#[derive(Debug, Clone, Default)]
pub struct Bytes {
    segments: Vec<Vec<u8>>,
}

impl Bytes {
    /// Appends a text of less than 4 GiB.
    pub fn push(&mut self, text: &[u8]) -> Span {
        let fits = self
            .segments
            .last()
            .is_some_and(|last| last.capacity() - last.len() >= text.len());
        if !fits {
            self.segments
                .push(Vec::with_capacity(text.len().max(BYTES_SEGMENT)));
        }
        let segment = self.segments.len() - 1;
        let start = self.segments[segment].len();
        self.segments[segment].extend_from_slice(text);
        Span {
            segment: segment as u32,
            start: start as u32,
            length: text.len() as u32,
        }
    }

    /// The text of a span.
    pub fn get(&self, span: Span) -> &[u8] {
        let start = span.start as usize;
        &self.segments[span.segment as usize][start..start + span.length as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_and_texts_are_found_again_across_segments() {
        let mut items = Segments::default();
        let mut bytes = Bytes::default();
        let mut spans = Vec::new();
        for i in 0..20_000u32 {
            items.push(i);
            spans.push(bytes.push(format!("text {i}").repeat(i as usize % 7).as_bytes()));
        }
        let long = vec![b'x'; 1 << 20];
        let long_span = bytes.push(&long);
        items[7] = 70;
        assert_eq!((items.len(), items[7], items[19_999]), (20_000, 70, 19_999));
        for (i, span) in spans.iter().enumerate() {
            assert_eq!(
                bytes.get(*span),
                format!("text {i}").repeat(i % 7).as_bytes()
            );
        }
        assert_eq!(bytes.get(long_span), long);
    }
}
