//! Growing tables that never move: memory grows by a segment, not by doubling, so that the bound
//! of bytes per row holds at every moment.

use std::ops::{Index, IndexMut};

const SEGMENT: usize = 1 << 12;

/// A list in segments of 4,096 items.
#[derive(Debug, Clone)]
pub struct SegmentedVec<T> {
    segments: Vec<Vec<T>>,
    len: usize,
}

impl<T> Default for SegmentedVec<T> {
    fn default() -> Self {
        Self {
            segments: Vec::new(),
            len: 0,
        }
    }
}

impl<T> SegmentedVec<T> {
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

impl<T> Index<usize> for SegmentedVec<T> {
    type Output = T;

    fn index(&self, at: usize) -> &T {
        &self.segments[at / SEGMENT][at % SEGMENT]
    }
}

impl<T> IndexMut<usize> for SegmentedVec<T> {
    fn index_mut(&mut self, at: usize) -> &mut T {
        &mut self.segments[at / SEGMENT][at % SEGMENT]
    }
}

/// Where a text lies in [`ByteArena`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    segment: u32,
    start: u32,
    length: u32,
}

/// ByteArena in a segment of [`ByteArena`]; a longer text gets a segment of its own.
const BYTES_SEGMENT: usize = 1 << 18;

/// Many short texts, one after the other.
#[derive(Debug, Clone, Default)]
pub struct ByteArena {
    segments: Vec<Vec<u8>>,
}

impl ByteArena {
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
        let mut items = SegmentedVec::default();
        let mut bytes = ByteArena::default();
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

    #[test]
    fn only_the_first_segment_grows() {
        let mut items = SegmentedVec::default();
        assert!(items.is_empty());
        items.push(0);
        assert!(!items.is_empty());
        assert!(items.segments[0].capacity() < SEGMENT, "small stays small");
        for i in 1..3 * SEGMENT {
            items.push(i);
        }
        let rooms: Vec<usize> = items.segments.iter().map(Vec::capacity).collect();
        assert_eq!(rooms, [SEGMENT; 3]);
        assert_eq!(
            (items.len(), items[3 * SEGMENT - 1]),
            (3 * SEGMENT, 3 * SEGMENT - 1)
        );
    }

    #[test]
    fn texts_share_a_segment_and_never_make_it_grow() {
        let mut bytes = ByteArena::default();
        let thousand = [b'x'; 1000];
        for _ in 0..262 {
            assert_eq!(bytes.push(&thousand).segment, 0);
        }
        // What is left is filled to the last byte, and then a new one begins.
        assert_eq!(bytes.push(&[b'y'; BYTES_SEGMENT % 1000]).segment, 0);
        assert_eq!(bytes.push(b"z").segment, 1);
        assert_eq!(bytes.push(&[b'l'; BYTES_SEGMENT + 1]).segment, 2);
        assert_eq!(bytes.push(b"").segment, 2);
        assert_eq!(bytes.push(b"z").segment, 3);
        let rooms: Vec<usize> = bytes.segments.iter().map(Vec::capacity).collect();
        let usual = BYTES_SEGMENT;
        assert_eq!(rooms, [usual, usual, usual + 1, usual]);
    }
}
