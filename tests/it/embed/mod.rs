//! gleaner as a library, and the parts that others write for it.

mod conformance;
mod conformance_teeth;
mod control;
mod examples;
mod features;
mod listeners;
mod own_faults;
mod rules;
mod runtimes;
mod trouble;
