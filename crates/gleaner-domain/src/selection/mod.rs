//! Which conversations belong where: split, bucket, stratum and rank.

pub mod cut;
#[doc(hidden)]
pub mod kusto_hash;
#[doc(hidden)]
pub mod rank;
pub mod stratum;
