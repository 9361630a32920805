//! gleaner as a library, and the parts that others write for it.

mod conformance;
mod conformance_teeth;
mod control;
mod examples;
mod features;
pub mod hooked_sink;
mod listeners;
mod own_faults;
mod public_api;
mod rules;
mod runtimes;
mod sink_calls;
mod trouble;
