//! Where the strings of a text end, found 64 bytes at a time.
//!
//! A window of the text becomes a handful of bit masks, a bit a byte: which quotes are no escaped
//! ones, which bytes lie within strings, which of those may not be there. So a string costs the
//! taking of two bits, however long it is and however many escapes it has. The masks of escapes and
//! of what is inside strings are those of simdjson (Langdale and Lemire, "Parsing gigabytes of JSON
//! per second", 2019, section 3.1).
//!
//! Windows are looked at in order and once; every quote outside strings must be taken in order too,
//! which a scanner does: any other byte there is part of a token that it reads.

use wide::u8x16;

/// Bytes in a window: as many as a mask has bits.
const WINDOW: usize = 64;

/// The strings of a text, up to a cursor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strings {
    /// The first byte that is in no window yet.
    loaded: usize,
    /// Quotes of the last window that begin or end a string and are still ahead.
    quotes: u64,
    /// Backslashes of the last window.
    backslashes: u64,
    /// The byte behind the last backslash of the windows before; 0: there was none.
    behind_backslash: usize,
    /// Bit 0: whether the byte behind the last window is escaped.
    escaped_next: u64,
    /// The first byte within a string that may not stand there.
    fault: usize,
    surrogates: bool,
    /// Whether a window had a byte below U+0020.
    controls: bool,
}

impl Strings {
    pub const fn new() -> Self {
        Self {
            loaded: 0,
            quotes: 0,
            backslashes: 0,
            behind_backslash: 0,
            escaped_next: 0,
            fault: usize::MAX,
            surrogates: false,
            controls: false,
        }
    }

    /// The byte behind the string whose opening quote is at `at`; or where it is wrong.
    #[inline(always)]
    pub fn end(&mut self, text: &[u8], at: usize) -> Result<usize, usize> {
        if self.next_quote::<false>(text) != Some(at) {
            return Err(at);
        }
        match self.next_quote::<true>(text) {
            Some(end) if end < self.fault => Ok(end + 1),
            _ => Err(self.fault.min(text.len())),
        }
    }

    /// Whether there is a backslash in `start..end`, all of which was passed, and nothing behind the
    /// window that `end` is in.
    #[inline(always)]
    pub fn has_escape(&self, start: usize, end: usize) -> bool {
        let window = self.loaded - WINDOW.min(self.loaded);
        let ahead = (u64::MAX << 1) << end.saturating_sub(window + 1).min(WINDOW - 1);
        let passed = self.backslashes & !ahead;
        let last = match passed {
            0 => self.behind_backslash,
            _ => window + WINDOW - passed.leading_zeros() as usize,
        };
        last > start
    }

    /// Whether a window so far has an escape of half a surrogate pair.
    pub fn saw_surrogates(&self) -> bool {
        self.surrogates
    }

    /// Whether a window up to the one that `at` is in has a byte below U+0020; `at` is in no string.
    pub fn saw_controls(&mut self, text: &[u8], at: usize) -> bool {
        // There are no quotes before it that were not taken.
        while self.loaded < at {
            self.load::<false>(text);
        }
        self.controls
    }

    /// The byte behind the container whose bracket is at `at`; `None` if it has no end. Only for a
    /// text that was checked before: counts brackets outside strings, and looks at nothing else.
    pub fn container_end(&mut self, text: &[u8], at: usize) -> Option<usize> {
        // There are no quotes before it.
        while self.loaded <= at {
            self.load::<false>(text);
        }
        let mut depth = 0;
        let mut inside = 0;
        let mut ahead = u64::MAX << (at % WINDOW);
        loop {
            let start = self.loaded - WINDOW;
            let strings = prefix_xor(self.quotes) ^ inside;
            let (open, close) = with_window(text, start, brackets);
            let (mut open, mut close) = (open & ahead & !strings, close & ahead & !strings);
            while close != 0 {
                let bit = close & close.wrapping_neg();
                depth += (open & (bit - 1)).count_ones();
                open &= !(bit - 1);
                close &= close - 1;
                depth -= 1;
                if depth == 0 {
                    self.quotes &= !(bit - 1);
                    return Some(start + bit.trailing_zeros() as usize + 1);
                }
            }
            depth += open.count_ones();
            if self.loaded >= text.len() {
                return None;
            }
            inside = 0u64.wrapping_sub(strings >> 63);
            ahead = u64::MAX;
            match inside {
                0 => self.load::<false>(text),
                _ => self.load::<true>(text),
            }
        }
    }

    /// Takes the next quote; `INSIDE`: it is to end a string.
    #[inline(always)]
    fn next_quote<const INSIDE: bool>(&mut self, text: &[u8]) -> Option<usize> {
        while self.quotes == 0 {
            if self.loaded >= text.len() {
                return None;
            }
            self.load::<INSIDE>(text);
        }
        let at = self.loaded - WINDOW + self.quotes.trailing_zeros() as usize;
        self.quotes &= self.quotes - 1;
        Some(at)
    }

    /// Looks at the next window, which begins within a string if `INSIDE`. What a text is too
    /// short for counts as spaces.
    #[inline]
    fn load<const INSIDE: bool>(&mut self, text: &[u8]) {
        with_window(text, self.loaded, |window| {
            self.look::<INSIDE>(text, window);
        });
    }

    #[inline(always)]
    fn look<const INSIDE: bool>(&mut self, text: &[u8], window: &[u8; WINDOW]) {
        let backslash = eq(window, b'\\');
        if self.backslashes != 0 {
            self.behind_backslash = self.loaded - self.backslashes.leading_zeros() as usize;
        }
        self.backslashes = backslash;
        let quote = eq(window, b'"');
        let escaped = self.escaped(backslash);
        self.quotes = quote & !escaped;
        // Nearly all escapes there are.
        let mut faults = escaped & !(quote | backslash | eq(window, b'n'));
        if faults != 0 {
            faults = self.faulty_escapes(text, window, faults);
        }
        if has_control(window) {
            self.controls = true;
            let before = 0u64.wrapping_sub(u64::from(INSIDE));
            faults |= control(window) & (prefix_xor(self.quotes) ^ before);
        }
        if faults != 0 {
            let at = self.loaded + faults.trailing_zeros() as usize;
            self.fault = self.fault.min(at);
        }
        self.loaded += WINDOW;
    }

    /// Which bytes of a window have an odd number of backslashes before them.
    #[inline(always)]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        if backslash == 0 {
            return std::mem::take(&mut self.escaped_next);
        }
        let first = backslash & !self.escaped_next;
        // A run of backslashes carries into the byte behind it; its parity tells whether that one
        // or the one before is the escaped one.
        let codes = ((first << 1) | ODD).wrapping_sub(first) ^ ODD;
        let escaped = codes ^ (backslash | self.escaped_next);
        self.escaped_next = (codes & backslash) >> 63;
        escaped
    }

    /// Which of the escaped bytes make no escape.
    #[inline(never)]
    fn faulty_escapes(&mut self, text: &[u8], window: &[u8; WINDOW], escaped: u64) -> u64 {
        let mut faults = escaped & !escapable(window);
        let mut unicode = escaped & eq(window, b'u');
        while unicode != 0 {
            let bit = unicode.trailing_zeros() as usize;
            let at = self.loaded + bit + 1;
            match text.get(at..at + 4) {
                Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => {
                    self.surrogates |= matches!(hex, [b'd' | b'D', second, ..] if *second >= b'8');
                }
                _ => faults |= 1 << bit,
            }
            unicode &= unicode - 1;
        }
        faults
    }
}

/// The window that begins at `start`; what the text is too short for is spaces.
#[inline(always)]
fn with_window<T>(text: &[u8], start: usize, look: impl FnOnce(&[u8; WINDOW]) -> T) -> T {
    let rest = &text[start..];
    match rest.first_chunk() {
        Some(window) => look(window),
        None => {
            let mut padded = [b' '; WINDOW];
            padded[..rest.len()].copy_from_slice(rest);
            look(&padded)
        }
    }
}

/// Opening and closing brackets of objects and arrays.
#[inline(always)]
fn brackets(window: &[u8; WINDOW]) -> (u64, u64) {
    // `[` and `{`, `]` and `}` differ in this bit only.
    let either = |byte| move |part: u8x16| (part | u8x16::splat(0x20)).simd_eq(u8x16::splat(byte));
    (mask(window, either(b'{')), mask(window, either(b'}')))
}

/// Whether a window has a byte below U+0020.
#[inline(always)]
fn has_control(window: &[u8; WINDOW]) -> bool {
    let (parts, _) = window.as_chunks::<16>();
    let [a, b, c, d] = [0, 1, 2, 3].map(|part| u8x16::new(parts[part]));
    let least = a.min(b).min(c.min(d));
    is_control(least).to_bitmask() != 0
}

/// Bytes below U+0020.
fn control(window: &[u8; WINDOW]) -> u64 {
    mask(window, is_control)
}

#[inline(always)]
fn is_control(part: u8x16) -> u8x16 {
    part.simd_eq(part.min(u8x16::splat(0x1f)))
}

#[inline(always)]
fn eq(window: &[u8; WINDOW], byte: u8) -> u64 {
    mask(window, |part| part.simd_eq(u8x16::splat(byte)))
}

/// Bytes that may follow a backslash.
#[inline(always)]
fn escapable(window: &[u8; WINDOW]) -> u64 {
    mask(window, |part| {
        b"\\/bfnrtu"
            .iter()
            .fold(part.simd_eq(u8x16::splat(b'"')), |found, &byte| {
                found | part.simd_eq(u8x16::splat(byte))
            })
    })
}

#[inline(always)]
fn mask(window: &[u8; WINDOW], test: impl Fn(u8x16) -> u8x16) -> u64 {
    let (parts, _) = window.as_chunks::<16>();
    let bits = |part: &[u8; 16]| u64::from(test(u8x16::new(*part)).to_bitmask());
    bits(&parts[0]) | bits(&parts[1]) << 16 | bits(&parts[2]) << 32 | bits(&parts[3]) << 48
}

/// Bit `i` of the result is the parity of the bits up to `i`.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Where a string ends and whether it has an escape, byte by byte; `None` if it is wrong.
    fn end_of_string(text: &[u8], at: usize) -> Option<(usize, bool)> {
        let (mut next, mut escaped) = (at + 1, false);
        loop {
            next += match text.get(next)? {
                b'"' => return Some((next + 1, escaped)),
                b'\\' => {
                    escaped = true;
                    match text.get(next + 1)? {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
                        b'u' => {
                            let hex = text.get(next + 2..next + 6)?;
                            hex.iter().all(u8::is_ascii_hexdigit).then_some(6)?
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => 1,
            };
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn strings_end_where_they_end_byte_by_byte(
            strings in prop::collection::vec(
                (
                    "[ ,]{0,70}",
                    prop::collection::vec(
                        prop_oneof![
                            30 => "[a-zé]{0,9}",
                            9 => r#"\\[\\"/bfnrt]"#,
                            3 => r"\\u[0-9a-f]{4}",
                            1 => r"\\{1,80}",
                            1 => r"\\u[0-9a-g]{3}",
                            1 => "[\\x00-\\x1f]?",
                        ],
                        0..30,
                    ),
                ),
                1..6,
            ),
        ) {
            let text: String = strings
                .iter()
                .map(|(gap, body)| format!("{gap}\"{}\"", body.concat()))
                .collect();
            let text = text.as_bytes();
            let mut strings = Strings::new();
            let mut at = 0;
            while let Some(open) = text[at..].iter().position(|&byte| byte == b'"') {
                let open = at + open;
                if !text[at..open].iter().all(|byte| b" ,".contains(byte)) {
                    // Nothing but white space and tokens lies between strings.
                    break;
                }
                let expected = end_of_string(text, open);
                let found = strings.end(text, open).ok();
                prop_assert_eq!(found, expected.map(|(end, _)| end));
                let Some((end, escaped)) = expected else { break };
                prop_assert_eq!(strings.has_escape(open, end), escaped);
                at = end;
            }
        }
    }

    #[test]
    fn half_a_pair_is_noticed() {
        for (text, seen) in [
            (r#""\ud83d""#, true),
            (r#""\uDe42""#, true),
            (r#""\u0041""#, false),
            (r#""\\ud83d""#, false),
        ] {
            let mut strings = Strings::new();
            assert_eq!(strings.end(text.as_bytes(), 0), Ok(text.len()));
            assert_eq!(strings.saw_surrogates(), seen, "{text}");
        }
    }

    #[test]
    fn new_lines_between_values_are_noticed_whatever_is_around() {
        for before in 0..3 * WINDOW {
            for (string, space) in [("", ""), ("\"a\",", "\t"), ("", "\n"), ("\"\\n\",", "\r")] {
                let digits = "1".repeat(before);
                let text = format!("{string}{digits}{space}{}", "2".repeat(2 * WINDOW));
                let mut strings = Strings::new();
                if !string.is_empty() {
                    let end = string.len() - 1;
                    assert_eq!(strings.end(text.as_bytes(), 0), Ok(end));
                }
                let at = text.len() - 2 * WINDOW;
                let seen = strings.saw_controls(text.as_bytes(), at);
                assert_eq!(seen, !space.is_empty(), "{text}");
            }
        }
    }

    #[test]
    fn an_escape_ahead_was_not_passed() {
        // Wherever in their windows the first string ends and the escape in the second one lies.
        for plain in 0..2 * WINDOW {
            for ahead in 0..2 * WINDOW {
                let text = format!(r#""{}","{}\n""#, "a".repeat(plain), "b".repeat(ahead));
                let mut strings = Strings::new();
                let end = plain + 2;
                assert_eq!(strings.end(text.as_bytes(), 0), Ok(end));
                assert!(!strings.has_escape(0, end), "{text}");
                assert_eq!(strings.end(text.as_bytes(), end + 1), Ok(text.len()));
                assert!(strings.has_escape(end + 1, text.len()), "{text}");
            }
        }
    }

    #[test]
    fn between_strings_there_may_be_new_lines_wherever_a_string_has_ended() {
        for length in 0..3 * WINDOW {
            let string = format!("\"{}\"", "a".repeat(length));
            let text = format!("{string}\n\t,\r{string}\n");
            let mut strings = Strings::new();
            let end = string.len();
            assert_eq!(strings.end(text.as_bytes(), 0), Ok(end), "{length}");
            let (start, end) = (end + 4, text.len() - 1);
            assert_eq!(strings.end(text.as_bytes(), start), Ok(end), "{length}");
        }
    }
}
