//! A conversation in a terminal.

use super::{Entry, View, name, outcome, turns};
use crate::conversion::tokens::Author;
use crate::visible::visible;

/// Characters of arguments that are shown where the width is not limited.
const ARGUMENTS: usize = 120;

/// How far a message stands in.
const INDENT: usize = 2;

/// Narrower than this a text is not broken.
const NARROWEST: usize = 20;

/// What a terminal shows.
#[derive(Debug, Clone, Copy)]
pub struct Terminal {
    /// The width in characters.
    pub width: usize,
    /// Whether it shows colours.
    pub colours: bool,
}

impl Terminal {
    /// Appends a conversation: a line for each call of a tool, messages broken at the width, control characters
    /// as escapes. `stratum` is where it was found.
    pub fn write(&self, view: &View, stratum: &str, out: &mut String) {
        let heading = format!("{} ({stratum}, {})", view.id, turns(view.turns));
        self.line("1", &one_line(&heading), out);
        for entry in &view.entries {
            match entry {
                Entry::Said { author, text } => {
                    self.line(colour(*author), name(*author), out);
                    self.text(text, out);
                }
                Entry::Called {
                    tool,
                    arguments,
                    result,
                } => {
                    let outcome = outcome(result.as_ref());
                    let call = self.call(tool, arguments.as_deref(), &outcome);
                    self.line("33", &call, out);
                }
            }
        }
        out.push('\n');
    }

    /// `  call grep {"q": "x"...} -> 12 bytes`: as much of the arguments as fits.
    fn call(&self, tool: &str, arguments: Option<&str>, outcome: &str) -> String {
        let tool = one_line(tool);
        let arguments = one_line(arguments.unwrap_or("(arguments that are no JSON)"));
        let around = "  call   -> ".len() + columns(&tool) + outcome.len();
        let room = match self.width {
            usize::MAX => ARGUMENTS,
            width => width.saturating_sub(around).max(NARROWEST),
        };
        let arguments = match columns(&arguments) <= room {
            true => arguments,
            false => format!("{}...", head(&arguments, room - 3)),
        };
        format!("  call {tool} {arguments} -> {outcome}")
    }

    fn line(&self, colour: &str, text: &str, out: &mut String) {
        match self.colours {
            true => out.push_str(&format!("\u{1b}[{colour}m{text}\u{1b}[0m\n")),
            false => out.push_str(&format!("{text}\n")),
        }
    }

    fn text(&self, text: &str, out: &mut String) {
        let text = visible(text).replace('\t', "    ");
        let room = self.width.saturating_sub(INDENT).max(NARROWEST);
        for line in text.lines() {
            let mut rest = line;
            loop {
                let piece = broken(rest, room);
                out.push_str(&format!("{:INDENT$}{}\n", "", piece.trim_end()));
                rest = &rest[piece.len()..];
                if rest.is_empty() {
                    break;
                }
            }
        }
    }
}

/// The beginning of a line that fits, if possible up to a space.
fn broken(line: &str, room: usize) -> &str {
    let fitting = head(line, room);
    if fitting.len() == line.len() {
        return line;
    }
    match fitting.rfind(' ') {
        Some(space) if space > 0 => &line[..=space],
        _ => fitting,
    }
}

/// As many characters as fit, at least one.
fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    let end = text.char_indices().find(|&(at, c)| {
        used += width(c);
        used > room && at > 0
    });
    end.map_or(text, |(at, _)| &text[..at])
}

fn columns(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// The cells of a character: two of those of East Asian scripts and of pictures.
fn width(c: char) -> usize {
    let is_wide = matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}' | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}'
        | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}');
    1 + usize::from(is_wide)
}

fn one_line(text: &str) -> String {
    visible(text).replace('\n', "\\n").replace('\t', "\\t")
}

fn colour(author: Author) -> &'static str {
    match author {
        Author::System => "35",
        Author::User => "36",
        Author::Model => "32",
        Author::Tool => "33",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(record: &serde_json::Value, width: usize, colours: bool) -> String {
        let view = View::of(record.to_string().as_bytes()).expect("a record");
        let mut out = String::new();
        Terminal { width, colours }.write(&view, "train/short", &mut out);
        out
    }

    fn record(user: &str, model: &str) -> serde_json::Value {
        let call = serde_json::json!({"tool": "grep", "arguments": {"q": "a needle in a stack of hay"}, "result": "found"});
        let turn =
            serde_json::json!({"userMessage": user, "modelMessage": model, "trajectory": [call]});
        serde_json::json!({"conversationId": "c\u{1b}[2J", "turnsArray": [turn]})
    }

    #[test]
    fn a_conversation_is_shown_with_its_calls_folded() {
        let expected = "\
c\\u{1b}[2J (train/short, 1 turn)
user
  find it for me,
  please
  漢漢漢漢漢漢漢漢漢漢
  漢
  call grep {\"q\":\"a needle in... -> 5 bytes
model
  yes
";
        let user = "find it for me, please\n漢漢漢漢漢漢漢漢漢漢漢";
        let text = shown(&record(user, "yes"), 22, false);
        assert_eq!(text.trim_end(), expected.trim_end());
        assert!(text.lines().take(6).skip(1).all(|line| columns(line) <= 22));
        let wide = shown(&record(user, "yes"), usize::MAX, false);
        assert!(wide.contains("\n  find it for me, please\n"), "{wide}");
        assert!(wide.contains("of hay\"} -> 5 bytes"), "{wide}");
    }

    #[test]
    fn control_characters_are_never_raw() {
        let hostile = "a\u{1b}[31mb\u{7}\rc\u{202e}d\u{9b}e\u{61c}f\u{2028}g\th";
        let text = shown(&record(hostile, hostile), 200, false);
        assert!(
            !text.contains(|c| c != '\n' && crate::visible::is_unfit(c)),
            "{text}"
        );
        assert!(!text.contains('\t'), "{text}");
        assert!(
            text.contains("a\\u{1b}[31mb\\u{7}\\u{d}c\\u{202e}d\\u{9b}e\\u{61c}f\\u{2028}g    h"),
            "{text}"
        );
        let coloured = shown(&record("u", "m"), 80, true);
        assert!(
            coloured.contains("\u{1b}[36muser\u{1b}[0m\n  u\n"),
            "{coloured:?}"
        );
        let escapes = |text: &str| text.matches('\u{1b}').count();
        assert_eq!(
            escapes(&shown(&record(hostile, hostile), 80, true)),
            escapes(&coloured)
        );
    }
}
