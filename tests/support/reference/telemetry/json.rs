//! JSON over UTF-16 units, halves of pairs included, as JavaScript reads it.

pub type Units = Vec<u16>;

#[derive(Clone, PartialEq)]
pub enum Json {
    Null,
    Bool,
    /// As it is written.
    Number(String),
    Text(Units),
    List(Vec<Json>),
    Object(Vec<(Units, Json)>),
}

pub fn units(text: &str) -> Units {
    text.encode_utf16().collect()
}

/// A value that is all of a text.
pub fn parse(text: &[u16]) -> Option<Json> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value()?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

/// The elements of a list, as far as it can be read.
pub fn elements(text: &[u16]) -> Vec<Json> {
    let mut reader = Reader { text, at: 0 };
    let mut list = Vec::new();
    reader.space();
    if reader.next() != Some('[') {
        return list;
    }
    while let Some(element) = reader.value() {
        list.push(element);
        reader.space();
        if reader.next() != Some(',') {
            break;
        }
    }
    list
}

impl Json {
    /// The last member of that name.
    pub fn get(&self, name: &str) -> Option<&Json> {
        let Json::Object(members) = self else {
            return None;
        };
        let name = units(name);
        let found = members.iter().rfind(|(key, _)| *key == name)?;
        Some(&found.1)
    }

    pub fn text(&self) -> Option<&Units> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// An integer that is a number, or a text of one.
    pub fn integer(&self) -> Option<i64> {
        let digits = match self {
            Json::Number(digits) => digits.clone(),
            Json::Text(text) => String::from_utf16(text).ok()?.trim().to_owned(),
            _ => return None,
        };
        let number = serde_json::value::RawValue::from_string(digits).ok()?;
        super::super::json::integer(Some(&number))
    }

    pub fn count(&self) -> Option<u64> {
        self.integer().and_then(|count| u64::try_from(count).ok())
    }
}

struct Reader<'t> {
    text: &'t [u16],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        let unit = *self.text.get(self.at)?;
        Some(char::from_u32(unit.into()).unwrap_or('\u{fffd}'))
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|c| " \t\n\r".contains(c)) {
            self.at += 1;
        }
    }

    fn value(&mut self) -> Option<Json> {
        self.space();
        match self.peek()? {
            '"' => self.text().map(Json::Text),
            '[' => {
                let mut list = Vec::new();
                self.each(']', |reader| {
                    list.push(reader.value()?);
                    Some(())
                })?;
                Some(Json::List(list))
            }
            '{' => {
                let mut members = Vec::new();
                self.each('}', |reader| {
                    reader.space();
                    let key = reader.text()?;
                    reader.space();
                    (reader.next()? == ':').then_some(())?;
                    members.push((key, reader.value()?));
                    Some(())
                })?;
                Some(Json::Object(members))
            }
            _ => self.word(),
        }
    }

    /// What stands between brackets.
    fn each(&mut self, close: char, mut one: impl FnMut(&mut Self) -> Option<()>) -> Option<()> {
        self.at += 1;
        self.space();
        if self.peek()? == close {
            self.at += 1;
            return Some(());
        }
        loop {
            one(self)?;
            self.space();
            match self.next()? {
                ',' => {}
                c => return (c == close).then_some(()),
            }
        }
    }

    fn word(&mut self) -> Option<Json> {
        let mut word = String::new();
        while let Some(c) = self
            .peek()
            .filter(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c))
        {
            word.push(c);
            self.at += 1;
        }
        match word.as_str() {
            "null" => Some(Json::Null),
            "true" | "false" => Some(Json::Bool),
            _ => serde_json::from_str::<serde_json::Number>(&word)
                .ok()
                .map(|_| Json::Number(word)),
        }
    }

    fn text(&mut self) -> Option<Units> {
        (self.next()? == '"').then_some(())?;
        let mut out = Units::new();
        loop {
            let unit = *self.text.get(self.at)?;
            self.at += 1;
            if unit == u16::from(b'"') {
                return Some(out);
            }
            if unit != u16::from(b'\\') {
                (unit >= 0x20).then(|| out.push(unit))?;
                continue;
            }
            let escape = self.next()?;
            out.push(match escape {
                'u' => {
                    let digits = self.text.get(self.at..self.at + 4)?;
                    self.at += 4;
                    u16::from_str_radix(&String::from_utf16(digits).ok()?, 16).ok()?
                }
                'b' => 8,
                'f' => 12,
                'n' => 10,
                'r' => 13,
                't' => 9,
                '"' | '\\' | '/' => escape as u16,
                _ => return None,
            });
        }
    }
}

/// A text as it is written: the fewest escapes; half a pair is one.
pub fn written(text: &[u16]) -> String {
    let mut out = String::from("\"");
    for decoded in char::decode_utf16(text.iter().copied()) {
        match decoded {
            Ok(c) => {
                let quoted = serde_json::to_string(&c).expect("text");
                out += &quoted[1..quoted.len() - 1];
            }
            Err(half) => out += &format!("\\u{:04x}", half.unpaired_surrogate()),
        }
    }
    out + "\""
}
