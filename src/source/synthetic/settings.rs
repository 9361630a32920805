//! `[source.synthetic]`, checked.

use crate::domain::record::row::RowShape;

/// `[source.synthetic]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// How many conversations, the faulty ones included.
    pub conversations: u64,
    /// Of the generator; has nothing to do with the seed of the sample.
    pub seed: u64,
    /// One row per turn, or one per conversation.
    pub schema: RowShape,
}
