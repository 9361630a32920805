//! Texts as they stand in JSON.

use std::borrow::Cow;

use crate::debug_lengths;
use crate::json::{Kind, Scanner, Value, text as json_text};

/// The body of a JSON string: what stands between its quotes, escapes as they are.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Text<'a>(Cow<'a, [u8]>);

impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

impl<'a> Text<'a> {
    /// The text of a JSON string; `None` for another kind.
    pub fn of(value: &Value<'a>) -> Option<Self> {
        value.string_body().map(|body| Self(Cow::Borrowed(body)))
    }

    /// The text of a JSON string that may be a copy; the empty one of another kind.
    pub fn of_string(value: Json<'a>) -> Self {
        if value.kind != Kind::String {
            return Self::default();
        }
        Self(match value.text {
            Cow::Borrowed(text) => Cow::Borrowed(&text[1..text.len() - 1]),
            Cow::Owned(text) => Cow::Owned(text[1..text.len() - 1].to_vec()),
        })
    }

    /// A text that has no character to escape.
    pub fn plain(text: String) -> Self {
        Self(Cow::Owned(text.into_bytes()))
    }

    /// A text that is not written as JSON, such as a piece of JSON.
    pub fn of_utf8(text: &[u8]) -> Self {
        let mut body = Vec::with_capacity(text.len() + text.len() / 8);
        let mut rest = text;
        while let Some(at) = rest
            .iter()
            .position(|&b| b == b'"' || b == b'\\' || b < b' ')
        {
            body.extend_from_slice(&rest[..at]);
            json_text::write_char(char::from(rest[at]), &mut body);
            rest = &rest[at + 1..];
        }
        body.extend_from_slice(rest);
        Self(Cow::Owned(body))
    }

    /// Texts behind each other, with an empty line between; `None` of none.
    pub fn joined(texts: Vec<Self>) -> Option<Self> {
        texts.into_iter().reduce(|mut all, next| {
            let body = all.0.to_mut();
            body.extend_from_slice(br"\n\n");
            body.extend_from_slice(&next.0);
            all
        })
    }

    /// As it stands in JSON, without the quotes.
    pub fn body(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is empty or only white space.
    pub fn is_blank(&self) -> bool {
        json_text::is_blank(&self.0)
    }

    /// Nothing of a blank text.
    pub fn unless_blank(self) -> Option<Self> {
        (!self.is_blank()).then_some(self)
    }

    /// The decoded text.
    pub fn decoded(&self) -> Cow<'_, [u8]> {
        if memchr::memchr(b'\\', &self.0).is_none() {
            return Cow::Borrowed(&self.0);
        }
        let mut out = Vec::with_capacity(self.0.len());
        json_text::decode(&self.0, &mut out);
        Cow::Owned(out)
    }

    /// Appends it as a JSON string.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(&self.0);
        out.push(b'"');
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text(Cow::Owned(self.0.into_owned()))
    }
}

/// A JSON value in the record, or one that stood there as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Json<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text, on one line.
    pub text: Cow<'a, [u8]>,
}

debug_lengths!(Json<'_> { kind } lengths { text });

impl<'a> Json<'a> {
    /// A value of the record.
    pub fn of(value: &Value<'a>) -> Self {
        Self {
            kind: value.kind,
            text: on_one_line(value.text),
        }
    }

    /// The value that a text holds: JSON without half a surrogate pair, which no loader takes.
    pub fn parse(text: &Text<'_>) -> Option<Self> {
        let decoded = text.decoded();
        let mut scanner = Scanner::new(&decoded);
        let value = scanner.value().ok()?;
        scanner.end().ok()?;
        if scanner.saw_surrogates() && json_text::has_lone_surrogate(value.text) {
            return None;
        }
        Some(Json {
            kind: value.kind,
            text: Cow::Owned(on_one_line(value.text).into_owned()),
        })
    }

    /// A copy that borrows nothing.
    pub fn into_owned(self) -> Json<'static> {
        Json {
            kind: self.kind,
            text: Cow::Owned(self.text.into_owned()),
        }
    }
}

/// JSON without line breaks and tabs, which stand between its tokens only.
fn on_one_line(json: &[u8]) -> Cow<'_, [u8]> {
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\t');
    match json.iter().any(is_break) {
        false => Cow::Borrowed(json),
        true => Cow::Owned(
            json.iter()
                .copied()
                .filter(|byte| !is_break(byte))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> Text<'_> {
        Text(Cow::Borrowed(body.as_bytes()))
    }

    #[test]
    fn json_becomes_a_text_and_is_read_again() {
        for json in [
            r#"{"a":"\"b\" \\ é 🙂","c":[1,2.50,null]}"#,
            "[]",
            r#""x\n""#,
            "12",
        ] {
            let body = Text::of_utf8(json.as_bytes());
            assert_eq!(body.decoded(), json.as_bytes());
            assert_eq!(Json::parse(&body).expect("JSON").text, json.as_bytes());
        }
    }

    #[test]
    fn only_whole_json_is_read_and_comes_on_one_line() {
        for body in [
            "",
            "{",
            r#"{\"a\":1} x"#,
            "NaN",
            r#"\"\\ud83d\""#,
            "{'a':1}",
        ] {
            assert_eq!(Json::parse(&text(body)), None, "{body}");
        }
        let value = Json::parse(&text(r#" {\n\t\"a b\" : \"\\n\"\r\n} "#)).expect("JSON");
        assert_eq!(value.text, br#"{"a b" : "\n"}"#.as_slice());
    }

    #[test]
    fn texts_are_joined_by_an_empty_line() {
        let joined = Text::joined(vec![text("a"), text("b")]).expect("some");
        assert_eq!(joined.decoded(), b"a\n\nb".as_slice());
        assert_eq!(Text::joined(Vec::new()), None);
    }
}
