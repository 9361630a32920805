//! An answer gives the same rows, or is refused with the same action, however it is cut. The first
//! two bytes say where.
#![no_main]

use gleaner::domain::json::Value;
use gleaner::domain::record::row::MalformedReason;
use gleaner::source::kusto::error::Failure;
use gleaner::source::kusto::frames::{Column, FrameReader, TableSink};
use libfuzzer_sys::fuzz_target;

#[derive(Default, PartialEq, Debug)]
struct Rows(Vec<Vec<u8>>);

impl TableSink for Rows {
    fn columns(&mut self, columns: &[Column]) -> Result<(), Failure> {
        self.0.push(format!("{columns:?}").into_bytes());
        Ok(())
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Failure> {
        self.0.extend(cells.iter().map(|cell| cell.text.to_vec()));
        Ok(())
    }

    fn reject(&mut self, cells: &[Value<'_>], reason: MalformedReason) -> Result<(), Failure> {
        self.0
            .push(format!("{} {reason:?}", cells.len()).into_bytes());
        Ok(())
    }
}

fn read<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Rows, String> {
    let mut rows = Rows::default();
    let mut reader = FrameReader::new(4096);
    let result = pieces
        .map(|piece| reader.push(piece, &mut rows))
        .collect::<Result<(), _>>()
        .and_then(|()| reader.finish(&mut rows));
    result.map_err(|failure| format!("{:?}", failure.action()))?;
    Ok(rows)
}

fuzz_target!(|input: &[u8]| {
    let Some((&[piece, first], answer)) = input.split_first_chunk() else {
        return;
    };
    let (head, tail) = answer.split_at(answer.len().min(usize::from(first)));
    let cut = [head]
        .into_iter()
        .chain(tail.chunks(usize::from(piece) + 1));
    assert_eq!(read([answer].into_iter()), read(cut));
});
