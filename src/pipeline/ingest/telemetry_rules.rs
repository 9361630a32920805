//! The rules for Copilot Chat telemetry that settings and a run's window mean.

use crate::config::settings::{ModeUnknown, Settings};
use crate::domain::copilot_chat::membership::MembershipRules;
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::timestamp::{Ticks, UtcInstant};
use crate::domain::selection::cut::Cut;
use crate::pipeline::state::work_dir::RunRecord;

/// How Copilot Chat telemetry becomes conversations in a run.
pub fn copilot_chat_rules(settings: &Settings, record: &RunRecord) -> CopilotChatRules {
    let range = |start: Option<UtcInstant>, end: Option<UtcInstant>| {
        start.map_or(Ticks::MIN, UtcInstant::ticks)..end.map_or(Ticks::MAX, UtcInstant::ticks)
    };
    CopilotChatRules {
        membership: MembershipRules {
            exists: range(record.look_start, record.look_end),
            window: range(record.window_start, record.window_end),
            unknown_is_agent: settings.mode_unknown == ModeUnknown::Agent,
            keep_cut: settings.cut == Cut::Keep,
        },
        ..CopilotChatRules::of_agents(settings.limits.max_record)
    }
}
