//! From rows to conversations: one for each id.

#[doc(hidden)]
pub mod batch;
#[doc(hidden)]
mod conversations;
pub mod dedup;
#[doc(hidden)]
pub mod segmented_vec;
#[doc(hidden)]
pub mod telemetry_index;
