//! The presets: one for each kind of trainer.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Column;
use super::shape::Shape;

/// A shape of dataset that a trainer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// TRL and what reads `messages` as it does: arguments are objects, keys are sparse.
    Trl,
    /// The wire format of chat completions: arguments are text.
    OpenAi,
    /// LLaMA-Factory's `sharegpt` with strict alternation.
    LlamaFactory,
    /// verl: as `openai`, in Parquet with columns for the members of messages and tools.
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

    /// Whether its columns in Parquet are those of the members of its objects, and hold no JSON.
    pub fn is_nested(self) -> bool {
        self == Self::Verl
    }

    /// The columns of its Parquet files, by name and in their order; `tools` is the shape of the tools of all
    /// records, which presets that are not nested do not need. A column of which nothing is known is not there.
    pub fn shapes(self, tools: Shape) -> Vec<(&'static str, Shape)> {
        super::presets::shapes(self, tools)
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
