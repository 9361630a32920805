//! Arrays in every layout, whole and broken, at once and in pieces.

use std::io::{self, Read};

use proptest::prelude::*;

use super::*;

/// Gives a few bytes at a time.
pub struct Slowly<'a> {
    pub bytes: &'a [u8],
    pub piece: usize,
}

impl Read for Slowly<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.piece.min(self.bytes.len()).min(buffer.len());
        buffer[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes = &self.bytes[n..];
        Ok(n)
    }
}

/// Rows with their numbers, and rejects.
pub type Found = (Vec<(u64, String)>, Vec<Reject>);

/// All that a reader gives.
pub fn read_all(mut reader: impl BlockReader) -> Result<Found, String> {
    let mut block = RowBlock::default();
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    loop {
        block.clear();
        if !reader
            .read_block(&mut block)
            .map_err(|error| error.to_string())?
        {
            return Ok((rows, rejects));
        }
        let mut line = block.first_line;
        for row in String::from_utf8_lossy(&block.bytes).lines() {
            while block.rejects.iter().any(|reject| reject.line == line) {
                line += 1;
            }
            rows.push((line, row.to_owned()));
            line += 1;
        }
        rejects.append(&mut block.rejects);
    }
}

fn read_up_to(text: &[u8], max_record: u64) -> Result<Found, String> {
    let input = Slowly {
        bytes: text,
        piece: 1000,
    };
    let input = Input::new(input, "a.json".into());
    read_all(ArrayReader::new(input, RowLimits::of(max_record)))
}

fn read(text: &str) -> Result<Vec<String>, String> {
    let (rows, rejects) = read_up_to(text.as_bytes(), 1 << 20)?;
    assert!(rejects.is_empty(), "{rejects:?}");
    assert!(rows.iter().zip(1..).all(|((line, _), n)| *line == n));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

#[test]
fn elements_in_any_layout_become_lines() {
    let ab = [r#"{"a":"]\"},{ \\"}"#, r#"{"b":[1,{}]}"#];
    for (text, rows) in [
        ("[]", &[][..]),
        (" \r\n[\n]\n", &[]),
        (r#"[{"a":"]\"},{ \\"},{"b":[1,{}]}]"#, &ab),
        (
            "\u{feff}[{\"a\":\"]\\\"},{ \\\\\"}\n,\n{\"b\":[1,{}]}\n]\n\n",
            &ab,
        ),
        (
            "[\n{\n  \"a\" :\n\"]\\\"},{ \\\\\"\r\n},\t{\n\"b\": [ 1,\n{ } ] }]",
            &ab,
        ),
        // Byte for byte, but for the white space of one that spans lines.
        (
            "[ {\"a\" : 1 } , { \"b\":\n 1 } ]",
            &[r#"{"a" : 1 }"#, r#"{"b":1}"#],
        ),
        // JSON that is no row is malformed where rows are read.
        (
            "[1,\n\"x\",null,[2],true ,-1e5]",
            &["1", "\"x\"", "null", "[2]", "true", "-1e5"],
        ),
    ] {
        assert_eq!(read(text).expect("whole"), rows, "{text}");
    }
}

#[test]
fn what_is_no_array_any_more_is_damage_that_names_the_place() {
    for (text, what, byte) in [
        ("[{\"a\":1}", "cut off", 8),
        ("[{\"a\":1},", "cut off", 9),
        ("[{\"a\":1},\n{\"b\":", "cut off", 15),
        ("[{\"a\":1},{\"b\":\"x", "cut off", 16),
        ("[", "cut off", 1),
        ("[{\"a\":1}{\"b\":1}]", "comma", 8),
        ("[{\"a\":1},,{\"b\":1}]", "not JSON", 9),
        ("[{\"a\":1},]", "not JSON", 9),
        ("[,{\"a\":1}]", "not JSON", 1),
        ("[{\"a\":1}]\n{\"b\":1}", "behind", 10),
        ("[{\"a\":1}]]", "behind", 9),
        ("[{\"a\":tru},{\"b\":1}]                 ", "not JSON", 6),
        ("[{\"a\":[1},{\"b\":1}]                 ", "not JSON", 8),
        ("[{\"a\":\"x\n\"},{\"b\":1}]              ", "not JSON", 8),
    ] {
        let error = read(text).expect_err(text);
        assert!(error.starts_with("a.json is damaged: "), "{error}");
        assert!(error.contains(what), "{text}: {error}");
        assert!(
            error.contains(&format!("at byte {byte},")),
            "{text}: {error}"
        );
    }
}

#[test]
fn an_element_too_large_is_rejected_with_its_id_and_reading_goes_on() {
    let id = r#""conversationId":"a""#;
    let fit = format!("{{{id},\"x\":\"{}\"}}", "x".repeat(1000));
    let max = fit.len() as u64;
    let deep = format!("{{{id},\"x\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for more in [1, 3000, 3 * BLOCK_BYTES] {
        let large = format!("{{{id},\"x\":\"]\\\"{}\"}}", "x".repeat(1000 + more));
        let scalar = format!("\"{}\\\"\"", "y".repeat(2000 + more));
        let number = "1".repeat(2000 + more);
        let text = format!("[{fit},{large},{large},\n{deep},{scalar} ,{number},{fit}\n]");
        let (rows, rejects) = read_up_to(text.as_bytes(), max).expect("whole");
        assert!(rows == [(1, fit.clone()), (4, deep.clone()), (7, fit.clone())]);
        let a = Some(b"a"[..].into());
        let expected = [(2, a.clone()), (3, a), (5, None), (6, None)].map(|(line, id)| Reject {
            line,
            reason: MalformedReason::TooLarge,
            id,
        });
        assert_eq!(rejects, expected);
        let cut = &text[..text.len() - fit.len() - number.len() - 10];
        let error = read_up_to(cut.as_bytes(), max).expect_err("cut");
        assert!(error.contains("cut off"), "{error}");
    }
}

#[test]
fn bytes_that_are_not_utf8_stay_for_the_reader_of_the_row() {
    let text = b"[{\"a\":\"\xff\"},\n{\"b\":1}]";
    let (rows, _) = read_up_to(text, 100).expect("whole");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1].1, r#"{"b":1}"#);
}

proptest! {
    #[test]
    fn every_element_is_a_row_however_it_is_laid_out(
        sizes in prop::collection::vec(0usize..200_000, 0..12),
        space in "[ \n\t]{0,4}",
    ) {
        let rows: Vec<String> = sizes.iter().map(|n| format!(r#"{{"n":{n},"x":"{}"}}"#, "é".repeat(*n))).collect();
        let text = format!("{space}[{space}{}{space}]{space}", rows.join(&format!("{space},{space}")));
        prop_assert_eq!(read(&text).expect("whole"), rows);
    }
}
