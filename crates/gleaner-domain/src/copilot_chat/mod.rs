//! Copilot Chat telemetry: conversations put together from rows of Application Insights' `AppEvents`.
//!
//! A row is a fragment: a small [`header::TelemetryHeader`] says to which request of which
//! conversation it belongs. [`membership::decide`] says from the headers of a conversation alone which
//! requests are its turns, and which rows are to be read again.
//!
//! What cannot be known is absent from the record, and a [`quality::QualityCode`] says so.

pub mod event;
pub mod header;
pub mod membership;
pub mod quality;
pub mod row;
