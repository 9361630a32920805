//! Copilot Chat telemetry: conversations put together from rows of Application Insights' `AppEvents`.
//!
//! A row is a fragment. [`row::read`] turns it into a small [`header::TelemetryHeader`], which says
//! to which request of which conversation it belongs. [`membership::decide`] says from the headers of
//! a conversation alone which requests are its turns, and which rows are to be read again;
//! [`assembler::Assembler`] writes the record from those rows and the shared rows (bodies of messages
//! and options) that they name.
//!
//! What cannot be known is absent from the record, and a [`quality::QualityCode`] says so.

pub mod assembler;
mod bag;
mod calls;
pub mod census;
mod envelope;
pub mod event;
mod fragment;
pub mod header;
mod members;
pub mod membership;
mod message;
pub mod named;
pub mod row;
pub mod row_fault;
pub mod rules;
pub mod sender;
mod shared;
mod split;
mod texts;
mod trajectory;
pub mod users;
mod verified;
mod writer;
mod wtf8;

pub use crate::selection::quality;

#[cfg(test)]
mod tests;
