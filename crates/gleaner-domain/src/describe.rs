//! An error with its causes, for a person.

use std::error::Error;

/// What an error says, and after it each of its causes, from the nearest on: `cannot read a.jsonl:
/// permission denied`. The errors of gleaner do not repeat what their cause says.
pub fn describe_error(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use thiserror::Error;

    #[derive(Debug, Error)]
    #[error("the disk is full")]
    struct Full;

    #[derive(Debug, Error)]
    #[error("cannot write a.jsonl")]
    struct Write {
        source: Full,
    }

    #[derive(Debug, Error)]
    enum Run {
        #[error("chunk 3 failed")]
        Chunk { source: Write },
        #[error(transparent)]
        Plain(#[from] Write),
    }

    #[test]
    fn each_cause_is_said_once() {
        let chunk = Run::Chunk {
            source: Write { source: Full },
        };
        let said = "chunk 3 failed: cannot write a.jsonl: the disk is full";
        assert_eq!(describe_error(&chunk), said);
        let plain = Run::from(Write { source: Full });
        assert_eq!(
            describe_error(&plain),
            "cannot write a.jsonl: the disk is full"
        );
        assert_eq!(describe_error(&Full), "the disk is full");
    }
}
