//! Rules of a host's own, besides the nine that gleaner has.

/// A rule that records are held against, after gleaner's own.
///
/// A rule must be pure: the same record gets the same answer, whatever was asked before and on
/// whatever thread, or two runs over the same data would differ. It is asked once for each record
/// that is looked at, in any order, from several threads. Should it panic it is asked again; should
/// it panic twice the record is invalid (`record_panic`).
///
/// ```
/// use gleaner_domain::record::rule::{Candidate, Rule};
///
/// /// No record is longer than a context window.
/// struct FitsContext(usize);
///
/// impl Rule for FitsContext {
///     fn name(&self) -> &'static str {
///         "context_window"
///     }
///
///     fn check(&self, record: &Candidate<'_>) -> Option<String> {
///         let bytes = record.bytes.len();
///         (bytes > self.0).then(|| format!("{bytes} bytes, more than {}", self.0))
///     }
/// }
/// ```
pub trait Rule: Send + Sync + 'static {
    /// Its stable name, the code in reports and `metadata.json`: letters, digits, `_` and `:`, and
    /// none that gleaner's rules have.
    fn name(&self) -> &'static str;

    /// Counts up when the rule's answers change: a run that began under another version is not
    /// resumed.
    fn version(&self) -> u32 {
        1
    }

    /// Whether a record that breaks it is left out; else it is a warning, and counted.
    fn is_fatal(&self) -> bool {
        true
    }

    /// What is wrong with a record, and where (`at turn 3`); `None` if nothing is. What is said is
    /// reported and logged: it must never hold text of the conversation.
    fn check(&self, record: &Candidate<'_>) -> Option<String>;
}

/// A record that a rule looks at.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    /// The record as it would be written: one JSON object.
    pub bytes: &'a [u8],
    /// The split that it would be in.
    pub split: &'a str,
    /// Its number of turns.
    pub turns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_says_nothing_else_is_fatal_and_of_version_1() {
        struct Plain;

        impl Rule for Plain {
            fn name(&self) -> &'static str {
                "plain"
            }

            fn check(&self, _: &Candidate<'_>) -> Option<String> {
                None
            }
        }

        assert_eq!((Plain.version(), Plain.is_fatal()), (1, true));
    }
}
