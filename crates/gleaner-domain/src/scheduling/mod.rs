//! Which chunk is fetched when, by whom, and what follows a failure.

pub mod chunk;
pub mod fault_names;
#[doc(hidden)]
pub mod lease;
pub mod pass;
#[doc(hidden)]
pub mod retry;
pub mod supervision;
#[doc(hidden)]
pub mod throttle;
