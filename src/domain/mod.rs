//! The pure core: what is sampled, what is valid, what is counted.
//!
//! Nothing here touches a file, a socket, a clock or a source of chance: time and chance come in
//! as arguments, so every rule can be tested by a plain call. Modules that are hidden in the
//! documentation are public for tests and fuzz targets only, and no part of the interface.

pub(crate) mod canonical;
pub mod chunk;
#[doc(hidden)]
pub mod dedup;
#[doc(hidden)]
pub mod fields;
#[doc(hidden)]
pub mod header;
#[doc(hidden)]
pub mod host_rule;
#[doc(hidden)]
pub mod json;
#[doc(hidden)]
pub mod kusto_hash;
#[doc(hidden)]
pub mod lease;
pub mod ledger;
pub(crate) mod lengths;
pub mod manifest;
#[doc(hidden)]
pub mod number;
#[doc(hidden)]
pub mod publishable;
pub mod rank;
#[doc(hidden)]
pub mod record;
#[doc(hidden)]
pub mod rename;
#[doc(hidden)]
pub mod reservoir;
#[doc(hidden)]
pub mod retry;
pub mod row;
#[doc(hidden)]
pub mod row_fault;
pub mod rule;
#[doc(hidden)]
pub mod segmented_vec;
pub mod selector;
pub mod stratum;
#[doc(hidden)]
pub mod stratum_fill;
pub mod supervision;
#[doc(hidden)]
pub mod text;
#[doc(hidden)]
pub mod throttle;
#[doc(hidden)]
pub mod timestamp;
#[doc(hidden)]
pub mod tokens;
pub mod validation;
