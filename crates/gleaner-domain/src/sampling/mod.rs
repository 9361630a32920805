//! The best-ranked conversations of each stratum.

#[doc(hidden)]
pub mod batches;
#[doc(hidden)]
pub mod reservoir;
#[doc(hidden)]
pub mod rounds;
pub mod selector;
#[doc(hidden)]
pub mod stratum_fill;
