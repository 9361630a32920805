//! For those who write a sink of their own: what it owes, as a test; and one in memory.
//!
//! [`sink_conformance`] holds an implementation against the contract of its trait and panics at the first
//! clause that does not hold, with the clause and how it was broken. It must be called within a tokio
//! runtime. [`MemorySink`] stands in for a real one in tests.
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

pub use memory::{MemoryDataset, MemorySink};
pub use sink::sink_conformance;
