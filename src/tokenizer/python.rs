//! JSON as Python's `json.dumps` writes it.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};

/// How JSON is laid out.
struct Layout {
    ascii: bool,
    sort: bool,
    /// The white space of a level, if each value has a line.
    indent: Option<String>,
    comma: String,
    colon: String,
}

/// The filter `tojson`: `json.dumps` with `ensure_ascii = False`, as `transformers` has it.
pub fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = match options.get::<Option<Value>>("indent")? {
        Some(indent) if !indent.is_none() => Some(match indent.as_str() {
            Some(text) => text.to_owned(),
            None => " ".repeat(usize::try_from(indent)?),
        }),
        _ => None,
    };
    let separators = options.get::<Option<Vec<String>>>("separators")?;
    let (comma, colon) = match separators.as_deref() {
        Some([comma, colon]) => (comma.clone(), colon.clone()),
        _ if indent.is_some() => (",".to_owned(), ": ".to_owned()),
        _ => (", ".to_owned(), ": ".to_owned()),
    };
    let layout = Layout {
        ascii: options
            .get::<Option<bool>>("ensure_ascii")?
            .unwrap_or(false),
        sort: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        indent,
        comma,
        colon,
    };
    options.assert_all_used()?;
    let mut out = String::new();
    layout.write(&value, 0, &mut out)?;
    Ok(out)
}

impl Layout {
    fn write(&self, value: &Value, level: usize, out: &mut String) -> Result<(), Error> {
        match value.kind() {
            ValueKind::None => out.push_str("null"),
            ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => out.push_str(&value.to_string()),
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), out),
            ValueKind::Seq | ValueKind::Iterable => {
                let elements: Vec<_> = value.try_iter()?.collect();
                self.nested(('[', ']'), &elements, level, out, |element, out| {
                    self.write(element, level + 1, out)
                })?;
            }
            ValueKind::Map => {
                let mut keys: Vec<_> = value.try_iter()?.collect();
                if self.sort {
                    keys.sort();
                }
                self.nested(('{', '}'), &keys, level, out, |key, out| {
                    self.text(&key.to_string(), out);
                    out.push_str(&self.colon);
                    self.write(&value.get_item(key)?, level + 1, out)
                })?;
            }
            kind => {
                let what = format!("a value of kind {kind} is no JSON");
                return Err(Error::new(ErrorKind::InvalidOperation, what));
            }
        }
        Ok(())
    }

    fn nested(
        &self,
        (open, close): (char, char),
        elements: &[Value],
        level: usize,
        out: &mut String,
        mut write: impl FnMut(&Value, &mut String) -> Result<(), Error>,
    ) -> Result<(), Error> {
        out.push(open);
        for (place, element) in elements.iter().enumerate() {
            if place > 0 {
                out.push_str(&self.comma);
            }
            self.begin_line(level + 1, out);
            write(element, out)?;
        }
        if !elements.is_empty() {
            self.begin_line(level, out);
        }
        out.push(close);
        Ok(())
    }

    fn begin_line(&self, level: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        out.push('"');
        for c in text.chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                c if c < ' ' || (self.ascii && !c.is_ascii()) => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        out.push_str(&format!("\\u{unit:04x}"));
                    }
                }
                c => out.push(c),
            }
        }
        out.push('"');
    }
}

#[cfg(test)]
mod tests {
    use minijinja::{Environment, context};

    fn written(filter: &str) -> String {
        let value: minijinja::Value =
            serde_json::from_str(r#"{"b":[1,2.5,true,null,"é\n"],"a":{},"c":{"x":"<'\"&"}}"#)
                .expect("JSON");
        let mut environment = Environment::new();
        environment.add_filter("tojson", super::to_json);
        environment
            .render_str(
                &format!("{{{{ value|tojson{filter} }}}}"),
                context! { value },
            )
            .expect("rendered")
    }

    /// What `json.dumps(value, ensure_ascii=False, ...)` of Python 3.11 gives.
    #[test]
    fn json_is_written_as_python_writes_it() {
        let plain = r#"{"b": [1, 2.5, true, null, "é\n"], "a": {}, "c": {"x": "<'\"&"}}"#;
        assert_eq!(written(""), plain);
        let packed = r#"{"a":{},"b":[1,2.5,true,null,"\u00e9\n"],"c":{"x":"<'\"&"}}"#;
        let options = "(separators=[',', ':'], sort_keys=true, ensure_ascii=true)";
        assert_eq!(written(options), packed);
        let lines = "{\n  \"b\": [\n    1,\n    2.5,\n    true,\n    null,\n    \"é\\n\"\n  ],\n  \"a\": {},\n  \"c\": {\n    \"x\": \"<'\\\"&\"\n  }\n}";
        assert_eq!(written("(indent=2)"), lines);
    }
}
