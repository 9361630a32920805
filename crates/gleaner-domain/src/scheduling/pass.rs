//! A pass over the chunks: which rows of each are fetched, and sealed together.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chunk::Chunk;

/// Which rows of a chunk are fetched, and kept together. A source without a census is read in one
/// pass ([`Pass::All`]); of one with a census the census is fetched, and then, in one round or more,
/// the candidates. The names in sealed chunks are older than those here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// All rows, whole.
    #[serde(rename = "whole")]
    All,
    /// Of every conversation its id, number of turns and time alone.
    Census,
    /// The same of the conversations up to some ranks; the others are counted. From 0; each further one goes up to
    /// wider ranks.
    CensusUpTo(u32),
    /// The whole conversations that a round wants, from round 0.
    Round(u32),
}

impl Pass {
    /// Whether it asks for a census, of all conversations or of some.
    pub fn is_census(self) -> bool {
        matches!(self, Self::Census | Self::CensusUpTo(_))
    }
}

/// The rows of a chunk in a pass: they are sealed by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkPass {
    /// The chunk.
    pub chunk: Chunk,
    /// The pass.
    #[serde(rename = "portion")]
    pub pass: Pass,
}

impl fmt::Display for ChunkPass {
    /// Stable, and fit for a file name: `h40-7`, `h40-7-census`, `h40-7-census0`, `h40-7-round0`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pass {
            Pass::All => write!(f, "{}", self.chunk),
            Pass::Census => write!(f, "{}-census", self.chunk),
            Pass::CensusUpTo(number) => write!(f, "{}-census{number}", self.chunk),
            Pass::Round(round) => write!(f, "{}-round{round}", self.chunk),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheduling::chunk::{HashChunk, Piece};

    const HASH: Chunk = Chunk::Hash(HashChunk {
        count: 40,
        index: 7,
        depth: 0,
    });

    #[test]
    fn each_pass_of_each_chunk_has_its_own_name() {
        let piece = Chunk::Piece(Piece {
            file: 1,
            start: 0,
            end: 9,
        });
        for (chunk, pass, name) in [
            (HASH, Pass::All, "h40-7"),
            (HASH, Pass::Census, "h40-7-census"),
            (HASH, Pass::CensusUpTo(0), "h40-7-census0"),
            (HASH, Pass::CensusUpTo(1), "h40-7-census1"),
            (HASH, Pass::Round(0), "h40-7-round0"),
            (HASH, Pass::Round(12), "h40-7-round12"),
            (piece, Pass::All, "f1-0-9"),
        ] {
            assert_eq!(ChunkPass { chunk, pass }.to_string(), name);
        }
    }

    #[test]
    fn sealed_chunks_of_earlier_releases_are_read() {
        for (pass, portion) in [
            (Pass::All, r#""whole""#),
            (Pass::Census, r#""census""#),
            (Pass::CensusUpTo(1), r#"{"census_up_to":1}"#),
            (Pass::Round(3), r#"{"round":3}"#),
        ] {
            let chunk = serde_json::to_string(&HASH).expect("JSON");
            let text = format!(r#"{{"chunk":{chunk},"portion":{portion}}}"#);
            let chunk_pass = ChunkPass { chunk: HASH, pass };
            assert_eq!(serde_json::to_string(&chunk_pass).expect("JSON"), text);
            assert_eq!(
                serde_json::from_str::<ChunkPass>(&text).expect("read"),
                chunk_pass
            );
        }
    }
}
