//! Conversations on one page of HTML, which loads nothing and runs nothing.
//!
//! Texts of conversations stand in it as text only: what HTML would read is escaped, and the content
//! security policy allows the page's own style sheet, by its hash, and nothing else.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use super::{Entry, View, name, outcome, turns};
use crate::debug_lengths;
use crate::visible::visible;

/// Characters of arguments that are shown of a call that is folded.
const ARGUMENTS: usize = 100;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#1c1c1e;background:#fff}
nav a{margin-right:1em}
h2{border-bottom:1px solid #ccc}
details{margin:.4em 0}
summary{cursor:pointer}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0 .8em;font:13px/1.45 ui-monospace,monospace}
.message{border-left:4px solid #999;padding-left:.8em;margin:.6em 0}
.user{border-color:#0a7ea4}.model{border-color:#2d8a4e}.system{border-color:#8e44ad}.tool{border-color:#b8860b}
.author{font-weight:600}
.call{margin-left:1.2em}
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181c}a{color:#7cc7ff}}
";

/// Conversations of a stratum.
pub struct Section {
    /// The stratum: `train/short`.
    pub stratum: String,
    /// How many records it has, those that are not shown too.
    pub records: u64,
    /// The conversations.
    pub views: Vec<View>,
}

debug_lengths!(Section { stratum, records } lengths { views });

/// A page.
#[derive(Debug)]
pub struct Page {
    /// The dataset.
    pub title: String,
    /// Its strata.
    pub sections: Vec<Section>,
}

impl Page {
    /// The page as HTML.
    pub fn html(&self) -> String {
        let title = escaped(&self.title);
        let hash = STANDARD.encode(Sha256::digest(STYLE));
        let mut out = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n<meta name=\"viewport\" content=\"width=device-width\">\n\
             <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<nav>"
        );
        for (place, section) in self.sections.iter().enumerate() {
            let stratum = escaped(&section.stratum);
            out.push_str(&format!("<a href=\"#s{place}\">{stratum}</a>"));
        }
        out.push_str("</nav>\n");
        for (place, section) in self.sections.iter().enumerate() {
            section.write(place, &mut out);
        }
        out.push_str("</body>\n</html>\n");
        out
    }
}

impl Section {
    fn write(&self, place: usize, out: &mut String) {
        let stratum = escaped(&self.stratum);
        let (shown, all) = (self.views.len(), self.records);
        out.push_str(&format!(
            "<h2 id=\"s{place}\">{stratum}</h2>\n<p>{shown} of {all} records</p>\n"
        ));
        for view in &self.views {
            let (id, turns) = (escaped(&view.id), turns(view.turns));
            out.push_str(&format!("<details><summary>{id} ({turns})</summary>\n"));
            view.entries.iter().for_each(|entry| write(entry, out));
            out.push_str("</details>\n");
        }
    }
}

fn write(entry: &Entry, out: &mut String) {
    match entry {
        Entry::Said { author, text } => {
            let (author, text) = (name(*author), escaped(text));
            out.push_str(&format!(
                "<div class=\"message {author}\"><span class=\"author\">{author}</span><pre>{text}</pre></div>\n"
            ));
        }
        Entry::Called {
            tool,
            arguments,
            result,
        } => {
            let whole = arguments
                .as_deref()
                .unwrap_or("(arguments that are no JSON)");
            let head: String = whole.chars().take(ARGUMENTS).collect();
            let more = if head.len() < whole.len() { "..." } else { "" };
            let (tool, head, whole) = (escaped(tool), escaped(&head), escaped(whole));
            let outcome = outcome(result.as_ref());
            let result = escaped(result.as_deref().unwrap_or_default());
            out.push_str(&format!(
                "<details class=\"call\"><summary>{tool} {head}{more} &rarr; {outcome}</summary>\n\
                 <pre>{whole}</pre><pre>{result}</pre></details>\n"
            ));
        }
    }
}

/// A text as a text node: nothing of it is markup, nothing of it is obeyed.
fn escaped(text: &str) -> String {
    let text = visible(text);
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str =
        "</pre><script>alert('x')</script><img src=x onerror=\"y\">&amp;\u{1b}[2J\u{202e}";

    fn page() -> String {
        let call = serde_json::json!({"tool": HOSTILE, "arguments": {HOSTILE: HOSTILE}, "result": HOSTILE});
        let turn = serde_json::json!({"userMessage": HOSTILE, "modelMessage": HOSTILE, "trajectory": [call]});
        let record =
            serde_json::json!({"conversationId": HOSTILE, "system": HOSTILE, "turnsArray": [turn]});
        let view = View::of(record.to_string().as_bytes()).expect("a record");
        let section = Section {
            stratum: HOSTILE.to_owned(),
            records: 7,
            views: vec![view],
        };
        Page {
            title: HOSTILE.to_owned(),
            sections: vec![section],
        }
        .html()
    }

    #[test]
    fn an_injected_script_stays_text() {
        let page = page();
        for word in [
            "<script",
            "<img",
            "onerror=\"",
            "</pre><script",
            "\u{1b}",
            "\u{202e}",
        ] {
            assert!(!page.contains(word), "{word}");
        }
        let text = "&lt;/pre&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&lt;img src=x onerror=&quot;y&quot;&gt;&amp;amp;\\u{1b}[2J\\u{202e}";
        // Title twice, navigation, heading, id, system, user, model, tool, result; arguments are JSON.
        assert_eq!(page.matches(text).count(), 10);
    }

    #[test]
    fn the_policy_allows_the_style_sheet_and_nothing_else() {
        let page = page();
        let policy = page.split("Content-Security-Policy\" content=\"").nth(1);
        let policy = policy
            .expect("a policy")
            .split('"')
            .next()
            .expect("its end");
        let style = page.split("<style>").nth(1).expect("a style sheet");
        let style = style.split("</style>").next().expect("its end");
        let hash = STANDARD.encode(Sha256::digest(style));
        let expected = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'"
        );
        assert_eq!(policy, expected);
        let beyond = page.replace("style-src", "").replace("default-src", "");
        for word in [
            " src=\"", "url(", "@import", "<link", "style=", "http:", "https:",
        ] {
            assert!(!beyond.contains(word), "{word}");
        }
    }
}
