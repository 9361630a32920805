//! What a run knows of Copilot Chat telemetry before it reads a row.

use super::membership::MembershipRules;
use super::row::ReadRules;

/// The modes that count as an agent's.
pub const AGENT_MODES: &[&str] = &["agent"];

/// How Copilot Chat telemetry becomes conversations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopilotChatRules {
    /// How its rows are read.
    pub read: ReadRules,
    /// Which requests are turns, and of which conversations.
    pub membership: MembershipRules,
}

impl CopilotChatRules {
    /// Conversations of agents, without a window; a value that is compressed may have `max_value`
    /// bytes.
    pub fn of_agents(max_value: u64) -> Self {
        Self {
            read: ReadRules {
                modes: AGENT_MODES.iter().map(|&mode| mode.to_owned()).collect(),
                max_value,
            },
            membership: MembershipRules::ALL,
        }
    }
}
