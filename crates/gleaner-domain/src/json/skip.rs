//! Passing over a value that is too large to be held, piece by piece.
//!
//! Only its structure is looked at: strings, and that every bracket is closed by its own kind.

/// Levels whose brackets are held against each other; those nested deeper are only counted.
const TYPED: u32 = u128::BITS;

/// The bytes do not go on as a value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAValue {
    /// Which byte of the piece.
    pub at: usize,
}

/// A value that is passed over. It is fed with the pieces of the text from its first byte on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skip {
    depth: u32,
    /// For every open container, outermost first, whether it is an object.
    objects: u128,
    begun: bool,
    string: bool,
    escape: bool,
}

impl Skip {
    /// Passes a piece; where the value ends in it, if it does. A number or a word ends before
    /// the first byte that is no part of one.
    ///
    /// # Errors
    /// If the value's structure is broken.
    pub fn end(&mut self, piece: &[u8]) -> Result<Option<usize>, NotAValue> {
        for (at, &byte) in piece.iter().enumerate() {
            let begun = std::mem::replace(&mut self.begun, true);
            match byte {
                _ if self.escape => self.escape = false,
                b'\\' if self.string => self.escape = true,
                b'"' if self.string || !begun || self.depth > 0 => {
                    self.string = !self.string;
                    if !self.string && self.depth == 0 {
                        return Ok(Some(at + 1));
                    }
                }
                0..b' ' if self.string => return Err(NotAValue { at }),
                _ if self.string => {}
                b'{' | b'[' if self.depth > 0 || !begun => self.open(byte == b'{'),
                b'}' | b']' if self.depth > 0 => {
                    if !self.close(byte == b'}') {
                        return Err(NotAValue { at });
                    }
                    if self.depth == 0 {
                        return Ok(Some(at + 1));
                    }
                }
                b'0'..=b'9' | b'a'..=b'z' | b'E' | b'+' | b'-' | b'.' => {}
                _ if self.depth > 0 => {}
                _ if begun => return Ok(Some(at)),
                _ => return Err(NotAValue { at }),
            }
        }
        Ok(None)
    }

    fn open(&mut self, object: bool) {
        if self.depth < TYPED {
            let bit = 1 << self.depth;
            self.objects = (self.objects & !bit) | if object { bit } else { 0 };
        }
        self.depth = self.depth.saturating_add(1);
    }

    /// Closes the innermost container; whether it is of this kind.
    fn close(&mut self, object: bool) -> bool {
        self.depth -= 1;
        self.depth >= TYPED || (self.objects >> self.depth & 1 == 1) == object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn skip(text: &str, piece: usize) -> Result<Option<usize>, usize> {
        let mut skip = Skip::default();
        let mut before = 0;
        for piece in text.as_bytes().chunks(piece) {
            match skip.end(piece) {
                Ok(None) => before += piece.len(),
                Ok(Some(end)) => return Ok(Some(before + end)),
                Err(error) => return Err(before + error.at),
            }
        }
        Ok(None)
    }

    #[test]
    fn a_value_ends_where_its_structure_does_in_pieces_of_any_size() {
        let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
        for value in [
            r#"{"a":[{"b":"}]\"\\"},[]],"c":1}"#,
            r#""a\"]""#,
            "-1.5e+3",
            "null",
            &deep,
        ] {
            for behind in [",", "]", " ", "}"] {
                let text = format!("{value}{behind}{{}}");
                for piece in [1, 2, 7, 4096] {
                    assert_eq!(skip(&text, piece), Ok(Some(value.len())), "{text}");
                }
            }
        }
        for open in [r#"{"a":1"#, r#""a\""#, "1", "[[]"] {
            assert_eq!(skip(open, 2), Ok(None), "{open}");
        }
    }

    #[test]
    fn brackets_that_do_not_match_and_line_breaks_in_strings_are_errors() {
        for (text, at) in [
            (r#"{"a":[1}]"#, 7),
            ("[}", 1),
            ("{\"a\n\":1}", 3),
            (",", 0),
            ("}", 0),
        ] {
            for piece in [1, 4096] {
                assert_eq!(skip(text, piece), Err(at), "{text}");
            }
        }
    }
}
