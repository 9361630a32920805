//! Rows from a cluster.

#[cfg(feature = "kusto-emulator")]
mod app_events;
mod cut;
#[cfg(feature = "kusto-emulator")]
mod engine;
mod export;
mod recorded;
mod tools;
mod wire;
