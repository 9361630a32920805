//! What executors are given: the rules of the run, and what the job is to bring.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use super::EngineError;
use crate::domain::copilot_chat::membership::MembershipRules;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::assembler::Nested;
use crate::domain::record::rename::Renames;
use crate::domain::record::row::RowShape;
use crate::domain::record::timestamp::Ticks;
use crate::domain::scheduling::chunk::{Chunk, Piece};
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::domain::selection::group::GroupField;
use crate::domain::selection::rank::Rank;
use crate::domain::selection::stratum::{Bucket, Selection, Split, StratumId};
use crate::pipeline::ingest::chunk_reader::RowRules;
use crate::source::files::FilesSource;
use crate::source::{InputFingerprint, SourceError};

/// The rules of a run, as far as executors need them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineRules {
    /// `selection.seed`
    pub seed: String,
    /// In their order.
    pub splits: Vec<Split>,
    /// In their order.
    pub buckets: Vec<Bucket>,
    /// Split, bucket and how many; those of nobody are not there.
    pub targets: Vec<(String, String, u64)>,
    /// `selection.split_by`
    pub split_by: Option<String>,
    /// Ids that stand for "no id".
    pub ignore_ids: Vec<String>,
    /// First instant inside, first instant outside.
    pub window: [Option<Ticks>; 2],
    /// The rows that exist for the run, in the same way.
    pub look: [Option<Ticks>; 2],
    /// `limits.max_record`
    pub max_record: u64,
    /// The largest window of a zstd frame.
    pub max_window: u64,
    /// `[source.fields]`
    pub fields: BTreeMap<String, String>,
    /// `source.schema`
    pub schema: Option<RowShape>,
    /// Whether nested values of assembled records are written with sorted keys.
    pub sorts_keys: bool,
    /// Which requests of Copilot Chat are turns, and whether other conversations keep what the window leaves of them.
    pub membership: MembershipRules,
    /// Whether values of malformed rows may be shown.
    pub quotes_values: bool,
}

impl EngineRules {
    /// Of a selection what decides where conversations belong.
    ///
    /// # Errors
    /// If it is none that could have been sent.
    pub fn selection(&self) -> Result<Selection, EngineError> {
        let splits = self.splits.clone();
        let buckets = self.buckets.clone();
        let selection = Selection::new(&self.seed, 0.0, splits, buckets, &self.targets)
            .map_err(|error| EngineError::order(&error))?;
        let field = self.split_by.as_deref().map(GroupField::new).transpose();
        let field = field.map_err(|reason| EngineError::order(&reason))?;
        Ok(selection.splitting_by(field))
    }

    /// How nested values of assembled records are written.
    pub fn nested(&self) -> Nested {
        match self.sorts_keys {
            true => Nested::Sorted,
            false => Nested::AsIs,
        }
    }

    /// Fields that have other names in the files.
    ///
    /// # Errors
    /// If they are none that could have been sent.
    pub fn renames(&self) -> Result<Renames, EngineError> {
        Renames::new(self.fields.clone()).map_err(|error| EngineError::order(&error))
    }

    /// How Copilot Chat telemetry becomes conversations.
    pub fn copilot_chat(&self) -> CopilotChatRules {
        CopilotChatRules {
            membership: self.membership.clone(),
            ..CopilotChatRules::of_agents(self.max_record)
        }
    }

    /// Which rows are wanted.
    pub fn row_rules(&self, selection: Selection, exclude: &Exclude) -> RowRules {
        let [start, end] = self.window;
        let [look_start, look_end] = self.look;
        RowRules {
            ignore_ids: (self.ignore_ids.iter().cloned())
                .map(String::into_bytes)
                .collect(),
            excluded: Arc::new(exclude.list.resolve(&exclude.found)),
            window: start..end,
            look: look_start..look_end,
            max_record: self.max_record,
            selection: Arc::new(selection),
            nested: self.nested(),
            schema: self.schema,
            copilot_chat: Arc::new(self.copilot_chat()),
            quotes_values: self.quotes_values,
        }
    }
}

/// What the run leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Exclude {
    /// `selection.exclude`
    pub list: ExcludeList,
    /// The conversations of its users, once they are found.
    pub found: FoundUsers,
}

/// What a job brings of each chunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Brings {
    /// The conversations of the users that are left out: each piece says so itself.
    Users,
    /// Which conversations there are: those that are best of each stratum, so that a run that wants so many candidates
    /// of all chunks finds them among them.
    Census(BTreeMap<StratumId, u64>),
    /// The same: those up to some ranks; `None`: all.
    CensusUpTo(BTreeMap<StratumId, Option<Rank>>),
    /// The same of the conversations that are wanted, which a census could not decide without their payloads.
    Decisions,
    /// The records of the conversations that are wanted; of Copilot Chat telemetry their rows, and which shared rows
    /// these name.
    Records,
    /// Of Copilot Chat telemetry the shared rows that are wanted.
    SharedRows,
}

impl Brings {
    /// Whether rows go with their payloads, and only those that are wanted.
    pub fn has_payloads(&self) -> bool {
        match self {
            Self::Users | Self::Decisions | Self::Records | Self::SharedRows => true,
            Self::Census(_) | Self::CensusUpTo(_) => false,
        }
    }
}

/// What all executors of a job are given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// What tells the job from any other.
    pub job: u64,
    /// The rules of the run.
    pub rules: EngineRules,
    /// What is left out.
    pub exclude: Exclude,
    /// Whether the rows are those of a table: it may have others in the next job.
    pub of_table: bool,
    /// Hash chunks.
    pub chunks: u32,
    /// Chunks that an earlier job has brought: they are counted, and not sent.
    pub done: Vec<u32>,
    /// What is brought.
    pub brings: Brings,
    /// The hashes of the ids of what is wanted, in order, where not all is.
    #[serde(skip)]
    pub wanted: Vec<i64>,
}

impl Order {
    /// As it travels: its length in JSON (u64), the JSON, and the hashes (i64 each).
    pub fn to_bytes(&self) -> Vec<u8> {
        // It has nothing that JSON cannot hold.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(&json);
        for hash in &self.wanted {
            bytes.extend_from_slice(&hash.to_le_bytes());
        }
        bytes
    }

    /// As it has travelled.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let cut = || EngineError::order(&"it is cut off");
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(cut)?;
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| cut())?;
        let (json, hashes) = rest.split_at_checked(length).ok_or_else(cut)?;
        let mut order: Self =
            serde_json::from_slice(json).map_err(|error| EngineError::order(&error))?;
        let (hashes, rest) = hashes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(cut());
        }
        order.wanted = hashes.iter().copied().map(i64::from_le_bytes).collect();
        Ok(order)
    }

    /// With the number of its job: the same every time, whatever an earlier job has brought of it.
    pub fn numbered(self) -> Self {
        let whole = Self {
            job: 0,
            done: Vec::new(),
            ..self.clone()
        };
        Self {
            job: xxh3_64(&whole.to_bytes()),
            ..self
        }
    }
}

/// What the executor of a piece is given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PieceOrder {
    /// Its number.
    pub number: u32,
    /// What of the file.
    pub piece: Piece,
    /// The file, as it was when the run started.
    pub input: InputFingerprint,
}

impl PieceOrder {
    /// As it travels.
    pub fn to_bytes(&self) -> Vec<u8> {
        // It has nothing that JSON cannot hold: paths that are no text were refused before.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// As it has travelled.
    ///
    /// # Errors
    /// If it is none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        serde_json::from_slice(bytes).map_err(|error| EngineError::order(&error))
    }

    /// A Parquet file of an executor's own, that holds a part of a table.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn of_table(number: u32, path: PathBuf) -> Result<Self, SourceError> {
        let whole = FilesSource::new(vec![path.clone()], NonZeroU32::MIN, u64::MAX).survey_now()?;
        let ends = whole.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Piece(piece) => Some(piece.end),
            Chunk::Hash(_) => None,
        });
        match (ends.max(), whole.input_fingerprints.into_iter().next()) {
            (Some(end), Some(input)) => Ok(Self {
                number,
                piece: Piece {
                    file: 0,
                    start: 0,
                    end,
                },
                input,
            }),
            _ => Err(SourceError::NoInput(path.display().to_string())),
        }
    }
}
