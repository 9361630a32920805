//! Which chunk is fetched when, by whom, and what follows a failure.

pub mod chunk;
pub mod fault_names;
#[doc(hidden)]
pub mod lease;
pub mod pass;
pub mod recovery;
#[doc(hidden)]
pub mod remaining;
#[doc(hidden)]
pub mod retry;
#[doc(hidden)]
pub mod roles;
pub mod supervision;
#[doc(hidden)]
pub mod throttle;
#[doc(hidden)]
pub mod worker_load;
