//! Chat templates: a file, one that lies beside the tokenizer, or gleaner's own `chatml`.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value, context};

use super::python::to_json;
use super::{SharedTemplate, TokenizerError};
use crate::domain::conversion::check::{Render, Rendered, TemplateFails};

/// The name of the template within its environment.
const NAME: &str = "chat";

/// Before and behind what the model writes, in rendered text only: they are no characters of any text.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// The name of the template that a tokenizer uses unless another is asked for.
const DEFAULT: &str = "default";

/// What errors of gleaner's own functions say.
const RAISED: &str = "it calls raise_exception";
const STRFTIME: &str = "strftime_now has no such format";

/// A plain template of gleaner's own, for those who have none yet.
const CHATML: &str = "\
{%- for message in messages -%}
<|im_start|>{{ message.role }}
{% if message.role == 'assistant' %}{% generation %}
{{- message.content -}}
{%- for call in message.tool_calls or [] -%}
{{- '\\n<tool_call>\\n' -}}{{ call.function|tojson }}{{- '\\n</tool_call>' -}}
{%- endfor -%}
<|im_end|>{% endgeneration %}{% else %}{{ message.content }}<|im_end|>{% endif %}

{% endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% endif -%}
";

/// A template that was parsed.
struct Template {
    environment: Environment<'static>,
    marks_model: bool,
    bos: String,
    eos: String,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").finish_non_exhaustive()
    }
}

/// Finds and parses a template: a file, or the name of one that lies beside the tokenizer (`default`, or
/// a name in `chat_template` of `tokenizer_config.json` or in `additional_chat_templates`), or `chatml`.
/// `now` is what `strftime_now` takes for the time, RFC 3339: the same dataset gives the same lengths.
///
/// # Errors
/// If there is none, or it is no Jinja.
pub fn load(
    name: &str,
    tokenizer: Option<&Path>,
    now: &str,
) -> Result<SharedTemplate, TokenizerError> {
    let folder = tokenizer.map(|file| file.parent().unwrap_or(Path::new("")));
    let config = folder.and_then(|folder| read(&folder.join("tokenizer_config.json")));
    let config: serde_json::Value = config
        .and_then(|text| serde_json::from_str(&text).ok())
        .unwrap_or_default();
    let token = |name: &str| {
        let token = &config[name];
        let text = token.as_str().or_else(|| token["content"].as_str());
        text.unwrap_or_default().to_owned()
    };
    // Jinja knows line feeds only, whatever ends a line in the file (jinja2/lexer.py, `newline_re`).
    let source = source(name, folder, &config)?
        .replace("\r\n", "\n")
        .replace('\r', "\n");
    let marks_model = source.contains("generation %}") || source.contains("generation -%}");
    let environment = environment(&with_marks(&source), now);
    let environment = environment.map_err(|error| TokenizerError::BadTemplate {
        name: name.to_owned(),
        reason: reason(&error),
    })?;
    Ok(Arc::new(Template {
        environment,
        marks_model,
        bos: token("bos_token"),
        eos: token("eos_token"),
    }))
}

fn read(file: &Path) -> Option<String> {
    fs::read_to_string(file).ok()
}

/// What kind of error it is, and where in the template. What else an error says may hold the text of
/// messages, but for those of the template's own syntax and names.
fn reason(error: &Error) -> String {
    let is_of_template = matches!(
        error.kind(),
        ErrorKind::SyntaxError
            | ErrorKind::UnknownFilter
            | ErrorKind::UnknownFunction
            | ErrorKind::UnknownMethod
            | ErrorKind::UnknownTest
    );
    let own = [RAISED, STRFTIME].into_iter();
    let detail = error.detail();
    let known = detail.filter(|detail| is_of_template || own.clone().any(|own| own == *detail));
    let what = match known {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line})"),
        None => what,
    }
}

/// The text of a template. A file beats a name.
fn source(
    name: &str,
    folder: Option<&Path>,
    config: &serde_json::Value,
) -> Result<String, TokenizerError> {
    let path = Path::new(name);
    if path.is_file() {
        return fs::read_to_string(path).map_err(|source| TokenizerError::Unreadable {
            path: path.to_owned(),
            source,
        });
    }
    let mut known = vec![("chatml".to_owned(), CHATML.to_owned())];
    if let Some(folder) = folder {
        known.extend(beside(folder, config));
    }
    // The last one of a name: what the user has beats gleaner's own.
    if let Some((_, source)) = known.iter().rfind(|(own, _)| own == name) {
        return Ok(source.clone());
    }
    let names: Vec<_> = known.into_iter().map(|(name, _)| name).collect();
    Err(TokenizerError::NoTemplate {
        name: name.to_owned(),
        known: names.join(", "),
    })
}

/// The templates that lie beside a tokenizer, as `transformers` saves them.
fn beside(folder: &Path, config: &serde_json::Value) -> Vec<(String, String)> {
    let mut known = Vec::new();
    match &config["chat_template"] {
        serde_json::Value::String(source) => known.push((DEFAULT.to_owned(), source.clone())),
        serde_json::Value::Array(named) => known.extend(named.iter().filter_map(|one| {
            let (name, source) = (one["name"].as_str()?, one["template"].as_str()?);
            Some((name.to_owned(), source.to_owned()))
        })),
        _ => {}
    }
    if let Some(source) = read(&folder.join("chat_template.jinja")) {
        known.push((DEFAULT.to_owned(), source));
    }
    let more = fs::read_dir(folder.join("additional_chat_templates"));
    let mut more: Vec<_> = more.into_iter().flatten().flatten().collect();
    more.sort_by_key(|entry| entry.file_name());
    known.extend(more.into_iter().filter_map(|entry| {
        let path = entry.path();
        let name = path.file_stem()?.to_str()?.to_owned();
        Some((name, read(&path)?))
    }));
    known
}

/// Templates mark what the model writes by `{% generation %}` and `{% endgeneration %}`, which is a tag of
/// `transformers`: a block with a filter that sets marks does the same.
fn with_marks(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let (before, tag, after) = (
            &rest[..start],
            &rest[start..start + length],
            &rest[start + length..],
        );
        out.push_str(before);
        match tag[2..].trim_matches(['-', '+', ' ', '\t', '\n']) {
            "generation" => out.push_str(&tag.replace("generation", "filter mark_generation")),
            "endgeneration" => out.push_str(&tag.replace("endgeneration", "endfilter")),
            _ => out.push_str(tag),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

fn environment(source: &str, now: &str) -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    // As `transformers` has it.
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_iterable);
    environment.add_filter("tojson", to_json);
    environment.add_filter("mark_generation", |text: String| {
        format!("{}{text}{}", MARKS[0], MARKS[1])
    });
    environment.add_function("raise_exception", |_: Value| -> Result<Value, Error> {
        Err(Error::new(ErrorKind::InvalidOperation, RAISED))
    });
    let now = now.parse::<jiff::Timestamp>().unwrap_or_default();
    environment.add_function("strftime_now", move |format: &str| {
        let wrong = |_| Error::new(ErrorKind::InvalidOperation, STRFTIME);
        jiff::fmt::strtime::format(format, now).map_err(wrong)
    });
    environment.add_template_owned(NAME, source.to_owned())?;
    Ok(environment)
}

/// What Python iterates over, and takes by place or key. minijinja takes `none` for an empty list, and no text
/// for a sequence.
fn is_iterable(value: &Value) -> bool {
    !matches!(
        value.kind(),
        ValueKind::None | ValueKind::Bool | ValueKind::Number
    )
}

impl Render for Template {
    fn render(
        &self,
        messages: &[&[u8]],
        tools: Option<&[u8]>,
        prompt: bool,
    ) -> Result<Rendered, TemplateFails> {
        let value = |json: &[u8]| -> Result<Value, TemplateFails> {
            let unread = |_| TemplateFails("a message or a tool cannot be read".to_owned());
            serde_json::from_slice(json).map_err(unread)
        };
        let messages = messages.iter().map(|message| value(message));
        let messages = messages.collect::<Result<Vec<_>, _>>()?;
        let tools = tools.map(value).transpose()?;
        let template = self.environment.get_template(NAME);
        let text = template
            .and_then(|template| {
                template.render(context! {
                    messages,
                    tools,
                    add_generation_prompt => prompt,
                    bos_token => &self.bos,
                    eos_token => &self.eos,
                })
            })
            .map_err(|error| TemplateFails(reason(&error)))?;
        Ok(without_marks(text, self.marks_model))
    }
}

/// The text without marks, and where they were.
fn without_marks(text: String, marks_model: bool) -> Rendered {
    if !marks_model {
        return Rendered { text, model: None };
    }
    let mut out = String::with_capacity(text.len());
    let (mut model, mut start) = (Vec::new(), 0);
    for c in text.chars() {
        match c {
            c if c == MARKS[0] => start = out.len(),
            c if c == MARKS[1] => model.push(start..out.len()),
            c => out.push(c),
        }
    }
    Rendered {
        text: out,
        model: Some(model),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGES: [&[u8]; 3] = [
        br#"{"role":"user","content":"hi"}"#,
        br#"{"role":"assistant","content":"look","tool_calls":[{"type":"function","function":{"name":"ls","arguments":{"b":1,"a":"x"}}}]}"#,
        br#"{"role":"tool","content":"r","name":"ls"}"#,
    ];

    fn rendered(source: &str) -> Result<Rendered, TemplateFails> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.jinja");
        fs::write(&file, source).expect("writable");
        let name = file.to_str().expect("text");
        let template = load(name, None, "2026-11-28T01:02:03Z").expect("a template");
        template.render(&MESSAGES, Some(br#"[{"name":"ls"}]"#), false)
    }

    fn text(source: &str) -> String {
        rendered(source).expect("rendered").text
    }

    #[test]
    fn templates_have_what_transformers_gives_them() {
        let calls = "{% for m in messages if m.tool_calls %}{{ m.tool_calls[0].function.arguments | tojson }}{% endfor %}";
        assert_eq!(text(calls), r#"{"b": 1, "a": "x"}"#);
        assert_eq!(text("{{ strftime_now('%d %b %Y') }}"), "28 Nov 2026");
        assert_eq!(
            text("{{ ' a '.strip() }}{{ messages[0].get('x', 'y') }}"),
            "ay"
        );
        let controls = "{% for m in messages %}{% if loop.index == 2 %}{% break %}{% endif %}{{ m.role }}{% endfor %}";
        assert_eq!(text(controls), "user");
        assert_eq!(
            text("{{ tools[0].name }}{{ messages[0].absent }}{{ none }}{{ true }}"),
            "lsNoneTrue"
        );
        // Blocks alone on a line leave none behind.
        assert_eq!(text("a\n  {% if true %}\nb\n  {% endif %}\nc"), "a\nb\nc");
        // Nor do lines that end otherwise have other ends in the text.
        let crlf = "a\r\n  {% if true %}\r\nb\rc\r\n  {% endif %}\r\nd\r\n";
        assert_eq!(text(crlf), "a\nb\nc\nd");
        let scope = "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}";
        assert_eq!(text(scope), "3");
        let beside = "{% for m in messages %}{{ loop.previtem.role if loop.previtem }}>{{ loop.nextitem.role if not loop.last }} {% endfor %}";
        assert_eq!(text(beside), ">assistant user>tool assistant> ");
        let iterable = "{% for x in ('a', [], {}, absent, none, 1, true) %}{{ x is iterable }} {{ x is sequence }},{% endfor %}";
        let lists = "True True,".repeat(4);
        assert_eq!(text(iterable), lists + &"False False,".repeat(3));
    }

    #[test]
    fn a_failure_says_where_and_never_a_message() {
        let fails = |source: &str| rendered(source).expect_err("it fails").to_string();
        let raised = "\n{{ raise_exception(messages[0].content) }}";
        assert_eq!(
            fails(raised),
            "invalid operation: it calls raise_exception (line 2)"
        );
        let undefined = fails("{{ messages[0].absent.deeper }}");
        assert_eq!(undefined, "undefined value (line 1)");
        let filter = fails("{{ messages[0].content | no_such }}");
        assert_eq!(filter, "unknown filter: filter no_such is unknown (line 1)");
        let added = fails("{{ messages[0].content + messages }}");
        assert!(added.starts_with("invalid operation"), "{added}");
        assert!(!added.contains("hi"), "{added}");
        let broken = environment("{% for m in messages %}", "").expect_err("no end");
        let said = reason(&broken);
        assert!(said.contains("unexpected end of input"), "{said}");
    }

    #[test]
    fn what_the_model_writes_is_marked() {
        let source = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}!{% endgeneration %}{% else %}{{ m.content }}.{% endif %}{% endfor %}";
        let rendered = rendered(source).expect("rendered");
        assert_eq!(rendered.text, "hi.look!r.");
        let model = rendered.model.expect("marks");
        assert_eq!(model.len(), 1);
        assert_eq!(model[0], 3..8);
        assert_eq!(super::tests::rendered("x").expect("rendered").model, None);
    }

    #[test]
    fn the_own_template_marks_texts_and_calls() {
        let template = load("chatml", None, "").expect("a template");
        let rendered = template.render(&MESSAGES, None, true).expect("rendered");
        let reply = "look\n<tool_call>\n{\"name\": \"ls\", \"arguments\": {\"b\": 1, \"a\": \"x\"}}\n</tool_call><|im_end|>";
        let expected = format!(
            "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n{reply}\n<|im_start|>tool\nr<|im_end|>\n<|im_start|>assistant\n"
        );
        assert_eq!(rendered.text, expected);
        let model = rendered.model.expect("marks");
        let texts: Vec<_> = model
            .into_iter()
            .map(|range| &rendered.text[range])
            .collect();
        assert_eq!(texts, [reply]);
    }

    #[test]
    fn templates_beside_the_tokenizer_are_found_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let tokenizer = folder.path().join("tokenizer.json");
        let config = r#"{"chat_template":[{"name":"default","template":"d{{ bos_token }}"},{"name":"rag","template":"r"}],"bos_token":{"content":"<s>"}}"#;
        fs::write(folder.path().join("tokenizer_config.json"), config).expect("writable");
        let text = |name: &str| {
            let template = load(name, Some(&tokenizer), "")?;
            Ok::<_, TokenizerError>(
                template
                    .render(&MESSAGES, None, false)
                    .expect("rendered")
                    .text,
            )
        };
        assert_eq!(text("default").expect("found"), "d<s>");
        assert_eq!(text("rag").expect("found"), "r");
        let wrong = text("other").expect_err("no template").to_string();
        assert_eq!(
            wrong,
            "there is no template \"other\"; there are chatml, default, rag"
        );
        fs::create_dir(folder.path().join("additional_chat_templates")).expect("a folder");
        fs::write(
            folder.path().join("additional_chat_templates/tools.jinja"),
            "t",
        )
        .expect("writable");
        fs::write(folder.path().join("chat_template.jinja"), "{% broken").expect("writable");
        assert_eq!(text("tools").expect("found"), "t");
        let wrong = text("default").expect_err("no Jinja").to_string();
        assert!(
            wrong.starts_with("the template default is no Jinja: "),
            "{wrong}"
        );
    }
}
