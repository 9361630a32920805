//! What is kept of a row of telemetry while all rows are read.

use super::event::EventKind;
use crate::record::timestamp::Ticks;
use crate::selection::group::GroupMark;

/// The mode that a row names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mode {
    /// One of [`ReadRules::modes`](super::row::ReadRules::modes).
    Agent,
    /// Any other.
    Other,
    /// None, or an event that never names one.
    Unknown,
}

/// A row's header: 40 bytes, no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TelemetryHeader {
    /// When the client sent it.
    pub at: Ticks,
    /// `hash` (Kusto's) of the id of the request that it belongs to; 0: it does not say. An agent
    /// host names no request, but its position: then the hash of `#<position>`.
    pub request: i64,
    /// `hash` of the id of the model call that it belongs to; 0: none. It leads from a row that does
    /// not name its request to one that does.
    pub call: i64,
    /// Hash of event, time, properties and measurements as they stand: equal rows are one.
    pub content: u64,
    /// The request's place among the conversation's, from 1 on; 0: the row does not say.
    pub position: u32,
    /// The event.
    pub event: EventKind,
    /// The mode.
    pub mode: Mode,
    /// What it says of its conversation's group, if that decides the split.
    pub group: GroupMark,
}
