//! The pure core: what is sampled, what is valid, what is counted.
//!
//! Nothing here touches a file, a socket, a clock or a source of chance: time and chance come in
//! as arguments, so every rule can be tested by a plain call.

pub mod chunk;
pub mod dedup;
pub mod fields;
pub mod header;
pub mod json;
pub mod kusto_hash;
pub mod lease;
pub mod ledger;
pub mod manifest;
pub mod number;
pub mod placement;
pub mod rank;
pub mod record;
pub mod reservoir;
pub mod retry;
pub mod row;
pub mod segments;
pub mod selector;
pub mod stratum;
pub mod supervision;
pub mod text;
pub mod throttle;
pub mod timestamp;
pub mod validation;
