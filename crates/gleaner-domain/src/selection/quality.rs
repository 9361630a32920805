//! What is not certain about a record.

use std::fmt;

/// A code of a record's or a turn's `quality`. The names are stable: records and
/// `selection.reject_quality` use them. In the order of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum QualityCode {
    /// The model's text may go on behind what is there.
    ModelTextCut,
    /// No length and no second source says that the model's text is the last round's, and whole.
    ModelTextUnconfirmed,
    /// A model call is known, and its token counts are not.
    TokensMissing,
    /// Tool calls were made, or may have been made, that are not in the trajectory.
    ToolCallsUnknown,
    /// (Record) The definitions of the tools that were offered are not there.
    ToolsUnknown,
    /// The user's text may go on behind what is there, or is not there.
    UserTextCut,
    /// White space of the user's text is missing, at its ends or where it was split.
    UserTextTrimmed,
}

impl QualityCode {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 7] = [
        Self::ModelTextCut,
        Self::ModelTextUnconfirmed,
        Self::TokensMissing,
        Self::ToolCallsUnknown,
        Self::ToolsUnknown,
        Self::UserTextCut,
        Self::UserTextTrimmed,
    ];

    /// The code as records have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ModelTextCut => "model_text_cut",
            Self::ModelTextUnconfirmed => "model_text_unconfirmed",
            Self::TokensMissing => "tokens_missing",
            Self::ToolCallsUnknown => "tool_calls_unknown",
            Self::ToolsUnknown => "tools_unknown",
            Self::UserTextCut => "user_text_cut",
            Self::UserTextTrimmed => "user_text_trimmed",
        }
    }

    /// The rule that refuses it, for `selection.reject_quality`.
    pub fn rule(self) -> &'static str {
        match self {
            Self::ModelTextCut => "quality:model_text_cut",
            Self::ModelTextUnconfirmed => "quality:model_text_unconfirmed",
            Self::TokensMissing => "quality:tokens_missing",
            Self::ToolCallsUnknown => "quality:tool_calls_unknown",
            Self::ToolsUnknown => "quality:tools_unknown",
            Self::UserTextCut => "quality:user_text_cut",
            Self::UserTextTrimmed => "quality:user_text_trimmed",
        }
    }

    /// The code of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }
}

impl fmt::Display for QualityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct QualityCodes(u8);

impl QualityCodes {
    /// Adds a code.
    pub fn insert(&mut self, code: QualityCode) {
        self.0 |= 1 << code as u8;
    }

    /// Whether a code is in it.
    pub fn contains(self, code: QualityCode) -> bool {
        self.0 & 1 << code as u8 != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The codes, by name.
    pub fn iter(self) -> impl Iterator<Item = QualityCode> {
        QualityCode::ALL
            .into_iter()
            .filter(move |&code| self.contains(code))
    }
}

impl FromIterator<QualityCode> for QualityCodes {
    fn from_iter<I: IntoIterator<Item = QualityCode>>(codes: I) -> Self {
        let mut set = Self::default();
        codes.into_iter().for_each(|code| set.insert(code));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_the_order_of_their_names_and_found_by_them() {
        assert!(QualityCode::ALL.is_sorted_by_key(|code| code.name()));
        for (place, code) in QualityCode::ALL.into_iter().enumerate() {
            assert_eq!(code as usize, place);
            assert_eq!(QualityCode::named(code.name()), Some(code));
            assert_eq!(code.rule(), format!("quality:{code}"));
        }
        assert_eq!(QualityCode::named("perfect"), None);
        let mut codes = QualityCodes::default();
        codes.insert(QualityCode::UserTextCut);
        codes.insert(QualityCode::ModelTextCut);
        let names: Vec<_> = codes.iter().map(QualityCode::name).collect();
        assert_eq!(names, ["model_text_cut", "user_text_cut"]);
    }
}
