//! Rows from a cluster.

#[cfg(feature = "kusto-emulator")]
mod app_events;
mod cut;
#[cfg(feature = "kusto-emulator")]
mod engine;
mod export;
#[cfg(feature = "kusto-emulator")]
mod groups;
mod recorded;
mod tools;
mod wire;
