//! How a program starts, follows and stops a run.

pub(in crate::pipeline) mod builder;
mod engine;
pub(in crate::pipeline) mod handle;
pub mod run_actor;
pub(crate) mod setup;
