//! Copilot Chat telemetry: conversations put together from rows of Application Insights' `AppEvents`.
//!
//! A row is a fragment. [`row::read`] turns it into a small [`header::TelemetryHeader`], which says
//! to which request of which conversation it belongs. [`membership::decide`] says from the headers of
//! a conversation alone which requests are its turns, and which rows are to be read again.
//!
//! What cannot be known is absent from the record, and a [`quality::QualityCode`] says so.

mod bag;
mod envelope;
pub mod event;
pub mod header;
pub mod membership;
pub mod row;
#[allow(dead_code)] // until records are written
mod split;
#[allow(dead_code)] // until records are written
mod wtf8;

pub use crate::selection::quality;
