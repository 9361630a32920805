//! What an engine is to read, and how it is cut into pieces.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use super::Engine;
use super::order::{EngineRules, PieceOrder};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::selection::stratum::StratumId;
use crate::source::files::FilesSource;
use crate::source::{ConversationSource, InputFingerprint, SourceError};
use crate::telemetry::Telemetry;

/// A hash chunk has about so many bytes of the input: its headers take an executor some tens of megabytes.
const CHUNK_BYTES: u64 = 256 << 20;

/// The most chunks of a run.
const MOST_CHUNKS: u32 = 100_000;

/// The most that a setting gets of an engine, for which each is a task and files: 14 ms, in the census and in a round.
const MOST_CHUNKS_ASKED: u32 = 256;

/// Where the rows come from.
#[derive(Debug, Clone)]
pub enum EngineInput {
    /// Files, which executors read.
    Files(FilesSource),
    /// A table of the engine's own, of which a scan is given parts.
    Table,
}

/// What an engine is to read, and how.
#[derive(Debug)]
pub struct EngineParts {
    /// Who schedules and shuffles.
    pub engine: Arc<dyn Engine>,
    /// The rows.
    pub input: EngineInput,
    /// The rules of the run.
    pub rules: EngineRules,
    /// How many candidates of each stratum the first round holds.
    pub candidates: BTreeMap<StratumId, u64>,
    /// Hash chunks, at least; above 256 what the input needs decides.
    pub chunks: u32,
    /// Where is said how far jobs are.
    pub telemetry: Telemetry,
    /// Where is kept what jobs have brought; it goes with the run.
    pub folder: PathBuf,
}

/// The input, and how it is cut.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The files; none of a table.
    pub inputs: Vec<InputFingerprint>,
    /// Hash chunks.
    pub chunks: u32,
    /// The pieces of the files.
    pub pieces: Vec<PieceOrder>,
}

impl EngineParts {
    /// What the source says of itself.
    pub fn describe(&self) -> Value {
        let mut described = match &self.input {
            EngineInput::Files(files) => files.describe(),
            EngineInput::Table => json!({"kind": "table"}),
        };
        described["engine"] = json!(self.engine.name());
        described
    }

    /// Lists the input, and cuts it.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn list(&self) -> Result<Listed, SourceError> {
        let asked = self.chunks.min(MOST_CHUNKS_ASKED);
        let EngineInput::Files(files) = &self.input else {
            return Ok(Listed {
                inputs: Vec::new(),
                chunks: HashChunk::count_apart_from_splits(asked),
                pieces: Vec::new(),
            });
        };
        let survey = files.survey_now()?;
        let inputs = survey.input_fingerprints;
        if let Some(input) = inputs.iter().find(|input| input.path.to_str().is_none()) {
            return Err(SourceError::Unsupported {
                path: input.path.clone(),
                what: "a name that is no text".to_owned(),
                hint: "rename it: executors get names as text".to_owned(),
            });
        }
        let least = survey.bytes.unwrap_or(0).div_ceil(CHUNK_BYTES);
        let least = u32::try_from(least).map_or(MOST_CHUNKS, |least| least.min(MOST_CHUNKS));
        let chunks = HashChunk::count_apart_from_splits(asked.max(least));
        let pieces = survey.chunks.iter().filter_map(|chunk| match chunk {
            Chunk::Piece(piece) => Some(*piece),
            Chunk::Hash(_) => None,
        });
        // Executors work in other folders.
        let files: Vec<InputFingerprint> = inputs
            .iter()
            .map(|input| {
                let path = std::path::absolute(&input.path).map_err(|source| SourceError::Io {
                    path: input.path.clone(),
                    source,
                })?;
                Ok(InputFingerprint { path, ..*input })
            })
            .collect::<Result<_, SourceError>>()?;
        let pieces = (0..).zip(pieces).map(|(number, piece)| PieceOrder {
            number,
            piece,
            input: files[piece.file as usize].clone(),
        });
        Ok(Listed {
            pieces: pieces.collect(),
            chunks,
            inputs,
        })
    }
}
