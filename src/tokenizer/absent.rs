//! In place of tokenizers and templates, in a build without the feature `tokenizer`.

use std::path::Path;

use super::{SharedTemplate, SharedTokenizer, TokenizerError};

/// No tokenizer.
///
/// # Errors
/// Always.
pub fn load(_path: &Path) -> Result<SharedTokenizer, TokenizerError> {
    Err(TokenizerError::NotInBuild)
}

/// No template.
///
/// # Errors
/// Always.
pub fn load_template(
    _name: &str,
    _tokenizer: Option<&Path>,
    _now: &str,
) -> Result<SharedTemplate, TokenizerError> {
    Err(TokenizerError::NotInBuild)
}
