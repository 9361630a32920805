//! The best-ranked conversations of each stratum.

#[doc(hidden)]
pub mod batches;
pub mod rank_ranges;
#[doc(hidden)]
pub mod reservoir;
#[doc(hidden)]
pub mod rounds;
#[doc(hidden)]
pub mod stratum_fill;
pub mod thresholds;
