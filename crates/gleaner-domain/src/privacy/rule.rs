//! What a rule is: data, written from the documented format of a kind of key.

use super::checks;
use super::own::OwnCheck;

/// What is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// A key, a token, a password.
    Secret,
    /// What names a person or a place.
    Personal,
}

impl Class {
    /// The name, as in `[privacy]` and in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Personal => "personal",
        }
    }
}

/// Where what is found begins, seen from its keyword.
#[derive(Debug, Clone, Copy)]
pub enum Start {
    /// With the keyword.
    Keyword,
    /// A number of bytes before it.
    Before(usize),
    /// With the run of such bytes, at most as many, that ends before it.
    Run(fn(u8) -> bool, usize),
    /// Anywhere in a text that has one of its keywords, or in any if there are none.
    Anywhere,
}

/// What a match must hold besides its pattern.
#[derive(Debug, Clone, Copy)]
pub enum Check {
    /// Nothing.
    None,
    /// At least so many bits of Shannon entropy a character.
    Entropy(f64),
    /// A function of the bytes that were found.
    Fn(fn(&[u8]) -> bool),
    /// What a user's own rule asks for.
    Own(&'static OwnCheck),
}

impl Check {
    /// Whether it holds for what was found.
    pub fn holds(self, found: &[u8]) -> bool {
        match self {
            Self::None => true,
            Self::Entropy(least) => checks::entropy(found) >= least,
            Self::Fn(check) => check(found),
            // It looks at more than what was found, and has looked.
            Self::Own(_) => true,
        }
    }
}

/// A kind of key, token or personal datum.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// The stable name, as reports and `secret:<rule>` use it.
    pub id: &'static str,
    /// The name in a placeholder: capital letters, digits and `_`.
    pub placeholder: &'static str,
    /// What it finds.
    pub class: Class,
    /// Where the format is documented.
    pub source: &'static str,
    /// One of these stands in every match, in any case of letters. Only there is the pattern tried.
    pub keywords: &'static [&'static str],
    /// Where a match begins.
    pub start: Start,
    /// A regular expression over bytes, matched from the beginning of the match; the first group, if there is one, is
    /// what is found.
    pub pattern: &'static str,
    /// What a match must hold besides.
    pub check: Check,
    /// Whether the name beside a value is all that it is known by: any other rule goes before it.
    pub is_generic: bool,
}

impl Rule {
    pub(super) const fn secret(
        id: &'static str,
        placeholder: &'static str,
        source: &'static str,
        keywords: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        Self {
            id,
            placeholder,
            class: Class::Secret,
            source,
            keywords,
            start: Start::Keyword,
            pattern,
            // What people write to show a format is one letter, many times.
            check: Check::Entropy(2.5),
            is_generic: false,
        }
    }

    pub(super) const fn personal(
        id: &'static str,
        placeholder: &'static str,
        source: &'static str,
        keywords: &'static [&'static str],
        pattern: &'static str,
    ) -> Self {
        Self {
            class: Class::Personal,
            check: Check::None,
            ..Self::secret(id, placeholder, source, keywords, pattern)
        }
    }

    pub(super) const fn before(self, bytes: usize) -> Self {
        Self {
            start: Start::Before(bytes),
            ..self
        }
    }

    pub(super) const fn run(self, class: fn(u8) -> bool, most: usize) -> Self {
        Self {
            start: Start::Run(class, most),
            ..self
        }
    }

    pub(super) const fn checked(self, check: fn(&[u8]) -> bool) -> Self {
        Self {
            check: Check::Fn(check),
            ..self
        }
    }

    pub(super) const fn unchecked(self) -> Self {
        Self {
            check: Check::None,
            ..self
        }
    }

    pub(super) const fn generic(self) -> Self {
        Self {
            is_generic: true,
            ..self
        }
    }
}
