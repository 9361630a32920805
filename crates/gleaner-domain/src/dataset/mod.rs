//! What is published: the manifest, and the accounts of every row and conversation.

pub mod accounting;
pub mod converted;
pub mod manifest;
#[doc(hidden)]
pub mod publishable;
#[doc(hidden)]
pub mod telemetry_seen;
