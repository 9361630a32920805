//! For those who write a source or a sink of their own: what it owes, as a test; and both in memory.
//!
//! [`source_conformance`], [`census_conformance`] and [`sink_conformance`] hold an implementation
//! against the contract of its trait and panic at the first clause that does not hold, with the clause
//! and how it was broken. No message has the text of a row. They must be called within a tokio
//! runtime. [`MemorySource`] and [`MemorySink`] stand in for real ones in tests.
//!
//! # A source
//!
//! ```
//! use std::num::NonZeroU32;
//! use gleaner::testing::{MemorySource, collect, source_conformance};
//! use gleaner::source::{ConversationSource, FetchOrder, Pass};
//! use serde_json::json;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let rows: Vec<_> = (0..20)
//!     .map(|i| json!({"conversationId": format!("c{i}"), "turnsArray": [{"turnIndex": 1}]}))
//!     .collect();
//! let source = MemorySource::new(&rows).in_chunks(NonZeroU32::new(3).unwrap());
//! // In your test: a new one of your sources.
//! source_conformance(|| Box::new(source.clone())).await;
//!
//! // The kit does not know which rows there should be. You do.
//! let mut found = 0;
//! for chunk in source.survey().await.unwrap().chunks {
//!     let order = FetchOrder { chunk, attempt: 1, pass: Pass::All, ranks: None };
//!     found += collect(&source, order).await.unwrap().len();
//! }
//! assert_eq!(found, rows.len());
//! # });
//! ```
//!
//! # A sink
//!
//! ```
//! use gleaner::testing::{MemorySink, sink_conformance};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let place = MemorySink::new();
//! sink_conformance(
//!     // In your test: a new sink on the same, at first empty place,
//!     || Box::new(place.clone()),
//!     // and a reader of a dataset there.
//!     |dataset| Box::new(place.reader(dataset)),
//! )
//! .await;
//! # });
//! ```

mod clause;
mod memory;
pub(crate) mod sink;
mod source;

pub use memory::{MemoryDataset, MemorySink, MemorySource};
pub use sink::sink_conformance;
pub use source::{census_conformance, collect, source_conformance};
