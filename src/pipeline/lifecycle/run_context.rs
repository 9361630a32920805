//! What every actor of a run needs, whatever its trade.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::assembler::Nested;
use crate::domain::selection::stratum::Selection;
use crate::fault::Faults;
use crate::pipeline::lifecycle::byte_budget::ByteBudget;
use crate::pipeline::lifecycle::sink_calls::SinkRetry;
use crate::runtime::CpuPool;
use crate::spool::payloads::Payloads;
use crate::telemetry::Telemetry;

/// What the actors of one run share.
pub struct RunContext {
    /// Strata, targets and seed.
    pub selection: Arc<Selection>,
    /// How nested values of assembled records are written.
    pub nested: Nested,
    /// How Copilot Chat telemetry is read.
    pub copilot_chat: Arc<CopilotChatRules>,
    /// Where CPU work and file work are done.
    pub pool: Arc<CpuPool>,
    /// For payload in flight, in bytes.
    pub byte_budget: ByteBudget,
    /// The rows that were kept, to be read again.
    pub payloads: Payloads,
    /// Makes calls of the sink again.
    pub sink_retry: SinkRetry,
    /// Events and counters.
    pub telemetry: Telemetry,
    /// Set when the run is to end: work on a thread, which cannot be ended, looks at it now and then.
    pub stop: Arc<AtomicBool>,
    /// Faults on purpose.
    pub faults: Faults,
}

impl RunContext {
    /// Whether the run is to end.
    pub fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Has work on threads end soon.
    pub fn stop_work(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
