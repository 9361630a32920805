//! Secrets and personal data: what finds them, and what is put in their place.
//!
//! - [`rules`]: the kinds of keys and of personal data, each with its form and where that is documented.
//! - [`own`]: a user's own rules, written as for gitleaks.
//! - [`finder`]: where in a text one stands. Keywords are looked for, patterns are tried beside them alone.
//! - [`document`]: every text of a record, decoded, also in JSON that is written in a string.
//! - [`tally`]: what was found, counted by rule and place.
//! - [`users`]: what becomes of the names of users.
//! - [`policy`]: `[privacy]`, what is done with all of it.
//! - [`redaction`]: the record with placeholders; it stays JSON of the same shape, and every other byte stays.
//!
//! What is found depends on the text alone, what is put in its place on the text and the key. Nothing here tells the
//! text: a report has the rule, the place and the count.

pub mod checks;
pub mod document;
#[cfg(any(test, feature = "fixtures"))]
pub mod examples;
pub mod finder;
mod names;
pub mod own;
mod personal;
pub mod placeholder;
pub mod policy;
pub mod redaction;
pub mod rule;
pub mod rules;
pub mod tally;
pub mod users;

pub use rules::RULES_VERSION;

#[cfg(test)]
mod tests;
