//! What a configuration asks of records beyond gleaner's own rules: that a loader takes them, and that
//! they are not too long.

use std::num::NonZeroU64;
use std::sync::Arc;

use crate::conversion::rule::Rule;
use crate::conversion::tokens::{self, NotEncodable, Tokenize};
use crate::conversion::{Converter, Options, Preset};
use crate::record::validation::Code;

/// A preset and one of the rules by which it drops records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unfit {
    preset: Preset,
    rule: Rule,
}

macro_rules! unfit {
    ($($preset:ident $name:literal),+) => {
        impl Unfit {
            /// Every preset with the rules that drop records as conversions are made by default.
            pub const ALL: [Self; 12] = [$(
                Self { preset: Preset::$preset, rule: Rule::EmptyReply },
                Self { preset: Preset::$preset, rule: Rule::NothingLeft },
            )+];

            /// The stable name: `not_for:trl:empty_reply`.
            pub fn code(self) -> &'static str {
                match (self.preset, self.rule) {
                    $((Preset::$preset, Rule::EmptyReply) => concat!("not_for:", $name, ":empty_reply"),
                    (Preset::$preset, _) => concat!("not_for:", $name, ":nothing_left"),)+
                }
            }
        }
    };
}

unfit!(Trl "trl", OpenAi "openai", LlamaFactory "llamafactory", Verl "verl", Mistral "mistral", Atif "atif");

/// How records are measured, and how long they may be.
#[derive(Debug, Clone)]
pub struct TokenLimit {
    /// The most tokens of a record's texts; `None`: any number.
    pub max_tokens: Option<NonZeroU64>,
    /// The SHA-256 of the tokenizer that counts them.
    pub sha256: String,
    /// The tokenizer; `None` if it is not at hand, and lengths cannot be checked.
    pub tokenizer: Option<Arc<dyn Tokenize>>,
}

impl PartialEq for TokenLimit {
    fn eq(&self, other: &Self) -> bool {
        (self.max_tokens, &self.sha256) == (other.max_tokens, &other.sha256)
    }
}

/// What a configuration asks of records.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fitness {
    valid_for: Vec<Preset>,
    limit: Option<TokenLimit>,
}

impl Fitness {
    /// Records that these presets take and that are no longer than the limit.
    pub fn new(mut valid_for: Vec<Preset>, limit: Option<TokenLimit>) -> Self {
        valid_for.sort_unstable();
        valid_for.dedup();
        Self { valid_for, limit }
    }

    /// `selection.valid_for`
    pub fn valid_for(&self) -> &[Preset] {
        &self.valid_for
    }

    /// `selection.max_tokens`
    pub fn limit(&self) -> Option<&TokenLimit> {
        self.limit.as_ref()
    }

    /// Whether nothing is asked: a record need not be read for it.
    pub fn is_empty(&self) -> bool {
        self.valid_for.is_empty() && self.limit.is_none()
    }

    /// Whether there is a limit that cannot be checked.
    pub fn lacks_tokenizer(&self) -> bool {
        let limit = self.limit.as_ref();
        limit.is_some_and(|limit| limit.max_tokens.is_some() && limit.tokenizer.is_none())
    }

    /// The same with this tokenizer, if it is the one that the limit is counted by.
    #[must_use]
    pub fn with_tokenizer(mut self, tokenizer: Arc<dyn Tokenize>) -> Self {
        let own = self.limit.as_mut();
        if let Some(limit) = own.filter(|limit| limit.sha256 == tokenizer.sha256()) {
            limit.tokenizer = Some(tokenizer);
        }
        self
    }

    /// What is wrong with a record, each code once, in the order of codes, and its length in tokens if that is
    /// counted. A text that is no record has other faults.
    pub fn faults(&self, record: &[u8]) -> (Vec<(Code, String)>, Option<u64>) {
        let mut faults = Vec::new();
        let tokens = self.tokens(record);
        if let Some(what) = tokens.and_then(|tokens| self.too_long(tokens)) {
            faults.push((Code::TooLong, what));
        }
        for &preset in &self.valid_for {
            let converter = Converter::new(preset, Options::default());
            if let Ok(Some(rule)) = converter.dropped_by(record) {
                let what = format!("{preset} would drop it");
                faults.push((Code::Unfit(Unfit { preset, rule }), what));
            }
        }
        (faults, tokens.and_then(Result::ok))
    }

    fn tokens(&self, record: &[u8]) -> Option<Result<u64, NotEncodable>> {
        let tokenizer = self.limit.as_ref()?.tokenizer.as_deref()?;
        tokens::of_record(record, tokenizer).ok()
    }

    fn too_long(&self, tokens: Result<u64, NotEncodable>) -> Option<String> {
        let most = self.limit.as_ref()?.max_tokens?;
        match tokens {
            Ok(tokens) if tokens <= most.get() => None,
            Ok(tokens) => Some(format!("{tokens} tokens, at most {most} are allowed")),
            Err(error) => Some(error.to_string()),
        }
    }
}
