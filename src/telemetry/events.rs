//! What does not go as planned, told once: counted, logged, and the last few kept to be shown.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Counter;
use crate::domain::supervision::Cause;

/// Events that are kept to be shown.
const KEPT: usize = 20;

/// Something that does not go as planned, and what was done about it. Names and numbers only; a
/// reason is an error's text, which never holds text of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// An actor has died.
    Death {
        /// Which.
        actor: String,
        /// How.
        cause: Cause,
    },
    /// A dead actor was started again.
    Restart {
        /// Which.
        actor: String,
    },
    /// Dedup and the samplers were started again together, from what is sealed.
    Rebuild {
        /// Why.
        reason: String,
    },
    /// A chunk goes to another fetcher.
    Requeue {
        /// Which.
        chunk: String,
        /// The attempt that came to nothing.
        attempt: u32,
        /// Why.
        reason: String,
    },
    /// A chunk was split in two.
    Split {
        /// Which.
        chunk: String,
        /// Into what.
        halves: [String; 2],
        /// Why.
        reason: String,
    },
    /// A worker was busy without a sign of progress for too long: it was ended.
    LeaseLoss {
        /// Which.
        actor: String,
        /// What it had: a chunk, or nothing of its own.
        chunk: Option<String>,
        /// The lease's epoch.
        epoch: Option<u64>,
    },
    /// A result came after its lease was lost, and was refused.
    LateResult {
        /// Of which chunk.
        chunk: String,
        /// Of the lost lease.
        epoch: u64,
    },
    /// The source asked for less.
    Throttle {
        /// Which chunk it refused.
        chunk: String,
        /// For how long nothing is asked for.
        seconds: f64,
        /// How much is asked for at once from here on.
        at_once: usize,
    },
    /// The census of a chunk is taken again.
    Retake {
        /// Of which chunk.
        chunk: String,
        /// Why.
        reason: String,
    },
    /// The dataset goes without a chunk.
    Missing {
        /// Which.
        chunk: String,
        /// Why.
        reason: String,
    },
    /// Work on a record panicked.
    RecordPanic {
        /// Of which stratum.
        stratum: String,
        /// How often now; at the second time the record is invalid.
        time: u32,
    },
    /// Reading a row panicked.
    RowPanic {
        /// Of which chunk.
        chunk: String,
        /// Where in it.
        line: u64,
        /// How often now; at the second time the row is malformed.
        time: u32,
    },
}

/// The names of all events, in the order of [`Event`].
pub const KINDS: [&str; 12] = [
    "deaths",
    "restarts",
    "rebuilds",
    "requeues",
    "splits",
    "lease_losses",
    "late_results",
    "throttles",
    "retakes",
    "missing",
    "record_panics",
    "row_panics",
];

impl Event {
    /// The name that it is counted under.
    pub fn kind(&self) -> &'static str {
        KINDS[self.place()]
    }

    fn place(&self) -> usize {
        match self {
            Self::Death { .. } => 0,
            Self::Restart { .. } => 1,
            Self::Rebuild { .. } => 2,
            Self::Requeue { .. } => 3,
            Self::Split { .. } => 4,
            Self::LeaseLoss { .. } => 5,
            Self::LateResult { .. } => 6,
            Self::Throttle { .. } => 7,
            Self::Retake { .. } => 8,
            Self::Missing { .. } => 9,
            Self::RecordPanic { .. } => 10,
            Self::RowPanic { .. } => 11,
        }
    }

    fn log(&self) {
        match self {
            Self::Death { actor, cause } => tracing::warn!(%actor, %cause, "an actor has died"),
            Self::Restart { actor } => tracing::info!(%actor, "started again"),
            Self::Rebuild { reason } => {
                tracing::warn!(%reason, "dedup and the samplers start again from what is sealed");
            }
            Self::Requeue {
                chunk,
                attempt,
                reason,
            } => tracing::warn!(%chunk, attempt, %reason, "fetch came to nothing, chunk requeued"),
            Self::Split {
                chunk,
                halves,
                reason,
            } => {
                tracing::warn!(%chunk, %reason, "split into {} and {}", halves[0], halves[1]);
            }
            Self::LeaseLoss {
                actor,
                chunk,
                epoch,
            } => tracing::warn!(%actor, ?chunk, ?epoch, "no sign of progress, taken for dead"),
            Self::LateResult { chunk, epoch } => {
                tracing::warn!(%chunk, epoch, "a late result was refused: its lease had been lost");
            }
            Self::Throttle {
                chunk,
                seconds,
                at_once,
            } => tracing::warn!(%chunk, seconds, at_once, "throttled, asking for less"),
            Self::Retake { chunk, reason } => {
                tracing::warn!(%chunk, %reason, "the census of the chunk is taken again");
            }
            Self::Missing { chunk, reason } => {
                tracing::warn!(%chunk, %reason, "failed for good, the dataset goes without it");
            }
            Self::RecordPanic { stratum, time } => {
                tracing::warn!(%stratum, time, "work on a record panicked: a defect in gleaner, please report it");
            }
            Self::RowPanic { chunk, line, time } => {
                tracing::warn!(%chunk, line, time, "reading a row panicked: a defect in gleaner, please report it");
            }
        }
    }
}

/// The events of a run.
#[derive(Debug, Default)]
pub struct Events {
    counts: [Counter; KINDS.len()],
    recent: Mutex<VecDeque<Event>>,
}

impl Events {
    /// Tells of an event: counts it, logs it, keeps it for a while.
    pub fn tell(&self, event: Event) {
        event.log();
        self.counts[event.place()].add(1);
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == KEPT {
            recent.pop_front();
        }
        recent.push_back(event);
    }

    /// How many there were, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        KINDS
            .into_iter()
            .zip(self.counts.iter().map(Counter::get))
            .collect()
    }

    /// The last few, the oldest first.
    pub fn recent(&self) -> Vec<Event> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_counted_and_the_last_few_kept() {
        let events = Events::default();
        let late = |epoch| Event::LateResult {
            chunk: "h40-7".to_owned(),
            epoch,
        };
        for epoch in 0..50 {
            events.tell(late(epoch));
        }
        events.tell(Event::Restart {
            actor: "fetcher-1".to_owned(),
        });
        let counts = events.counts();
        assert_eq!((counts["late_results"], counts["restarts"]), (50, 1));
        assert_eq!(counts.values().sum::<u64>(), 51);
        let recent = events.recent();
        assert_eq!((recent.len(), &recent[0]), (KEPT, &late(31)));
    }
}
