//! Rows of telemetry written as the extension, its splitter and its SDK write them: what the mapping
//! reads, made from requests that are known. Synthetic data and tests are made with it.
//!
//! Everything follows from what is given: ids are hashes, times are the requests' own.

mod calls;
mod event;
mod history;
mod request;
#[cfg(test)]
mod tests;
mod texts;
mod units;

pub use calls::Sender;
pub use event::Event;
pub use request::{Request, Round, ToolUse, Window};
pub use units::{Units, of_text};

/// Which version of the extension sends, by what differs in its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Era {
    /// 0.30: messages in full with every call; rows of the model name no mode, those of tool calls no
    /// request.
    V030,
    /// 0.31: messages in full with every call.
    V031,
    /// 0.35: messages by their ids, long values in numbered parts.
    V035,
    /// 0.52: messages by their ids, long values compressed.
    V052,
    /// 0.55 in an agent host: texts and counts of tool calls only, both counted from 0, without ids of
    /// requests and without a mode.
    AgentHost,
}

impl Era {
    /// Those of an editor, in the order of time.
    pub const OF_EDITORS: [Self; 4] = [Self::V030, Self::V031, Self::V035, Self::V052];

    /// `common.extversion` of its rows.
    pub fn version(self) -> &'static str {
        match self {
            Self::V030 => "0.30.3",
            Self::V031 => "0.31.2",
            Self::V035 => "0.35.0",
            Self::V052 => "0.52.0",
            Self::AgentHost => "0.55.0",
        }
    }

    /// Whether calls name their messages by ids.
    fn has_ids(self) -> bool {
        matches!(self, Self::V035 | Self::V052)
    }

    /// Whether long values are compressed.
    fn compresses(self) -> bool {
        matches!(self, Self::V052 | Self::AgentHost)
    }
}

/// The text of a UUID, version 4, of these bits.
pub fn uuid(bits: u128) -> String {
    let bits = bits & !(0xf << 76) & !(0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    [
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    ]
    .join("-")
}
