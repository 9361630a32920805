//! What becomes of conversations that the window or the mode cuts.

use serde::{Deserialize, Serialize};

/// What becomes of a conversation that the window or the mode cuts: some of its turns are inside,
/// some are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// It is counted, and left out.
    Drop,
    /// The turns outside are left out, before anything else is decided.
    Keep,
}
