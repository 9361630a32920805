//! The codes of what is wrong with a record.

use std::fmt;

use crate::selection::fitness::Unfit;
use crate::selection::quality::QualityCode;

/// The stable name of a rule, as reports and `metadata.json` use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// `missing_field:conversationId`
    MissingConversationId,
    /// `missing_field:userName`
    MissingUserName,
    /// `missing_field:bucket`
    MissingBucket,
    /// `missing_field:turnsArray`
    MissingTurnsArray,
    /// `missing_group`: nothing that `selection.split_by` could go by
    MissingGroup,
    /// `split_mismatch`
    SplitMismatch,
    /// `first_turn`
    FirstTurn,
    /// `turn_sequence`
    TurnSequence,
    /// `bucket_mismatch`
    BucketMismatch,
    /// `empty_user_message`
    EmptyUserMessage,
    /// `lone_surrogate`
    LoneSurrogate,
    /// `too_large`: put together it is larger than `limits.max_record`
    TooLarge,
    /// `quality:<code>`, of `selection.reject_quality`
    Quality(QualityCode),
    /// `too_long`: more than `selection.max_tokens`
    TooLong,
    /// `not_for:<preset>:<rule>`, of `selection.valid_for`
    Unfit(Unfit),
    /// `secret:<rule>`, with `privacy.* = "reject"`
    Secret(&'static str),
    /// `contaminated`: repeats the benchmark of this number, see [`crate::decontamination`]
    Contaminated(u16),
    /// `record_panic`: no rule, but a defect; gleaner cannot work on the record
    RecordPanic,
    /// `empty_model_message`, a warning
    EmptyModelMessage,
    /// `token_counts`, a warning
    TokenCounts,
    /// Of a rule of the host's own: see [`crate::record::rule::Rule`].
    Custom {
        /// The rule's name.
        name: &'static str,
        /// Whether it is no warning.
        is_fatal: bool,
    },
}

/// The name of [`Code::Contaminated`].
pub const CONTAMINATED: &str = "contaminated";

impl Code {
    /// Every code of gleaner's own rules, in the order of reports.
    pub const ALL: [Self; 36] = [
        Self::MissingConversationId,
        Self::MissingUserName,
        Self::MissingBucket,
        Self::MissingTurnsArray,
        Self::MissingGroup,
        Self::SplitMismatch,
        Self::FirstTurn,
        Self::TurnSequence,
        Self::BucketMismatch,
        Self::EmptyUserMessage,
        Self::LoneSurrogate,
        Self::TooLarge,
        Self::Quality(QualityCode::ModelTextCut),
        Self::Quality(QualityCode::ModelTextUnconfirmed),
        Self::Quality(QualityCode::TokensMissing),
        Self::Quality(QualityCode::ToolCallsUnknown),
        Self::Quality(QualityCode::ToolsUnknown),
        Self::Quality(QualityCode::UserTextCut),
        Self::Quality(QualityCode::UserTextTrimmed),
        Self::TooLong,
        Self::Unfit(Unfit::ALL[0]),
        Self::Unfit(Unfit::ALL[1]),
        Self::Unfit(Unfit::ALL[2]),
        Self::Unfit(Unfit::ALL[3]),
        Self::Unfit(Unfit::ALL[4]),
        Self::Unfit(Unfit::ALL[5]),
        Self::Unfit(Unfit::ALL[6]),
        Self::Unfit(Unfit::ALL[7]),
        Self::Unfit(Unfit::ALL[8]),
        Self::Unfit(Unfit::ALL[9]),
        Self::Unfit(Unfit::ALL[10]),
        Self::Unfit(Unfit::ALL[11]),
        Self::Contaminated(0),
        Self::RecordPanic,
        Self::EmptyModelMessage,
        Self::TokenCounts,
    ];

    /// The stable name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MissingConversationId => "missing_field:conversationId",
            Self::MissingUserName => "missing_field:userName",
            Self::MissingBucket => "missing_field:bucket",
            Self::MissingTurnsArray => "missing_field:turnsArray",
            Self::MissingGroup => "missing_group",
            Self::SplitMismatch => "split_mismatch",
            Self::FirstTurn => "first_turn",
            Self::TurnSequence => "turn_sequence",
            Self::BucketMismatch => "bucket_mismatch",
            Self::EmptyUserMessage => "empty_user_message",
            Self::LoneSurrogate => "lone_surrogate",
            Self::TooLarge => "too_large",
            Self::Quality(code) => code.rule(),
            Self::TooLong => "too_long",
            Self::Unfit(unfit) => unfit.code(),
            Self::Secret(code) => code,
            Self::Contaminated(_) => CONTAMINATED,
            Self::RecordPanic => "record_panic",
            Self::EmptyModelMessage => "empty_model_message",
            Self::TokenCounts => "token_counts",
            Self::Custom { name, .. } => name,
        }
    }

    /// Whether a record with this finding must not be published.
    pub fn is_fatal(self) -> bool {
        match self {
            Self::EmptyModelMessage | Self::TokenCounts => false,
            Self::Custom { is_fatal, .. } => is_fatal,
            _ => true,
        }
    }

    /// The warnings, which `metadata.json` counts.
    pub fn warnings() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|code| !code.is_fatal())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
