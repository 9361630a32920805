//! Where in a text something stands that a rule finds.
//!
//! One pass looks for the keywords of all rules at once; a rule's pattern is tried at its keyword alone, anchored there.
//! A pattern over the whole text would cost many times as much as all else together.

use std::ops::Range;
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use regex_automata::meta::Regex;
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input};

use super::checks::is_boundary_before;
use super::names::names_no_secret;
use super::own::OwnRules;
use super::rule::{Check, Class, Rule, Start};
use super::{personal, rules};

/// Something that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which rule, as [`Finder::rule`] knows it.
    pub rule: usize,
    /// Where.
    pub at: Range<usize>,
}

/// The rules of some classes, ready to be looked for.
pub struct Finder {
    rules: Vec<&'static Rule>,
    patterns: Vec<OnceLock<Regex>>,
    keywords: AhoCorasick,
    /// For each keyword the rules that have it.
    rules_of: Vec<Vec<usize>>,
    /// The first so many are a user's own: whether each is tried on every text, as it has no keyword.
    own: Vec<bool>,
    /// Whether digits are looked at.
    personal: bool,
    named_secret: Option<usize>,
}

/// Bytes that a pattern sees at most: no format is longer, but for keys that are whole files.
const LONGEST: usize = 1 << 16;

impl Finder {
    /// Looks for what the rules of these classes find, and for secrets by a user's own.
    pub fn new(secrets: bool, personal: bool, own: &OwnRules) -> Self {
        let wanted = |rule: &&Rule| match rule.class {
            Class::Secret => secrets,
            Class::Personal => personal,
        };
        let numbers = personal::NUMBERS.iter();
        let rules: Vec<_> = (own.rules().iter())
            .chain(rules::all().filter(|rule| own.leaves(rule)))
            .filter(wanted)
            .chain(numbers.filter(wanted))
            .collect();
        let mut keywords: Vec<String> = Vec::new();
        let mut rules_of: Vec<Vec<usize>> = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            for keyword in rule.keywords {
                let keyword = keyword.to_ascii_lowercase();
                let place = keywords.iter().position(|one| *one == keyword);
                let place = place.unwrap_or_else(|| {
                    keywords.push(keyword);
                    rules_of.push(Vec::new());
                    keywords.len() - 1
                });
                rules_of[place].push(at);
            }
        }
        let built = AhoCorasickBuilder::new()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&keywords);
        let is_own = |rule: &&&Rule| matches!(rule.check, Check::Own(_));
        Self {
            own: (rules.iter().filter(is_own))
                .map(|rule| rule.keywords.is_empty())
                .collect(),
            patterns: rules.iter().map(|_| OnceLock::new()).collect(),
            named_secret: rules.iter().position(|rule| rule.id == "named-secret"),
            rules,
            keywords: built.expect("a few hundred keywords"),
            rules_of,
            personal,
        }
    }

    /// A rule.
    pub fn rule(&self, at: usize) -> &'static Rule {
        self.rules[at]
    }

    /// The number of rules.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rule of a value that is known by the name of its JSON key.
    pub fn named_secret(&self) -> Option<usize> {
        self.named_secret
    }

    /// Appends what is found, in order, nothing twice: what overlaps is one, by the rule that says most about it.
    pub fn find(&self, text: &[u8], found: &mut Vec<Found>) {
        let first = found.len();
        let mut own = self.own.clone();
        for hit in self.keywords.find_overlapping_iter(text) {
            for &rule in &self.rules_of[hit.pattern().as_usize()] {
                match own.get_mut(rule) {
                    Some(is_there) => *is_there = true,
                    None => found.extend(self.try_rule(rule, text, hit.start())),
                }
            }
        }
        for (rule, _) in own.iter().enumerate().filter(|(_, is_there)| **is_there) {
            if let Check::Own(check) = self.rules[rule].check {
                check.find(text, |at| found.push(Found { rule, at }));
            }
        }
        if self.personal {
            personal::numbers(text, |number, at| {
                let rule = self.rules.len() - personal::NUMBERS.len() + number;
                found.push(Found { rule, at });
            });
        }
        if found.len() > first + 1 {
            self.merge(first, found);
        }
    }

    fn try_rule(&self, at: usize, text: &[u8], keyword: usize) -> Option<Found> {
        let rule = self.rules[at];
        let start = match rule.start {
            Start::Keyword | Start::Anywhere => keyword,
            Start::Before(bytes) => keyword.checked_sub(bytes)?,
            Start::Run(class, most) => {
                let before = text[..keyword].iter().rev().take(most);
                let length = before.take_while(|byte| class(**byte)).count();
                let run = keyword - length;
                run + escape_ahead(text, run)
            }
        };
        // A name may be the end of a longer one.
        let may_begin = match text[start] {
            byte if byte.is_ascii_alphanumeric() => {
                rule.is_generic || is_boundary_before(text, start)
            }
            b'/' => is_root(text, start),
            _ => true,
        };
        if !may_begin {
            return None;
        }
        let end = text.len().min(start + LONGEST);
        let input = Input::new(text).span(start..end).anchored(Anchored::Yes);
        let pattern = self.pattern(at);
        let found = match pattern.group_info().explicit_slot_len() {
            0 => pattern.find(input)?.range(),
            _ => {
                let mut captures = pattern.create_captures();
                pattern.captures(input, &mut captures);
                captures.get_group(1)?.range()
            }
        };
        let matched = &text[found.clone()];
        let is_whole = match (matched.last(), text.get(found.end)) {
            (Some(last), Some(next)) if last.is_ascii_alphanumeric() => {
                !next.is_ascii_alphanumeric() && *next != b'_'
            }
            _ => true,
        };
        let is_named_otherwise =
            rule.is_generic && names_no_secret(name_of(text, start, found.start));
        let is_found = is_whole && !is_named_otherwise && rule.check.holds(matched);
        is_found.then_some(Found {
            rule: at,
            at: found,
        })
    }

    fn pattern(&self, at: usize) -> &Regex {
        self.patterns[at].get_or_init(|| {
            compile(self.rules[at].pattern).expect("a rule's pattern, which a test compiles")
        })
    }

    /// Makes one of what overlaps.
    fn merge(&self, first: usize, found: &mut Vec<Found>) {
        found[first..].sort_by_key(|one| (one.at.start, one.at.end, one.rule));
        let mut kept = first;
        for next in first + 1..found.len() {
            let Found { rule, at } = found[next].clone();
            let last = &mut found[kept];
            // What names a person is looked for again once the secret is out.
            let class = |rule: usize| self.rules[rule].class;
            if at.start >= last.at.end {
                kept += 1;
                found[kept] = Found { rule, at };
            } else if class(rule) != class(last.rule) {
                // A rule of a user's own may match a part of it: what is left would have no form any more.
                let is_own = rule.min(last.rule) < self.own.len();
                let whole = last.at.start..last.at.end.max(at.end);
                if class(rule) == Class::Secret {
                    last.rule = rule;
                    last.at = if is_own { whole } else { at };
                } else if is_own {
                    last.at = whole;
                }
            } else {
                if self.weight(rule, &at) < self.weight(last.rule, &last.at) {
                    last.rule = rule;
                }
                last.at.end = last.at.end.max(at.end);
            }
        }
        found.truncate(kept + 1);
    }

    /// What says most comes first: a format before a name, the longer one, the earlier rule.
    fn weight(&self, rule: usize, at: &Range<usize>) -> (bool, std::cmp::Reverse<usize>, usize) {
        let of = self.rules[rule];
        (of.is_generic, std::cmp::Reverse(at.len()), rule)
    }
}

/// Compiles a pattern as the rules are written: over bytes, classes of ASCII.
///
/// # Errors
/// If it is no regular expression, or too large.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    let built = Regex::builder()
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .configure(
            Regex::config()
                .utf8_empty(false)
                .nfa_size_limit(Some(4 << 20)),
        )
        .build(pattern);
    built.map_err(|error| match error.syntax_error() {
        Some(syntax) => syntax.to_string(),
        None => error.to_string(),
    })
}

/// The whole name in which a keyword stands, before a value.
fn name_of(text: &[u8], keyword: usize, value: usize) -> &[u8] {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let before = text[..keyword]
        .iter()
        .rev()
        .take(40)
        .take_while(is_part)
        .count();
    let behind = text[keyword..value].iter().take_while(is_part).count();
    &text[keyword - before..keyword + behind]
}

/// Whether a path may begin here: with nothing before it but a drive, as in `/c/Users`, or `/var`.
fn is_root(text: &[u8], at: usize) -> bool {
    match text[..at] {
        [.., b'/', b'v', b'a', b'r'] => is_boundary_before(text, at - 4),
        [.., b'/' | b'\\', drive] | [drive] => {
            drive.is_ascii_alphabetic() || !drive.is_ascii_alphanumeric()
        }
        _ => is_boundary_before(text, at),
    }
}

/// The letters at the beginning of a run that belong to an escape before it.
fn escape_ahead(text: &[u8], run: usize) -> usize {
    match (text[..run].last(), text.get(run)) {
        (Some(b'\\'), Some(b'n' | b't' | b'r' | b'b' | b'f')) => 1,
        (Some(b'\\'), Some(b'u')) if text.len() > run + 5 => 5,
        (Some(b'%'), Some(_)) if text.len() > run + 2 => 2,
        _ => 0,
    }
}
