//! The actors, one trade a file, and the messages between them.

mod candidate_records;
pub(in crate::pipeline) mod decider;
pub(in crate::pipeline) mod deduper;
pub(in crate::pipeline) mod fetcher;
pub(in crate::pipeline) mod messages;
pub(in crate::pipeline) mod sampler;
pub(in crate::pipeline) mod stratum_file;
pub(in crate::pipeline) mod stratum_writer;
mod telemetry_record;
pub(in crate::pipeline) mod uploader;
pub(in crate::pipeline) mod validator;
