//! The integration tests: a folder for each promise, and one for each side that gleaner shows the world.
//!
//! What counts threads or simulates time is a program of its own beside this one.

#[path = "../support/mod.rs"]
mod support;

mod answerable;
mod atomic;
mod blob;
mod bounded;
mod check;
mod cli;
mod conserved;
mod convert;
mod discreet;
mod embed;
mod engine;
mod exact;
mod excluded;
mod forward;
mod kusto;
mod layering;
mod privacy;
mod promises;
mod reproducible;
mod resumable;
