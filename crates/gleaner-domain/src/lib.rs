//! The pure core: what is sampled, what is valid, what is counted.
//!
//! Nothing here touches a file, a socket, a clock or a source of chance: time and chance come in
//! as arguments, so every rule can be tested by a plain call. Modules that are hidden in the
//! documentation are public for tests and fuzz targets only, and no part of the interface.

pub mod conversion;
#[doc(hidden)]
pub mod copilot_chat;
pub mod dataset;
pub mod decontamination;
mod describe;
#[doc(hidden)]
pub mod grouping;
#[doc(hidden)]
pub mod json;
mod lengths;
#[doc(hidden)]
pub mod near_duplicates;
pub mod privacy;
pub mod record;
pub mod sampling;
pub mod scheduling;
pub mod selection;
#[doc(hidden)]
pub mod visible;
#[doc(hidden)]
pub mod words;

#[doc(hidden)]
pub use describe::describe_error;
