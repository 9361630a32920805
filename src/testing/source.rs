//! The contract of sources, as a test.

use super::clause::held;
use crate::domain::selection::stratum::Selection;
use crate::source::ConversationSource;

mod blocks;
mod census;
mod chunks;
mod fetching;
mod rows;
mod survey;

pub use fetching::collect;

use chunks::Kit;

/// Holds a source against the contract of [`ConversationSource`].
///
/// `make` gives a new source of the same rows every time, as each start of a process does. The rows
/// are a population for tests: at least one, so few that the kit may hold them several times in
/// memory, and **no two alike**, so that a duplicate row is recognized. Malformed rows may
/// be among them. That rows are missing from the very first fetch on, the kit cannot know: hold what
/// [`collect`] gives against what you have put in.
///
/// A source that promises a census is held against [`census_conformance`] instead.
///
/// Every message of a failure has the clause that was broken, and how. The clauses:
///
/// | of | clause |
/// |---|---|
/// | [`describe`](ConversationSource::describe) | an object with a text `kind`, always the same once surveyed |
/// | [`survey`](ConversationSource::survey) | asked again, also by a later start, it says the same |
/// | | the chunks are disjoint, hash chunks have an index below their count, and depth 0 |
/// | [`fetch`](ConversationSource::fetch) | a chunk has the same rows and rejects whenever it is fetched: in any order, as any attempt, several chunks at once |
/// | | no row comes twice |
/// | | a hash chunk has rows of its ids only, and its two halves together have its rows |
/// | | if the survey says `closed`, all rows of a conversation are in one chunk |
/// | | dropped half-way it leaves the source as it was |
/// | | what the [`RowSink`](crate::source::RowSink) refuses ends it with that error, and nothing more is written |
/// | | a chunk checksum counts what was delivered |
/// | [`RowBlock`](crate::source::RowBlock) | every line ends with a newline, but for the last of a fetch |
/// | | lines are numbered from 1, one block behind the other, in a file as they stand there |
/// | | `is_utf8` is true only if it is |
/// | | what is `known` of the lines is what they say |
/// | | rows that stay in a file lie where the block says |
/// | | one form in a fetch; the census's in a census alone |
///
/// # Panics
/// If a clause does not hold. Must be called within a tokio runtime.
pub async fn source_conformance(make: impl Fn() -> Box<dyn ConversationSource>) {
    held("the source", Kit::new(&make, None).hold().await);
}

/// Holds a source that can deliver a census against the contract of [`ConversationSource`]: all that
/// [`source_conformance`] does, and
///
/// | of | clause |
/// |---|---|
/// | [`Pass::Census`](crate::source::Pass) | every conversation once, in the chunk of its id, with the number of turns that its row has |
/// | | the same census whenever it is fetched, also of the halves |
/// | [`Pass::Round`](crate::source::Pass) | exactly the conversations of the ranks that are asked for, and their rows as in `Pass::All` |
/// | | `delivered` has each of them once, the rejected ones too, as the census tells them |
/// | [`Pass::CensusUpTo`](crate::source::Pass) | if the survey has a sample: exactly the conversations of the ranks that are asked for, and counts of the others |
/// | all | the chunk checksum counts the conversations and sums their hashes |
///
/// `selection` is the one that the source was made with, as it decides which ranks there are.
///
/// # Panics
/// If a clause does not hold. Must be called within a tokio runtime.
pub async fn census_conformance(
    make: impl Fn() -> Box<dyn ConversationSource>,
    selection: &Selection,
) {
    held("the source", Kit::new(&make, Some(selection)).hold().await);
}
