//! What a command came to: the result that is shown, and how the program ends.

use serde_json::Value;

use super::exit::{CliError, Exit};

/// What a command came to.
#[derive(Debug)]
pub struct Outcome {
    /// The result.
    pub shown: Shown,
    /// How the program ends once the result is shown. A command may have one and fail all the same: an export
    /// whose dataset is published, and whose conversion is not.
    pub end: Result<Exit, CliError>,
    /// What to do if the result cannot be shown, where more is at stake than to run the command again.
    pub unseen: Option<String>,
}

impl Outcome {
    /// A result, and the exit code.
    pub fn new(shown: Shown, exit: Exit) -> Self {
        Self {
            shown,
            end: Ok(exit),
            unseen: None,
        }
    }
}

/// A result, for whoever reads it.
#[derive(Debug)]
pub enum Shown {
    /// For a program.
    Json(Value),
    /// For a person.
    Text(String),
    /// For a terminal, with colours of gleaner's own and no other control characters.
    Styled(String),
    /// All there is was written to files.
    Nothing,
}

impl Shown {
    /// JSON, if that is asked for, or text.
    pub fn either(
        json: bool,
        value: impl FnOnce() -> Value,
        text: impl FnOnce() -> String,
    ) -> Self {
        match json {
            true => Self::Json(value()),
            false => Self::Text(text()),
        }
    }
}
