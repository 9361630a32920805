//! A contract is a list of clauses; a check says which one does not hold, and how.

use std::error::Error;

use crate::domain::describe_error;

/// A sentence of a contract.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clause(pub &'static str);

/// A clause that does not hold.
#[derive(Debug)]
pub(super) struct Violation {
    clause: Clause,
    how: String,
}

/// The result of a check.
pub(super) type Verdict<T = ()> = Result<T, Violation>;

impl Clause {
    /// The clause does not hold.
    pub fn broken<T>(self, how: impl Into<String>) -> Verdict<T> {
        Err(Violation {
            clause: self,
            how: how.into(),
        })
    }

    /// The clause holds if `holds` does.
    pub fn check(self, holds: bool, how: impl FnOnce() -> String) -> Verdict {
        match holds {
            true => Ok(()),
            false => self.broken(how()),
        }
    }

    /// The clause says that `what` succeeds.
    pub fn succeeds<T, E: Error>(self, what: &str, result: Result<T, E>) -> Verdict<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.broken(format!("{what} failed: {}", describe_error(&error))),
        }
    }
}

/// Panics if a clause of a contract does not hold.
pub(super) fn held(whose: &str, verdict: Verdict) {
    if let Err(Violation { clause, how }) = verdict {
        panic!(
            "{whose} breaks its contract\n  clause: {}\n  how: {how}",
            clause.0
        );
    }
}
