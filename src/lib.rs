//! placeholder
pub mod cli;
pub mod config;
pub mod domain;
pub mod fault;
pub mod pipeline;
pub mod runtime;
pub mod sink;
pub mod source;
pub mod spool;
pub mod telemetry;
pub mod verify;
