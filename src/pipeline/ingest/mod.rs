//! From rows to headers, and what was read seen as a whole.

pub(in crate::pipeline) mod census;
pub(crate) mod chunk_reader;
#[cfg(feature = "cli")]
pub(crate) mod first_rows;
#[cfg(feature = "cli")]
pub(crate) mod group_look;
pub(crate) mod look;
pub(crate) mod rows_report;
#[cfg(feature = "cli")]
pub(crate) mod telemetry_look;
pub(in crate::pipeline) mod telemetry_rules;
#[cfg(feature = "cli")]
pub(crate) mod trace;
pub(in crate::pipeline) mod user_look;
