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
//! - **Discreet**: no text of a conversation reaches a log, an error, a metric or progress, and no secret
//!   that the process knows (tokens, client secrets, shared access signatures, keys), also if a server
//!   sends it back. That holds for gleaner's own events; what `azure_core`, `reqwest`, `hyper` and `h2` log
//!   at `debug` and `trace` goes to the host's subscriber as they write it. The program replaces secrets in
//!   those lines too.
//!
//! # A first program
//! ```
//! use gleaner::Pipeline;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let (work, out) = (folder.path().join("work"), folder.path().join("out"));
//! # let out = out.to_str().expect("a path of text");
//! let run = Pipeline::builder()
//!     .set("source.kind", "synthetic")
//!     .set("source.synthetic.conversations", 2_000)
//!     .config("selection.targets = { train = { short = 40, medium = 40, long = 40 }, val = { short = 0, medium = 0, long = 0 }, test = { short = 0, medium = 0, long = 0 } }")
//!     .seed("s1")
//!     .out(out)
//!     .work_dir(work)
//!     .build()?
//!     .spawn_thread()?;
//! let events = run.events();
//! let listener = std::thread::spawn(move || {
//!     // Ends with the run.
//!     events.iter().filter(|event| matches!(event.notice, gleaner::telemetry::Notice::Stratum { .. })).count()
//! });
//! let report = run.join_blocking()?;
//! assert_eq!(report.manifest.shortfall(), 0);
//! println!("{} in {}", report.manifest.content_sha256, report.location);
//! # assert_eq!(listener.join().expect("no panic"), 3);
//! # Ok(())
//! # }
//! ```
//! [`Pipeline`] also starts on the arbiter of an actix system that you have
//! ([`Pipeline::spawn_local`]); [`Handle`] asks, follows, pauses, drains and cancels the run from any
//! thread. Own sources, sinks and rules: [`source::ConversationSource`], [`sink::DatasetSink`],
//! [`domain::record::rule::Rule`]. The examples show each.
//!
//! # Where things are
//! [`domain`] is pure and says what is sampled, valid and counted. [`source`] delivers rows, [`sink`]
//! takes files, [`spool`] keeps sealed chunks. [`pipeline`] has the actors. [`verify`](mod@verify)
//! checks a dataset again. [`testing`] holds sources and sinks of your own against their contracts.
//! [`cli`] is the program.
//!
//! The library installs no signal handler, panic hook, subscriber or runtime, and never ends the process;
//! only [`cli`] does.

pub mod azure;
pub mod check;
#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
pub mod config;
pub mod convert;
pub mod difference;
pub mod fault;
pub mod pipeline;
pub mod runtime;
pub mod scan;
#[cfg_attr(
    not(any(feature = "azure", feature = "cli", feature = "kusto")),
    allow(dead_code, reason = "such a build reads no secret")
)]
mod secrets;
pub mod sink;
pub mod source;
#[doc(hidden)]
pub mod spool;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokenizer;
pub mod verify;

pub use gleaner_domain as domain;
pub use pipeline::{Controller, Handle, Pipeline, PipelineBuilder};

/// The program of the page on embedding compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/embedding.md")]
pub struct EmbeddingPage;
