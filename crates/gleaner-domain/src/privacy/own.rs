//! A user's own rules for secrets, written as for gitleaks: `[[rules]]` of a TOML file.
//!
//! What they mean is what gitleaks 8 documents (<https://github.com/gitleaks/gitleaks#configuration>): a rule's pattern
//! is tried on texts that have one of its keywords; `secretGroup`, or the first group that matched, is the secret; its
//! entropy must be above the rule's; allow lists take findings back. What needs the path or the commit of a file has no
//! meaning for conversations: such a rule is refused, such an entry of an allow list holds for nothing.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta::Regex;
use serde::Deserialize;
use thiserror::Error;

use super::checks::entropy;
use super::finder::compile;
use super::placeholder;
use super::rule::{Check, Class, Rule, Start};
use go_syntax::translated;

mod go_syntax;

/// The file, as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RulesFile {
    #[serde(default, rename = "title")]
    _title: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "minVersion")]
    _min_version: Option<String>,
    #[serde(default)]
    extend: Extend,
    #[serde(default)]
    rules: Vec<FileRule>,
    #[serde(default)]
    allowlist: Option<FileAllowlist>,
    #[serde(default)]
    allowlists: Vec<FileAllowlist>,
}

/// The rules of gleaner are always there, as gitleaks' own are with `useDefault`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Extend {
    #[serde(default, rename = "useDefault")]
    _use_default: bool,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    disabled_rules: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileRule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    regex: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    secret_group: usize,
    #[serde(default)]
    entropy: f64,
    #[serde(default)]
    keywords: Vec<String>,
    #[serde(default, rename = "tags")]
    _tags: Vec<String>,
    #[serde(default)]
    allowlist: Option<FileAllowlist>,
    #[serde(default)]
    allowlists: Vec<FileAllowlist>,
}

#[derive(Debug, Default, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct FileAllowlist {
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default)]
    condition: Option<String>,
    #[serde(default)]
    regex_target: Option<String>,
    #[serde(default)]
    regexes: Vec<String>,
    #[serde(default)]
    stopwords: Vec<String>,
    #[serde(default)]
    paths: Vec<String>,
    #[serde(default)]
    commits: Vec<String>,
    #[serde(default)]
    target_rules: Vec<String>,
}

/// What is wrong with a rule: which one, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{place}: {what}")]
pub struct RuleFault {
    /// `rule "acme-key"`, or the table.
    pub place: String,
    /// What, and what is right.
    pub what: String,
}

fn fault(place: &str, what: impl Into<String>) -> RuleFault {
    RuleFault {
        place: place.to_owned(),
        what: what.into(),
    }
}

/// A user's own rules, and gleaner's that they leave out.
#[derive(Debug, Clone, Default)]
pub struct OwnRules {
    /// They live as long as the program, as gleaner's do.
    rules: &'static [Rule],
    disabled: Vec<String>,
    /// SHA-256 of the file, as hexadecimal digits; empty without one.
    pub sha256: String,
}

impl OwnRules {
    /// The rules of a file with this SHA-256. They stay in memory to the end of the program.
    ///
    /// # Errors
    /// The first rule that is not right.
    pub fn new(file: RulesFile, sha256: String) -> Result<Self, RuleFault> {
        if file.extend.path.is_some() || file.extend.url.is_some() {
            let what = "path and url are not read: put the rules of that file into this one";
            return Err(fault("[extend]", what));
        }
        let everywhere: Vec<_> = file.allowlist.into_iter().chain(file.allowlists).collect();
        let mut rules = Vec::with_capacity(file.rules.len());
        for (number, rule) in file.rules.iter().enumerate() {
            if rule.id.is_empty() {
                let place = format!("rule {}", number + 1);
                return Err(fault(&place, "it has no id"));
            }
            if file.rules[..number].iter().any(|other| other.id == rule.id) {
                return Err(fault(&place_of(rule), "there are two with this id"));
            }
            rules.push(own_rule(rule, &everywhere)?);
        }
        Ok(Self {
            rules: rules.leak(),
            disabled: file.extend.disabled_rules,
            sha256,
        })
    }

    /// The rules.
    pub fn rules(&self) -> &'static [Rule] {
        self.rules
    }

    /// Whether a rule of gleaner stays: no own rule has its id, and it is not disabled.
    pub fn leaves(&self, rule: &Rule) -> bool {
        let is_replaced = self.rules.iter().any(|own| own.id == rule.id);
        !is_replaced && !self.disabled.iter().any(|id| id == rule.id)
    }
}

fn place_of(rule: &FileRule) -> String {
    format!("rule {:?}", rule.id)
}

fn own_rule(rule: &FileRule, everywhere: &[FileAllowlist]) -> Result<Rule, RuleFault> {
    let place = place_of(rule);
    if !is_id(&rule.id) {
        let what = "an id has letters, digits, \"-\", \"_\" and \".\", at most 64";
        return Err(fault(&place, what));
    }
    if rule.path.is_some() {
        let what = "it has a path, and conversations have none: take the path or the rule out";
        return Err(fault(&place, what));
    }
    if rule.regex.is_empty() {
        return Err(fault(&place, "it has no regex"));
    }
    let pattern = compile(&translated(&rule.regex))
        .map_err(|error| fault(&place, format!("its regex cannot be read: {error}")))?;
    let groups = pattern
        .group_info()
        .group_len(regex_automata::PatternID::ZERO)
        - 1;
    if rule.secret_group > groups {
        let what = format!(
            "secretGroup is {}, and its regex has {groups} {}",
            rule.secret_group,
            if groups == 1 { "group" } else { "groups" }
        );
        return Err(fault(&place, what));
    }
    let own = own_check(rule, pattern, everywhere)?;
    let keywords = rule.keywords.iter().filter(|keyword| !keyword.is_empty());
    let keywords: Vec<&'static str> = keywords.map(|keyword| leaked(keyword.clone())).collect();
    let upper = |c: char| {
        if c.is_ascii_alphanumeric() {
            c.to_ascii_uppercase()
        } else {
            '_'
        }
    };
    Ok(Rule {
        id: leaked(rule.id.clone()),
        placeholder: leaked(rule.id.chars().map(upper).collect()),
        class: Class::Secret,
        source: leaked(rule.description.clone().unwrap_or_default()),
        keywords: keywords.leak(),
        start: Start::Anywhere,
        pattern: leaked(rule.regex.clone()),
        check: Check::Own(Box::leak(Box::new(own))),
        is_generic: false,
    })
}

/// The place of an allow list that stands in no rule.
const EVERYWHERE: &str = "[allowlist] of the file";

fn own_check(
    rule: &FileRule,
    pattern: Regex,
    everywhere: &[FileAllowlist],
) -> Result<OwnCheck, RuleFault> {
    let of_this = |list: &&FileAllowlist| {
        list.target_rules.is_empty() || list.target_rules.contains(&rule.id)
    };
    let place = place_of(rule);
    let everywhere = everywhere.iter().filter(of_this);
    let lists = (rule.allowlist.iter().chain(&rule.allowlists))
        .map(|list| (list, &*place))
        .chain(everywhere.map(|list| (list, EVERYWHERE)));
    Ok(OwnCheck {
        code: leaked(format!("secret:{}", rule.id)),
        pattern,
        group: rule.secret_group,
        entropy: rule.entropy,
        allowed: lists
            .map(|(list, place)| allowlist(list, place))
            .collect::<Result<_, _>>()?,
    })
}

fn leaked(text: String) -> &'static str {
    text.leak()
}

/// How an own rule finds what it finds.
#[derive(Debug)]
pub struct OwnCheck {
    /// The code of a record that is refused because of the rule: `secret:<rule>`.
    pub(super) code: &'static str,
    pattern: Regex,
    group: usize,
    entropy: f64,
    allowed: Vec<Allowlist>,
}

impl OwnCheck {
    /// Calls `visit` with the place of each secret in a text, whole characters.
    pub(super) fn find(&self, text: &[u8], mut visit: impl FnMut(Range<usize>)) {
        let mut captures = self.pattern.create_captures();
        let mut at = 0;
        while at <= text.len() {
            self.pattern
                .captures(Input::new(text).range(at..), &mut captures);
            let Some(whole) = captures.get_match().map(|found| found.range()) else {
                return;
            };
            at = whole.end.max(whole.start + 1);
            let group = |number| captures.get_group(number).filter(|group| !group.is_empty());
            let secret = match self.group {
                0 => (1..captures.group_len())
                    .find_map(group)
                    .map(|group| group.range()),
                number => group(number).map(|group| group.range()),
            };
            let secret = whole_characters(text, secret.unwrap_or_else(|| whole.clone()));
            if !secret.is_empty() && self.is_secret(text, &whole, &secret) {
                visit(secret);
            }
        }
    }

    fn is_secret(&self, text: &[u8], whole: &Range<usize>, secret: &Range<usize>) -> bool {
        let found = &text[secret.clone()];
        (self.entropy == 0.0 || entropy(found) > self.entropy)
            && !placeholder::are_all(text, secret)
            && !self
                .allowed
                .iter()
                .any(|list| list.allows(text, whole, secret))
    }
}

/// A range that begins and ends between characters of UTF-8: patterns are over bytes.
fn whole_characters(text: &[u8], range: Range<usize>) -> Range<usize> {
    let is_inside = |at: usize| text.get(at).is_some_and(|byte| byte & 0xC0 == 0x80);
    let (mut start, mut end) = (range.start, range.end);
    while start > 0 && is_inside(start) {
        start -= 1;
    }
    while is_inside(end) {
        end += 1;
    }
    start..end
}

/// What an allow list looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Secret,
    Match,
    Line,
}

#[derive(Debug)]
struct Allowlist {
    target: Target,
    regexes: Vec<Regex>,
    stopwords: Vec<String>,
    /// Whether all of its kinds must hold, not one of them.
    is_and: bool,
    /// Whether it also asks for a path or commit, which conversations do not have.
    asks_for_files: bool,
}

impl Allowlist {
    fn allows(&self, text: &[u8], whole: &Range<usize>, secret: &Range<usize>) -> bool {
        let found = &text[secret.clone()];
        let looked_at = match self.target {
            Target::Secret => found,
            Target::Match => &text[whole.clone()],
            Target::Line => line(text, whole),
        };
        let by_regex = || self.regexes.iter().any(|regex| regex.is_match(looked_at));
        let by_word = || {
            let found = found.to_ascii_lowercase();
            let is_in = |word: &String| memchr::memmem::find(&found, word.as_bytes()).is_some();
            self.stopwords.iter().any(is_in)
        };
        if !self.is_and {
            return by_regex() || by_word();
        }
        !self.asks_for_files
            && (self.regexes.is_empty() || by_regex())
            && (self.stopwords.is_empty() || by_word())
    }
}

/// The lines that a match stands in.
fn line<'t>(text: &'t [u8], whole: &Range<usize>) -> &'t [u8] {
    let start = memchr::memrchr(b'\n', &text[..whole.start]).map_or(0, |at| at + 1);
    let end = memchr::memchr(b'\n', &text[whole.end..]).map_or(text.len(), |at| whole.end + at);
    &text[start..end]
}

fn allowlist(list: &FileAllowlist, place: &str) -> Result<Allowlist, RuleFault> {
    let regex = |pattern: &String| {
        compile(&translated(pattern)).map_err(|error| {
            fault(
                place,
                format!("a regex of its allow list cannot be read: {error}"),
            )
        })
    };
    let is_and = match list.condition.as_deref().unwrap_or("OR") {
        or if or.eq_ignore_ascii_case("or") || or == "||" => false,
        and if and.eq_ignore_ascii_case("and") || and == "&&" => true,
        _ => {
            return Err(fault(
                place,
                "the condition of an allow list is \"OR\" or \"AND\"",
            ));
        }
    };
    let target = match list.regex_target.as_deref().unwrap_or("secret") {
        "" | "secret" => Target::Secret,
        "match" => Target::Match,
        "line" => Target::Line,
        _ => {
            let what = "regexTarget of an allow list is \"secret\", \"match\" or \"line\"";
            return Err(fault(place, what));
        }
    };
    let asks_for_files = !list.paths.is_empty() || !list.commits.is_empty();
    if list.regexes.is_empty() && list.stopwords.is_empty() && !asks_for_files {
        let what = "an allow list has no regexes and no stopwords";
        return Err(fault(place, what));
    }
    Ok(Allowlist {
        target,
        regexes: list.regexes.iter().map(regex).collect::<Result<_, _>>()?,
        stopwords: (list.stopwords.iter().filter(|word| !word.is_empty()))
            .map(|word| word.to_ascii_lowercase())
            .collect(),
        is_and,
        asks_for_files,
    })
}

/// Whether a code may be that of a user's own rule.
pub fn is_code(code: &str) -> bool {
    code.strip_prefix("secret:").is_some_and(is_id)
}

fn is_id(id: &str) -> bool {
    let is_of_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&id.len()) && id.chars().all(is_of_id)
}

#[cfg(test)]
mod tests;
