//! The same population, selection and seed give the same bytes.

mod determinism;
mod telemetry;
