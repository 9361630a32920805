//! Rows whose fields have other names in the input (`[source.fields]`): written anew before anybody
//! reads them. They are no longer where they were, so they are spooled, and a conversation row is
//! written in the order of a record, as one from columns is.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use memchr::memchr;

use super::super::{BLOCK_BYTES, BlockReader, RowBlock, RowEncoding, RowLocation, SourceError};
use crate::domain::record::rename::Renames;
use crate::domain::record::row;

/// Renames the fields of what another reader reads.
pub struct RenamedReader {
    inner: Box<dyn BlockReader>,
    fields: Arc<Renames>,
    /// The lines of the block that is being written.
    lines: Vec<u8>,
}

impl RenamedReader {
    /// Reads what `inner` reads, under the names that gleaner knows.
    pub fn new(inner: Box<dyn BlockReader>, fields: Arc<Renames>) -> Self {
        Self {
            inner,
            fields,
            lines: Vec::new(),
        }
    }
}

impl BlockReader for RenamedReader {
    fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
        let more = self.inner.read_block(block)?;
        self.lines.clear();
        let mut rest = &block.bytes[..];
        let mut parsed = block.parsed.iter();
        while !rest.is_empty() {
            // A row whose length is known may have newlines between its tokens.
            let length = match parsed.next() {
                Some(parsed) => rest.len().min(parsed.length as usize),
                None => memchr(b'\n', rest).unwrap_or(rest.len()),
            };
            let (line, tail) = rest.split_at(length);
            let start = self.lines.len();
            self.fields.apply(row::trim(line), &mut self.lines);
            for byte in &mut self.lines[start..] {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
            rest = tail.get(1..).unwrap_or_default();
            if !tail.is_empty() {
                self.lines.push(b'\n');
            }
        }
        std::mem::swap(&mut block.bytes, &mut self.lines);
        block.parsed.clear();
        block.location = RowLocation::Spool;
        block.encoding = RowEncoding::Assembled;
        Ok(more)
    }

    fn memory(&self) -> u64 {
        BLOCK_BYTES as u64 + self.inner.memory()
    }

    fn stop_with(&mut self, stop: Arc<AtomicBool>) {
        self.inner.stop_with(stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::record::row::MalformedReason;
    use crate::source::{ParsedKind, ParsedRow, Reject};

    struct Once(Option<RowBlock>);

    impl BlockReader for Once {
        fn read_block(&mut self, block: &mut RowBlock) -> Result<bool, SourceError> {
            match self.0.take() {
                Some(rows) => *block = rows,
                None => return Ok(false),
            }
            Ok(true)
        }
    }

    fn renamed(rows: RowBlock) -> RowBlock {
        let pair = ("turnIndex".to_owned(), "n".to_owned());
        let fields = Arc::new(Renames::new([pair]).expect("good"));
        let mut reader = RenamedReader::new(Box::new(Once(Some(rows))), fields);
        let mut block = RowBlock::default();
        assert!(reader.read_block(&mut block).expect("good"));
        let mut after = RowBlock::default();
        assert!(!reader.read_block(&mut after).expect("good"));
        assert!(after.bytes.is_empty());
        block
    }

    #[test]
    fn lines_stay_lines_and_are_spooled() {
        let reject = Reject {
            line: 9,
            reason: MalformedReason::TooLarge,
            id: None,
        };
        let block = renamed(RowBlock {
            bytes: b" {\"n\":1}\r\n\n \nnot {\n{\"n\": 2}".to_vec(),
            location: RowLocation::InFile { file: 1, offset: 7 },
            first_line: 4,
            rejects: vec![reject.clone()],
            ..RowBlock::default()
        });
        let text = String::from_utf8_lossy(&block.bytes).into_owned();
        assert_eq!(text, "{\"turnIndex\":1}\n\n\nnot {\n{\"turnIndex\":2}");
        assert_eq!(
            (block.location, block.encoding),
            (RowLocation::Spool, RowEncoding::Assembled)
        );
        assert_eq!((block.first_line, block.rejects), (4, vec![reject]));
    }

    #[test]
    fn a_row_over_several_lines_becomes_one_line() {
        let rows = ["{\n\"n\": 1,\n\"x\": [\n1]}", "{\"n\":2}"];
        let parsed = |row: &str| ParsedRow {
            length: row.len() as u32,
            id: Box::default(),
            kind: ParsedKind::Unread,
        };
        let block = renamed(RowBlock {
            bytes: rows.join("\n").into_bytes(),
            parsed: rows.map(parsed).into(),
            ..RowBlock::default()
        });
        let text = String::from_utf8_lossy(&block.bytes).into_owned();
        assert_eq!(text, "{\"turnIndex\":1,\"x\":[ 1]}\n{\"turnIndex\":2}");
        assert!(block.parsed.is_empty());
    }
}
