//! `[source.synthetic]`, checked, and how telemetry is generated.

use crate::domain::copilot_chat::sender::Era;
use crate::domain::record::row::RowShape;

/// `[source.synthetic]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Synthetic {
    /// Number of conversations, the faulty ones included.
    pub conversations: u64,
    /// Seed of the generator; independent of the seed of the sample.
    pub seed: u64,
    /// One row per turn, one per conversation, or Copilot Chat telemetry.
    pub schema: RowShape,
}

/// Which rows of Copilot Chat telemetry are made of a dialogue. The default: every era of an
/// editor, and no faults but those of the dialogues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TelemetryStyle {
    /// The version that sends; `None`: a window of the editor has one of those of [`Era::OF_EDITORS`].
    pub era: Option<Era>,
    /// What happens to some of the conversations.
    pub faults: TelemetryFaults,
}

/// What happens to a conversation or to its rows. Each strikes one in six conversations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TelemetryFault {
    /// A turn was sent again: the earlier request is replaced.
    Retries,
    /// A turn was edited: it and one behind it are replaced.
    Edits,
    /// The last turn is of another mode.
    ModeSwitches,
    /// Rows arrive twice.
    Duplicates,
    /// Rows arrive in any order.
    Disorder,
    /// Rows never arrive.
    LostRows,
    /// Texts are longer than a property may be.
    LongTexts,
    /// A row has an index that is none, or a compressed value that breaks off.
    DamagedRows,
    /// Rows stand for several events.
    Sampled,
}

impl TelemetryFault {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Retries,
        Self::Edits,
        Self::ModeSwitches,
        Self::Duplicates,
        Self::Disorder,
        Self::LostRows,
        Self::LongTexts,
        Self::DamagedRows,
        Self::Sampled,
    ];
}

/// A set of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TelemetryFaults(u16);

impl TelemetryFaults {
    /// Whether a fault is among them.
    pub fn contains(self, fault: TelemetryFault) -> bool {
        self.0 & 1 << fault as u8 != 0
    }
}

impl FromIterator<TelemetryFault> for TelemetryFaults {
    fn from_iter<I: IntoIterator<Item = TelemetryFault>>(faults: I) -> Self {
        Self(
            faults
                .into_iter()
                .fold(0, |set, fault| set | 1 << fault as u8),
        )
    }
}
