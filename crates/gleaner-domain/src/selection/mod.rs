//! Which conversations belong where: split, bucket, stratum and rank.

pub mod cut;
pub mod exclude;
pub mod fitness;
pub mod group;
#[doc(hidden)]
pub mod kusto_hash;
#[doc(hidden)]
#[doc(hidden)]
pub mod quality;
pub mod rank;
pub mod stratum;
