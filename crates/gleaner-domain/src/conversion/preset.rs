//! The presets: one for each kind of trainer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Column;

/// A shape of dataset that a trainer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// TRL and what reads `messages` as it does: arguments are objects, keys are sparse.
    Trl,
    /// The wire format of chat completions: arguments are text.
    OpenAi,
    /// LLaMA-Factory's `sharegpt` with strict alternation.
    LlamaFactory,
    /// verl: as `openai`, in Parquet.
    Verl,
    /// As `openai`, with ids of calls as mistral-common wants them up to version 11 of its tokenizers.
    Mistral,
    /// Harbor's trajectories, `ATIF-v1.5`.
    Atif,
}

/// No preset has that name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("there is no preset {0:?}: the presets are {names}", names = Preset::names().join(", "))]
pub struct UnknownPreset(pub String);

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 6] = [
        Self::Trl,
        Self::OpenAi,
        Self::LlamaFactory,
        Self::Verl,
        Self::Mistral,
        Self::Atif,
    ];

    /// The names of all.
    pub fn names() -> [&'static str; 6] {
        Self::ALL.map(Self::name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trl => "trl",
            Self::OpenAi => "openai",
            Self::LlamaFactory => "llamafactory",
            Self::Verl => "verl",
            Self::Mistral => "mistral",
            Self::Atif => "atif",
        }
    }

    /// The columns of its rows, in their order. A row need not have all.
    pub fn columns(self) -> Vec<Column> {
        super::presets::columns(self)
    }

    /// Whether each turn has to end with a text of the model: the loader wants people and the model in
    /// turns, or the model last.
    pub fn needs_final_text(self) -> bool {
        matches!(self, Self::LlamaFactory | Self::Mistral)
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = UnknownPreset;

    fn from_str(name: &str) -> Result<Self, UnknownPreset> {
        let mut all = Self::ALL.into_iter();
        let found = all.find(|preset| preset.name() == name);
        found.ok_or_else(|| UnknownPreset(name.to_owned()))
    }
}
