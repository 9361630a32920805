//! The pipeline: actors as thin shells around the pure types of [`crate::domain`].
//!
//! ```text
//!             leases, backpressure, rounds
//!  ┌──────────────────── Supervisor ────────────────────┐
//! Fetcher xN ─► Dedup ─► Sampler x(split,bucket) ─► Validator xM ─► Uploader xK
//!    └──── payloads: sealed chunks on disk, read again by rank ────┘
//! ```
//!
//! [`run`] takes a run from its work directory to its dataset. It must be called on an actix
//! arbiter; all actors live on that one thread, the work is done on the pool of threads that it is
//! given and on tokio's blocking threads. When it returns or is dropped, no actor is left.

mod actors;
pub mod engine;
mod error;
pub mod host;
pub(crate) mod ingest;
mod lifecycle;
mod run;
#[doc(hidden)]
pub mod state;
mod supervisor;

pub use error::RunError;
pub use host::builder::{BuildError, Pipeline, PipelineBuilder};
pub use host::handle::{Controller, Handle};
pub use run::{RunParts, RunReport, framing, run};
