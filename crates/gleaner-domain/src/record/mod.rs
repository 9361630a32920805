//! Rows of telemetry, what is read of them, and the records that they become.

#[doc(hidden)]
pub mod assembler;
#[doc(hidden)]
pub mod columns;
#[doc(hidden)]
pub mod fields;
#[doc(hidden)]
pub mod header;
mod quality;
#[doc(hidden)]
pub mod rename;
pub mod row;
#[doc(hidden)]
pub mod row_fault;
pub mod rule;
#[doc(hidden)]
pub mod timestamp;
#[doc(hidden)]
pub mod tokens;
#[doc(hidden)]
pub mod users;
pub mod validation;
