//! What the header of a row of Copilot Chat telemetry has besides, stored or on its way: 38 bytes behind its key. Time,
//! request and call (i64 each), content (u64), position (u32), and a byte each for event and mode.

use std::io;

use super::number;
use crate::domain::copilot_chat::event::EventKind;
use crate::domain::copilot_chat::header::{Mode, TelemetryHeader};
use crate::domain::selection::group::GroupMark;

/// Bytes of it.
pub const LENGTH: usize = 38;

/// The modes, in the order of their numbers.
const MODES: [Mode; 3] = [Mode::Agent, Mode::Other, Mode::Unknown];

/// A header's bytes.
pub fn to_bytes(header: &TelemetryHeader) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&header.at.to_le_bytes());
    bytes[8..16].copy_from_slice(&header.request.to_le_bytes());
    bytes[16..24].copy_from_slice(&header.call.to_le_bytes());
    bytes[24..32].copy_from_slice(&header.content.to_le_bytes());
    bytes[32..36].copy_from_slice(&header.position.to_le_bytes());
    bytes[36] = header.event as u8;
    bytes[37] = header.mode as u8;
    bytes
}

/// The header of these bytes.
///
/// # Errors
/// If there is no such event or mode.
pub fn from_bytes(bytes: &[u8; LENGTH]) -> io::Result<TelemetryHeader> {
    let unknown = || io::Error::new(io::ErrorKind::InvalidData, "an unknown event or mode");
    let event = EventKind::ALL.get(usize::from(bytes[36])).copied();
    let mode = MODES.get(usize::from(bytes[37])).copied();
    Ok(TelemetryHeader {
        at: number(&bytes[..8]) as i64,
        request: number(&bytes[8..16]) as i64,
        call: number(&bytes[16..24]) as i64,
        content: number(&bytes[24..32]),
        position: number(&bytes[32..36]) as u32,
        event: event.ok_or_else(unknown)?,
        mode: mode.ok_or_else(unknown)?,
        // Stands behind it, if there is one.
        group: GroupMark::ABSENT,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_what_was_written() {
        for event in EventKind::ALL {
            for mode in MODES {
                let header = TelemetryHeader {
                    at: -1,
                    request: i64::MIN,
                    call: 3,
                    content: u64::MAX,
                    position: 7,
                    event,
                    mode,
                    group: GroupMark::ABSENT,
                };
                let bytes = to_bytes(&header);
                assert_eq!(from_bytes(&bytes).expect("known"), header);
                for at in [36, 37] {
                    let mut unknown = bytes;
                    unknown[at] = 99;
                    assert!(from_bytes(&unknown).is_err());
                }
            }
        }
    }
}
