//! `tokenizer.json`, as `tokenizers` reads it.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokenizers::Tokenizer;

use super::{SharedTokenizer, TokenizerError};
use crate::domain::conversion::tokens::{NotEncodable, Tokenize};
use crate::domain::dataset::manifest::hex;

/// A tokenizer, without its own rules of truncation and padding.
struct HuggingFace {
    tokenizer: Tokenizer,
    sha256: String,
}

impl fmt::Debug for HuggingFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HuggingFace")
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

/// Reads a tokenizer.
///
/// # Errors
/// If the file cannot be read or is no tokenizer.
pub fn load(path: &Path) -> Result<SharedTokenizer, TokenizerError> {
    let bytes = fs::read(path).map_err(|source| TokenizerError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |reason: tokenizers::Error| TokenizerError::NotATokenizer {
        path: path.to_owned(),
        reason: reason.to_string(),
    };
    let mut tokenizer = Tokenizer::from_bytes(&bytes).map_err(wrong)?;
    // A saved tokenizer may cut and fill texts; a length is that of the whole text.
    tokenizer.with_truncation(None).map_err(wrong)?;
    tokenizer.with_padding(None);
    Ok(Arc::new(HuggingFace {
        tokenizer,
        sha256: hex(&Sha256::digest(&bytes)),
    }))
}

impl Tokenize for HuggingFace {
    fn sha256(&self) -> &str {
        &self.sha256
    }

    fn count(&self, text: &str) -> Result<u64, NotEncodable> {
        // The reason may quote the text.
        let encoded = self.tokenizer.encode_fast(text, false);
        Ok(encoded.map_err(|_| NotEncodable)?.len() as u64)
    }

    fn ends(&self, text: &str) -> Result<Vec<usize>, NotEncodable> {
        let encoded = self.tokenizer.encode(text, false);
        let encoded = encoded.map_err(|_| NotEncodable)?;
        Ok(encoded.get_offsets().iter().map(|&(_, end)| end).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words between white space; the file says that texts are cut and filled, which lengths do not heed.
    fn tokenizer(vocabulary: &str, unknown: &str) -> Result<SharedTokenizer, TokenizerError> {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("tokenizer.json");
        let truncation =
            r#"{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0}"#;
        let padding = r#"{"strategy":{"Fixed":9},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"a"}"#;
        let json = format!(
            r#"{{"version":"1.0","truncation":{truncation},"padding":{padding},"added_tokens":[],"normalizer":null,"pre_tokenizer":{{"type":"WhitespaceSplit"}},"post_processor":null,"decoder":null,"model":{{"type":"WordLevel","vocab":{{{vocabulary}}},"unk_token":"{unknown}"}}}}"#
        );
        fs::write(&file, json).expect("writable");
        load(&file)
    }

    #[test]
    fn the_whole_text_is_counted() {
        let tokenizer = tokenizer(r#""a":0,"?":1"#, "?").expect("a tokenizer");
        assert_eq!(tokenizer.count("a b  c d"), Ok(4));
        assert_eq!(tokenizer.count(""), Ok(0));
        assert_eq!(tokenizer.ends("é b\ncc"), Ok(vec![2, 4, 7]));
        assert_eq!(tokenizer.sha256().len(), 64);
    }

    #[test]
    fn what_cannot_be_used_is_said() {
        let lacking = tokenizer(r#""a":0"#, "?").expect("a tokenizer");
        assert_eq!(lacking.count("a secret"), Err(NotEncodable));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("t.json");
        assert!(matches!(
            load(&file),
            Err(TokenizerError::Unreadable { .. })
        ));
        fs::write(&file, "{}").expect("writable");
        assert!(matches!(
            load(&file),
            Err(TokenizerError::NotATokenizer { .. })
        ));
    }
}
