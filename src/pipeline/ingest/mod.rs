//! From rows to headers, and what was read seen as a whole.

pub(in crate::pipeline) mod census;
pub(in crate::pipeline) mod chunk_reader;
pub(crate) mod rows_report;
