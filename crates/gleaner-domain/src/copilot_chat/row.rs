//! A row of `AppEvents`, read for its header.

use std::borrow::Cow;

use super::header::TelemetryHeader;

/// What reading needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRules {
    /// Modes that count as an agent's: `["agent"]`.
    pub modes: Vec<String>,
    /// The most bytes that a compressed value may have when it is unpacked (`limits.max_record`).
    pub max_value: u64,
}

/// What a row is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowKey<'a> {
    /// The id of its conversation, decoded.
    Conversation(Cow<'a, [u8]>),
    /// The id of the message or of the options that it holds a piece of, decoded.
    Shared(Cow<'a, [u8]>),
}

/// A row that could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadRow<'a> {
    /// A row of an event that is not used.
    OtherEvent,
    /// A row of an event that is used, that names no conversation (or, if it is shared, no id of its
    /// own): absent, empty, or the text `undefined`. Model calls beside the conversation are such.
    NoId,
    /// A row of an event that is used.
    Used(TelemetryRow<'a>),
}

/// A row of an event that is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TelemetryRow<'a> {
    /// What it is found by.
    pub key: RowKey<'a>,
    /// Its header.
    pub header: TelemetryHeader,
    /// The version of the extension that sent it (`common.extversion`), decoded; empty if unknown.
    pub version: Cow<'a, [u8]>,
    /// How many events it stands for (`ItemCount`): more than 1 if the telemetry is sampled.
    pub item_count: u64,
}
