//! Lengths in tokens: a trainer's `tokenizer.json`, and the chat template that comes with it.
//!
//! Both are read from files of the user's own; nothing is ever fetched. The tokenizer is `tokenizers`, the
//! one that trainers use, so counts are theirs. Templates are Jinja, rendered by `minijinja` with what
//! `transformers` adds: `tojson` as Python writes JSON, `raise_exception`, `strftime_now`, loop controls,
//! `generation` blocks and Python's methods.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

use crate::domain::conversion::check::Render;
use crate::domain::conversion::tokens::Tokenize;

#[cfg(feature = "tokenizer")]
mod hugging_face;
#[cfg(feature = "tokenizer")]
mod python;
#[cfg(feature = "tokenizer")]
mod template;

#[cfg(feature = "tokenizer")]
pub use hugging_face::load;
#[cfg(feature = "tokenizer")]
pub use template::load as load_template;

#[cfg(not(feature = "tokenizer"))]
mod absent;
#[cfg(not(feature = "tokenizer"))]
pub use absent::{load, load_template};

/// A tokenizer that threads share.
pub type SharedTokenizer = Arc<dyn Tokenize>;

/// A template that threads share.
pub type SharedTemplate = Arc<dyn Render>;

/// Why a tokenizer or a template cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no tokenizer.
    #[error("{} is no tokenizer: {reason}", path.display())]
    NotATokenizer {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
    /// There is no such template.
    #[error("there is no template {name:?}; there are {known}")]
    NoTemplate {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// The template is no Jinja.
    #[error("the template {name} is no Jinja: {reason}")]
    BadTemplate {
        /// Its name or its file.
        name: String,
        /// What the parser says.
        reason: String,
    },
    /// This build cannot count tokens.
    #[error(
        "this build of gleaner has neither tokenizers nor templates: it was made without the feature `tokenizer`"
    )]
    NotInBuild,
}

impl TokenizerError {
    /// What a person should do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "name a file that is there",
            Self::NotATokenizer { .. } => {
                "name the tokenizer.json of the model that will be trained, as `tokenizers` saves it"
            }
            Self::NoTemplate { .. } => {
                "name a file with a template, or one of the tokenizer's own: they lie beside tokenizer.json"
            }
            Self::BadTemplate { .. } => "correct the template",
            Self::NotInBuild => {
                "`cargo install --path . --features tokenizer` makes one that does, and so is what `./dist.sh` builds"
            }
        }
    }
}
