//! A strict JSON scanner: checks every byte against RFC 8259 and reports where things are.
//!
//! It exists because of the promise that every row is checked in full, also those that are not
//! chosen, at the speed of reading: it builds nothing, unescapes nothing, and never recurses (a row
//! nested 100,000 deep is an error, not a stack overflow). It accepts exactly what `serde_json`
//! accepts, up to the depth limit and the range of numbers; a property test holds it against that.
//! UTF-8 is not its business: callers check whole blocks with `simdutf8` first.

use thiserror::Error;

mod strings;

use strings::Strings;

/// A row's own object is depth 1; values nested deeper than this are refused.
pub const MAX_DEPTH: u32 = 128;

/// What is wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JsonError {
    /// Not JSON, from about this offset on.
    #[error("not JSON at byte {0}")]
    Syntax(usize),
    /// Nested too deep.
    #[error("nested deeper than {MAX_DEPTH}")]
    TooDeep,
}

/// The kind of a value, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `{}`
    Object,
    /// `[]`
    Array,
    /// `""`
    String,
    /// Any number.
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A checked value: its text as it stands, without the white space around.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text; a string with its quotes.
    pub text: &'a [u8],
    /// Whether a string in it has an escape.
    pub escaped: bool,
}

impl<'a> Value<'a> {
    /// A string's content between the quotes, escapes as they are; `None` for other kinds.
    pub fn string_body(&self) -> Option<&'a [u8]> {
        (self.kind == Kind::String).then(|| &self.text[1..self.text.len() - 1])
    }
}

/// A position in a text.
#[derive(Debug, Clone)]
pub struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    depth: u32,
    max_depth: u32,
    /// For every open container, from depth 1 on, whether it is an object.
    objects: [u64; 3],
    strings: Strings,
    /// Whether the text was checked before.
    checked: bool,
}

impl<'a> Scanner<'a> {
    /// Starts before a text.
    pub fn new(text: &'a [u8]) -> Self {
        Self::with_max_depth(text, MAX_DEPTH)
    }

    /// Starts before a text that may be nested deeper: an assembled record adds two levels.
    pub fn with_max_depth(text: &'a [u8], max_depth: u32) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            max_depth: max_depth.min(DEPTH_BITS - 1),
            objects: [0; 3],
            strings: Strings::new(),
            checked: false,
        }
    }

    /// Starts before a text that was checked before: objects and arrays are passed by their
    /// brackets, without another look at what is in them. How deep they are was checked too.
    pub fn of_checked(text: &'a [u8]) -> Self {
        Self {
            checked: true,
            ..Self::with_max_depth(text, DEPTH_BITS)
        }
    }

    /// Where the scanner stands.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Whether a string so far has a `\ud800` to `\udfff` escape: only then can one be alone. A
    /// string that lies a little ahead may count already.
    pub fn saw_surrogates(&self) -> bool {
        self.strings.saw_surrogates()
    }

    /// Whether there may be white space other than blanks in what was passed: new lines, above all.
    /// Some that lies a little ahead may count already.
    pub fn saw_controls(&mut self) -> bool {
        self.strings.saw_controls(self.text, self.at)
    }

    /// The container that another scanner of the same text has passed since it stood where this
    /// one stands.
    pub fn passed(&mut self, after: &Self) -> Value<'a> {
        let kind = match self.peek() {
            Some(b'{') => Kind::Object,
            _ => Kind::Array,
        };
        Value {
            kind,
            text: &self.text[self.at..after.at],
            escaped: false,
        }
    }

    fn error<T>(&self) -> Result<T, JsonError> {
        Err(JsonError::Syntax(self.at))
    }

    /// The next byte that is not white space, not consumed.
    #[inline]
    fn peek(&mut self) -> Option<u8> {
        while let Some(&byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// The kind of the next value.
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => self.error(),
        }
    }

    /// Only white space may follow.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => self.error(),
        }
    }

    /// Enters an object, whose next byte must be `{`.
    pub fn open_object(&mut self) -> Result<(), JsonError> {
        self.open(b'{')
    }

    /// Enters an array, whose next byte must be `[`.
    pub fn open_array(&mut self) -> Result<(), JsonError> {
        self.open(b'[')
    }

    fn open(&mut self, bracket: u8) -> Result<(), JsonError> {
        if self.peek() != Some(bracket) {
            return self.error();
        }
        if self.depth == self.max_depth {
            return Err(JsonError::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if bracket == b'{' {
            self.objects[word as usize] |= bit;
        } else {
            self.objects[word as usize] &= !bit;
        }
        Ok(())
    }

    fn in_object(&self) -> bool {
        self.objects[(self.depth / 64) as usize] & 1 << (self.depth % 64) != 0
    }

    /// The next key of the object that the scanner is in (`first`: right after `open_object`);
    /// `None` when the object has ended. The scanner then stands before the key's value.
    pub fn next_key(&mut self, first: bool) -> Result<Option<Value<'a>>, JsonError> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !first => self.at += 1,
            Some(b'"') if first => {}
            _ => return self.error(),
        }
        if self.peek() != Some(b'"') {
            return self.error();
        }
        let start = self.at;
        self.string()?;
        let key = Value {
            kind: Kind::String,
            text: &self.text[start..self.at],
            escaped: self.strings.has_escape(start, self.at),
        };
        if self.peek() != Some(b':') {
            return self.error();
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array that the scanner is in has another element (`first`: right after
    /// `open_array`). The scanner then stands before it.
    pub fn next_element(&mut self, first: bool) -> Result<bool, JsonError> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                match self.peek() {
                    Some(b']') | None => self.error(),
                    Some(_) => Ok(true),
                }
            }
            Some(_) if first => Ok(true),
            _ => self.error(),
        }
    }

    /// Checks and passes the next value, whatever it is.
    pub fn value(&mut self) -> Result<Value<'a>, JsonError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::String => self.string()?,
            Kind::Number | Kind::Bool | Kind::Null => self.scalar()?,
            Kind::Object | Kind::Array if self.checked => self.checked_container()?,
            Kind::Object | Kind::Array => self.container()?,
        }
        Ok(Value {
            kind,
            text: &self.text[start..self.at],
            escaped: self.strings.has_escape(start, self.at),
        })
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), JsonError> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.error()
        }
    }

    /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?`
    fn number(&mut self) -> Result<(), JsonError> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        match self.text.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits(),
            _ => return self.error(),
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) {
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        self.digits();
        if self.at == start {
            self.error()
        } else {
            Ok(())
        }
    }

    /// Passes a string whose opening quote is next.
    #[inline]
    fn string(&mut self) -> Result<(), JsonError> {
        self.at = string_end(&mut self.strings, self.text, self.at)?;
        Ok(())
    }

    fn checked_container(&mut self) -> Result<(), JsonError> {
        match self.strings.container_end(self.text, self.at) {
            Some(end) => self.at = end,
            None => return self.error(),
        }
        Ok(())
    }

    /// Passes an object or array without recursion. The hot loop of reading: positions and masks
    /// are locals, and no member is given a value of its own.
    fn container(&mut self) -> Result<(), JsonError> {
        let text = self.text;
        let outside = self.depth;
        let mut strings = self.strings;
        let mut bracket = text[self.at];
        'open: loop {
            self.open(bracket)?;
            let mut in_object = bracket == b'{';
            let mut at = skip_space(text, self.at);
            let mut closed = matches!(text.get(at), Some(b'}' | b']'));
            if closed && (text[at] == b'}') != in_object {
                return Err(JsonError::Syntax(at));
            }
            loop {
                if closed {
                    at += 1;
                    self.depth -= 1;
                    if self.depth == outside {
                        self.at = at;
                        self.strings = strings;
                        return Ok(());
                    }
                    in_object = self.in_object();
                } else {
                    // Before a member: a key first, if this is an object, and a value.
                    if in_object {
                        if text.get(at) != Some(&b'"') {
                            return Err(JsonError::Syntax(at));
                        }
                        at = skip_space(text, string_end(&mut strings, text, at)?);
                        if text.get(at) != Some(&b':') {
                            return Err(JsonError::Syntax(at));
                        }
                        at = skip_space(text, at + 1);
                    }
                    match text.get(at) {
                        Some(b'"') => at = string_end(&mut strings, text, at)?,
                        Some(&inner @ (b'{' | b'[')) => {
                            self.at = at;
                            bracket = inner;
                            continue 'open;
                        }
                        Some(b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                            self.at = at;
                            self.scalar()?;
                            at = self.at;
                        }
                        _ => return Err(JsonError::Syntax(at)),
                    }
                }
                // Behind a member: another one, or the end of the container.
                at = skip_space(text, at);
                match text.get(at) {
                    Some(b',') => {
                        closed = false;
                        at = skip_space(text, at + 1);
                    }
                    Some(b'}') if in_object => closed = true,
                    Some(b']') if !in_object => closed = true,
                    _ => return Err(JsonError::Syntax(at)),
                }
            }
        }
    }

    /// Passes a number, `true`, `false` or `null`.
    fn scalar(&mut self) -> Result<(), JsonError> {
        match self.text[self.at] {
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => self.number(),
        }
    }
}

/// The first byte from `at` on that is not white space.
#[inline(always)]
fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\n' | b'\r' | b'\t') = text.get(at) {
        at += 1;
    }
    at
}

/// The byte behind the string whose opening quote is at `at`.
#[inline(always)]
fn string_end(strings: &mut Strings, text: &[u8], at: usize) -> Result<usize, JsonError> {
    strings.end(text, at).map_err(JsonError::Syntax)
}

/// Room for the nesting of `Scanner::objects`.
const DEPTH_BITS: u32 = 192;

/// Checks that a text is exactly one JSON value, UTF-8 included.
pub fn check(text: &[u8]) -> Result<(), JsonError> {
    if let Err(error) = simdutf8::compat::from_utf8(text) {
        return Err(JsonError::Syntax(error.valid_up_to()));
    }
    let mut scanner = Scanner::new(text);
    scanner.value()?;
    scanner.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;

    fn serde_accepts(text: &[u8]) -> bool {
        let mut de = serde_json::Deserializer::from_slice(text);
        de.disable_recursion_limit();
        let value = serde::de::IgnoredAny::deserialize(&mut de);
        value.is_ok() && de.end().is_ok() && std::str::from_utf8(text).is_ok()
    }

    /// Text that is often JSON and otherwise nearly so.
    fn nearly_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("tru".to_owned()),
            Just("true".to_owned()),
            Just("false ".to_owned()),
            "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
            "\"([a-z ]|\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fA-F]{3,4}|é|🙂|\t){0,60}\"?",
        ];
        leaf.prop_recursive(6, 64, 6, |inner| {
            prop_oneof![
                (
                    prop::collection::vec(inner.clone(), 0..6),
                    "[ \n]?",
                    "[,\\]]?"
                )
                    .prop_map(|(items, space, end)| format!("[{space}{}{end}]", items.join(","))),
                prop::collection::vec(("\"[a-z\\\\]{0,3}\"", "[:;]", inner), 0..6).prop_map(
                    |members: Vec<(String, String, String)>| {
                        let members: Vec<String> = members
                            .into_iter()
                            .map(|(k, c, v)| format!("{k}{c} {v}"))
                            .collect();
                        format!("{{{}}}", members.join(" ,"))
                    }
                ),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn accepts_exactly_what_serde_json_accepts(text in nearly_json(), cut in 0usize..200) {
            for candidate in [text.as_bytes(), &text.as_bytes()[..cut.min(text.len())]] {
                prop_assert_eq!(
                    check(candidate).is_ok(),
                    serde_accepts(candidate),
                    "{:?}", String::from_utf8_lossy(candidate)
                );
            }
        }
    }

    #[test]
    fn depth_ends_at_the_limit_and_never_overflows_the_stack() {
        let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert_eq!(check(&nested(MAX_DEPTH as usize)), Ok(()));
        assert_eq!(
            check(&nested(MAX_DEPTH as usize + 1)),
            Err(JsonError::TooDeep)
        );
        assert_eq!(check(&nested(100_000)), Err(JsonError::TooDeep));
        let mixed = [b"[{\"a\":".repeat(64), b"1".to_vec(), b"}]".repeat(64)].concat();
        assert_eq!(check(&mixed), Ok(()));
    }

    #[test]
    fn values_are_reported_as_they_stand() {
        let mut s = Scanner::new(br#" {"a" : [1, "x\n"] , "b":"y"} "#);
        s.open_object().expect("an object");
        assert_eq!(s.next_key(true).expect("legal").expect("a").text, b"\"a\"");
        let array = s.value().expect("legal");
        assert_eq!(
            (array.kind, array.text, array.escaped),
            (Kind::Array, &br#"[1, "x\n"]"#[..], true)
        );
        s.next_key(false).expect("legal").expect("b");
        let string = s.value().expect("legal");
        assert_eq!(
            (string.string_body(), string.escaped),
            (Some(&b"y"[..]), false)
        );
        assert_eq!(s.next_key(false), Ok(None));
        assert_eq!(s.end(), Ok(()));
    }

    #[test]
    fn objects_side_by_side_are_no_deeper_than_one() {
        let text = format!("{{{}\"a\":{{}}}}", "\"a\":{},".repeat(500));
        let mut scanner = Scanner::new(text.as_bytes());
        scanner.open_object().expect("an object");
        let mut members = 0;
        while scanner.next_key(members == 0).expect("good").is_some() {
            scanner.open_object().expect("an object in it");
            assert_eq!(scanner.next_key(true).expect("good"), None);
            members += 1;
        }
        assert_eq!((members, scanner.end()), (501, Ok(())));
    }

    #[test]
    fn no_limit_is_deeper_than_can_be_remembered() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for (depth, expected) in [
            (DEPTH_BITS - 1, Ok(())),
            (DEPTH_BITS, Err(JsonError::TooDeep)),
        ] {
            let text = nested(depth as usize);
            let mut scanner = Scanner::with_max_depth(text.as_bytes(), u32::MAX);
            assert_eq!(scanner.value().map(drop), expected, "{depth}");
        }
    }

    /// Checks the next value member by member, as its readers do.
    fn step_through(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
        let mut first = true;
        match scanner.kind()? {
            Kind::Object => {
                scanner.open_object()?;
                while scanner.next_key(first)?.is_some() {
                    first = false;
                    step_through(scanner)?;
                }
            }
            Kind::Array => {
                scanner.open_array()?;
                while scanner.next_element(first)? {
                    first = false;
                    step_through(scanner)?;
                }
            }
            _ => drop(scanner.value()?),
        }
        Ok(())
    }

    fn steps_accept(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        step_through(&mut scanner).is_ok() && scanner.end().is_ok()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]
        #[test]
        fn step_by_step_the_same_is_accepted(text in nearly_json(), cut in 0usize..200) {
            for candidate in [text.as_bytes(), &text.as_bytes()[..cut.min(text.len())]] {
                let whole = Scanner::new(candidate);
                let mut scanner = whole.clone();
                let accepted = scanner.value().is_ok() && scanner.end().is_ok();
                prop_assert_eq!(steps_accept(candidate), accepted);
            }
        }
    }

    /// Opens the containers of the first levels only; gives the keys and values it found.
    fn members<'a>(scanner: &mut Scanner<'a>, levels: u32, found: &mut Vec<Value<'a>>) {
        let mut first = true;
        match scanner.kind().expect("checked") {
            Kind::Object if levels > 0 => {
                scanner.open_object().expect("checked");
                while let Some(key) = scanner.next_key(first).expect("checked") {
                    first = false;
                    found.push(key);
                    members(scanner, levels - 1, found);
                }
            }
            Kind::Array if levels > 0 => {
                scanner.open_array().expect("checked");
                while scanner.next_element(first).expect("checked") {
                    first = false;
                    members(scanner, levels - 1, found);
                }
            }
            _ => found.push(scanner.value().expect("checked")),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_was_checked_is_passed_alike(
            values in prop::collection::vec(nearly_json(), 0..6),
            texts in prop::collection::vec(r#"([\[\]{}:, ]|\\["\\n]|\\ud83d|é){0,70}"#, 6),
            levels in 0u32..4,
        ) {
            // Brackets in strings count for nothing, wherever in a window they are.
            let good = values.into_iter().filter(|value| check(value.as_bytes()).is_ok());
            let both = good.zip(&texts).map(|(value, text)| format!("{{\"{text}\":[{value},\"{text}\"]}}"));
            let text = format!("[{}]", both.collect::<Vec<_>>().join(" , "));
            prop_assert!(check(text.as_bytes()).is_ok(), "{}", text);
            let [mut whole, mut by_brackets] = [Scanner::new, Scanner::of_checked].map(|scan| {
                let mut scanner = scan(text.as_bytes());
                let mut found = Vec::new();
                members(&mut scanner, levels, &mut found);
                (scanner, found)
            });
            prop_assert_eq!(&whole.1, &by_brackets.1);
            prop_assert_eq!(whole.0.position(), by_brackets.0.position());
            prop_assert_eq!(whole.0.saw_surrogates(), by_brackets.0.saw_surrogates());
            prop_assert_eq!(whole.0.end(), by_brackets.0.end());
        }
    }

    #[test]
    fn a_container_without_an_end_is_an_error_also_where_it_should_have_been_checked() {
        for text in ["[", "{\"a\":[1}", "[[1]", "[\"]", "[\"]\""] {
            let padded = format!("{text}{}", " ".repeat(100));
            for text in [text, &padded] {
                assert!(
                    Scanner::of_checked(text.as_bytes()).value().is_err(),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn commas_stand_between_members_and_nowhere_else() {
        for (text, good) in [
            ("[]", true),
            ("[ ]", true),
            ("[1]", true),
            ("[1 , 2]", true),
            ("{\"a\":1 , \"b\":2}", true),
            ("[,]", false),
            ("[,1]", false),
            ("[1,]", false),
            ("[1,,2]", false),
            ("[1 2]", false),
            ("[1}", false),
            ("[1", false),
            ("[", false),
            ("{,}", false),
            ("{,\"a\":1}", false),
            ("{\"a\":1,}", false),
            ("{\"a\":1,,\"b\":2}", false),
            ("{\"a\":1 \"b\":2}", false),
            ("{\"a\" 1}", false),
            ("{\"a\":}", false),
            ("{\"a\"}", false),
            ("{1:1}", false),
            ("{\"a\":1]", false),
            ("{\"a\":1", false),
            ("{", false),
        ] {
            assert_eq!(steps_accept(text.as_bytes()), good, "{text}");
            assert_eq!(check(text.as_bytes()).is_ok(), good, "{text}");
            assert_eq!(serde_accepts(text.as_bytes()), good, "{text}");
        }
    }

    #[test]
    fn arrays_side_by_side_are_no_deeper_than_one() {
        let text = format!("[{}[]]", "[],".repeat(500));
        assert!(steps_accept(text.as_bytes()));
        // And behind them the innermost that may be there.
        let inner = MAX_DEPTH as usize - 1;
        let deepest = "[".repeat(inner) + &"]".repeat(inner);
        let good = format!("[[],{{}},{deepest}]");
        assert!(steps_accept(good.as_bytes()));
        assert!(!steps_accept(format!("[{good}]").as_bytes()));
    }

    #[test]
    fn what_was_passed_is_what_lies_between() {
        let text = br#"[ {"a": 1} , [2, 3] ]"#;
        let mut scanner = Scanner::new(text);
        scanner.open_array().expect("an array");
        for (first, kind, expected) in [
            (true, Kind::Object, &br#"{"a": 1}"#[..]),
            (false, Kind::Array, b"[2, 3]"),
        ] {
            assert_eq!(scanner.next_element(first), Ok(true));
            let mut before = scanner.clone();
            scanner.value().expect("legal");
            let passed = before.passed(&scanner);
            assert_eq!((passed.kind, passed.text), (kind, expected));
            assert!(text[..scanner.position()].ends_with(expected));
        }
        assert_eq!(scanner.next_element(false), Ok(false));
        assert_eq!(scanner.position(), text.len());
    }
}
