//! What is published: the manifest, and the accounts of every row and conversation.

pub mod accounting;
#[doc(hidden)]
pub mod card;
#[doc(hidden)]
pub mod chunk_tally;
pub mod converted;
pub mod groups;
pub mod left_out;
#[doc(hidden)]
pub mod loader_names;
pub mod manifest;
#[doc(hidden)]
pub mod publishable;
#[doc(hidden)]
pub mod telemetry_seen;
