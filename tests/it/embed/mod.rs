//! gleaner as a library, and the parts that others write for it.

mod conformance;
mod conformance_teeth;
mod examples;
mod features;
mod pipeline;
mod trouble;
