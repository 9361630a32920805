//! gleaner turns raw agent-conversation telemetry into an exact, reproducible, stratified dataset for
//! supervised fine-tuning.
//!
//! ```text
//!             leases, backpressure, rounds, resume, progress
//!  ┌────────────────────────── Supervisor ───────────────────────────┐
//!  │                                                                  │
//! Fetcher xN ─► Dedup ─► Sampler x(split,bucket) ─► Validator xM ─► Uploader xK
//!    │ chunk      │ headers      │ candidates            │ verdicts       │
//!  source       who is new     bottom-k by rank       rules, spares     sink: blocks, commit, manifest last
//!    └────── payloads: sealed chunks on disk, read again by rank ───────┘
//! ```
//!
//! # What holds
//! - **Exact**: every stratum has exactly its target of valid records, or the run says by how much it
//!   falls short.
//! - **Reproducible**: the dataset's bytes depend on the population, the selection and the seed, and on
//!   nothing else: not on worker counts, order, retries, crashes or resumes.
//! - **Whole chunks**: a chunk counts wholly or not at all.
//! - **Conserved**: every row and every conversation is accounted for, and the sums are checked before
//!   anything is published.
//! - **Atomic**: a dataset is there if and only if its `metadata.json` is.
//! - **Bounded**: peak memory is at most 64 MB, 96 bytes for each row of input, and three times what the
//!   largest record has above 1 MB.
//! - **Resumable**: after `kill -9` at any instant the same command goes on.
//! - **Discreet**: no text of a conversation reaches a log, an error, a metric or progress.
//!
//! # Where things are
//! [`domain`] is pure and says what is sampled, valid and counted. [`source`] delivers rows, [`sink`]
//! takes files, [`spool`] keeps sealed chunks. [`pipeline`] has the actors; [`pipeline::run`] takes a run
//! from its settings to its dataset on the current actix arbiter. [`verify`](mod@verify) checks a dataset
//! again. [`testing`] holds sources and sinks of your own against their contracts. [`cli`] is the
//! program.
//!
//! The library installs no signal handler, panic hook, subscriber or runtime, and never ends the process;
//! only [`cli`] does.

pub mod azure;
pub mod cli;
pub mod config;
pub mod domain;
pub mod fault;
pub mod pipeline;
pub mod runtime;
pub mod sink;
pub mod source;
pub mod spool;
pub mod telemetry;
pub mod testing;
pub mod verify;
