//! `[source.synthetic]`, checked.

use crate::domain::record::row::RowShape;

/// `[source.synthetic]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// Number of conversations, the faulty ones included.
    pub conversations: u64,
    /// Seed of the generator; independent of the seed of the sample.
    pub seed: u64,
    /// One row per turn, or one per conversation.
    pub schema: RowShape,
}
