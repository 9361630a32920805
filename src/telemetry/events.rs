//! Incidents: each is counted and logged once, and the last few are kept to be shown.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::Counter;
use super::notices::{EventBus, Notice};
use super::view::Recent;
use crate::domain::scheduling::supervision::Cause;

/// Events that are kept to be shown.
const KEPT: usize = 20;

/// Something that does not go as planned, and what was done about it. Names and numbers only; a
/// reason is an error's text, which never holds text of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// An actor has exited.
    ActorExit {
        /// The name of the actor: `fetcher-2`.
        actor: String,
        /// How it ended.
        cause: Cause,
    },
    /// A dead actor was started again.
    Restart {
        /// The name of the actor: `fetcher-2`.
        actor: String,
    },
    /// Dedup and the samplers were started again together, from what is sealed.
    Rebuild {
        /// The cause, in one line.
        reason: String,
    },
    /// A chunk goes to another fetcher.
    Requeue {
        /// The chunk.
        chunk: String,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// The cause, in one line.
        reason: String,
    },
    /// A chunk was split in two.
    Split {
        /// The chunk.
        chunk: String,
        /// Into what.
        halves: [String; 2],
        /// The cause, in one line.
        reason: String,
    },
    /// A worker was busy without a sign of progress for too long: it was ended.
    LeaseLoss {
        /// The name of the actor: `fetcher-2`.
        actor: String,
        /// Its chunk; `None` for workers without one.
        chunk: Option<String>,
        /// The lease's epoch.
        epoch: Option<u64>,
    },
    /// A result came after its lease was lost, and was refused.
    LateResult {
        /// The chunk.
        chunk: String,
        /// The epoch of the lost lease.
        epoch: u64,
    },
    /// The source asked for less.
    Throttle {
        /// The chunk whose request was throttled.
        chunk: String,
        /// No request is sent for this time, in seconds.
        seconds: f64,
        /// Requests that run at once afterwards, at most.
        at_once: usize,
    },
    /// The census of a chunk is taken again.
    CensusRefetch {
        /// The chunk.
        chunk: String,
        /// The cause, in one line.
        reason: String,
    },
    /// The dataset goes without a chunk.
    Missing {
        /// The chunk.
        chunk: String,
        /// The cause, in one line.
        reason: String,
    },
    /// Work on a record panicked.
    RecordPanic {
        /// The stratum: `train/short`.
        stratum: String,
        /// The number of this panic on the record; at 2 the record is invalid.
        time: u32,
        /// Whether the panic was injected, on purpose, and does not count.
        injected: bool,
    },
    /// Reading a row panicked.
    RowPanic {
        /// The chunk.
        chunk: String,
        /// Line of the chunk, from 1.
        line: u64,
        /// The number of this panic on the row; at 2 the row is malformed.
        time: u32,
        /// Whether the panic was injected, on purpose, and does not count.
        injected: bool,
    },
    /// The sink has asked for a call again.
    SinkRetry {
        /// `write`, `commit`, ...
        action: String,
        /// With what.
        path: String,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// After how long the next one is made.
        seconds: f64,
        /// Why.
        reason: String,
    },
}

/// The names of all events, in the order of [`Event`].
pub const KINDS: [&str; 13] = [
    "actor_exits",
    "restarts",
    "rebuilds",
    "requeues",
    "splits",
    "lease_losses",
    "late_results",
    "throttles",
    "census_refetches",
    "missing",
    "record_panics",
    "row_panics",
    "sink_retries",
];

/// The name of an event as builds before wrote it, and the one it has: read for one release.
pub const RENAMED: (&str, &str) = ("deaths", "actor_exits");

/// The name that an event has now.
pub fn current_kind(kind: &str) -> &str {
    match kind == RENAMED.0 {
        true => RENAMED.1,
        false => kind,
    }
}

impl Event {
    /// The name that it is counted under.
    pub fn kind(&self) -> &'static str {
        KINDS[self.place()]
    }

    fn place(&self) -> usize {
        match self {
            Self::ActorExit { .. } => 0,
            Self::Restart { .. } => 1,
            Self::Rebuild { .. } => 2,
            Self::Requeue { .. } => 3,
            Self::Split { .. } => 4,
            Self::LeaseLoss { .. } => 5,
            Self::LateResult { .. } => 6,
            Self::Throttle { .. } => 7,
            Self::CensusRefetch { .. } => 8,
            Self::Missing { .. } => 9,
            Self::RecordPanic { .. } => 10,
            Self::RowPanic { .. } => 11,
            Self::SinkRetry { .. } => 12,
        }
    }

    /// Whether a person should look: else it is how things go.
    fn is_warning(&self) -> bool {
        !matches!(self, Self::Restart { .. })
    }

    /// What a panic was busy with, and whose defect it is.
    fn fmt_panic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordPanic {
                stratum,
                injected: true,
                ..
            } => write!(
                f,
                "work on a record of {stratum} panicked on purpose (injected), it is done again"
            ),
            Self::RecordPanic { stratum, time, .. } => write!(
                f,
                "work on a record of {stratum} panicked (time {time}): a defect in gleaner or in a rule of yours"
            ),
            Self::RowPanic {
                chunk,
                line,
                injected: true,
                ..
            } => write!(
                f,
                "reading line {line} of chunk {chunk} panicked on purpose (injected), it is read again"
            ),
            Self::RowPanic {
                chunk, line, time, ..
            } => write!(
                f,
                "reading line {line} of chunk {chunk} panicked (time {time}): a defect in gleaner, please report it"
            ),
            _ => Ok(()),
        }
    }

    fn log(&self) {
        let kind = self.kind();
        if self.is_warning() {
            tracing::warn!(kind, "{self}");
        } else {
            tracing::info!(kind, "{self}");
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActorExit { actor, cause } => write!(f, "{actor} {cause}"),
            Self::Restart { actor } => write!(f, "{actor} was started again"),
            Self::Rebuild { reason } => write!(
                f,
                "dedup and the samplers start again from the sealed chunks: {reason}"
            ),
            Self::Requeue {
                chunk,
                attempt,
                reason,
            } => write!(
                f,
                "chunk {chunk}: attempt {attempt} failed, retrying: {reason}"
            ),
            Self::Split {
                chunk,
                halves: [first, second],
                reason,
            } => write!(
                f,
                "chunk {chunk} was split into {first} and {second}: {reason}"
            ),
            Self::LeaseLoss { actor, chunk, .. } => {
                write!(f, "{actor} stalled (no progress) and is replaced")?;
                match chunk {
                    Some(chunk) => write!(f, "; it had chunk {chunk}"),
                    None => Ok(()),
                }
            }
            Self::LateResult { chunk, epoch } => write!(
                f,
                "a late result of chunk {chunk} was refused: lease {epoch} had been lost"
            ),
            Self::Throttle {
                chunk,
                seconds,
                at_once,
            } => write!(
                f,
                "throttled at chunk {chunk}: waiting {seconds:.1} s, then at most {at_once} concurrent requests"
            ),
            Self::SinkRetry {
                action,
                path,
                attempt,
                seconds,
                reason,
            } => write!(
                f,
                "{action} {path}: attempt {attempt} failed, retrying in {seconds:.1} s: {reason}"
            ),
            Self::CensusRefetch { chunk, reason } => {
                write!(f, "the census of chunk {chunk} is taken again: {reason}")
            }
            Self::Missing { chunk, reason } => {
                write!(f, "the dataset goes without chunk {chunk}: {reason}")
            }
            Self::RecordPanic { .. } | Self::RowPanic { .. } => self.fmt_panic(f),
        }
    }
}

/// The events of a run.
#[derive(Debug, Default)]
pub struct Events {
    counts: [Counter; KINDS.len()],
    recent: Mutex<Recents>,
    /// The bus that publishes them, with all other notices.
    pub board: EventBus,
}

/// The last events, each with its number and when it was.
#[derive(Debug, Default)]
struct Recents {
    next: u64,
    last: VecDeque<(u64, u64, Event)>,
}

impl Events {
    /// Counts an event, logs it, publishes it and keeps it for the page.
    pub fn publish(&self, event: Event) {
        event.log();
        self.counts[event.place()].add(1);
        {
            let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            if recent.last.len() == KEPT {
                recent.last.pop_front();
            }
            let (number, at) = (recent.next, self.board.elapsed().as_millis() as u64);
            recent.next += 1;
            recent.last.push_back((number, at, event.clone()));
        }
        self.board.publish(Notice::Incident { event });
    }

    /// Counts by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        KINDS
            .into_iter()
            .zip(self.counts.iter().map(Counter::get))
            .collect()
    }

    /// The last few, the oldest first.
    pub fn recent(&self) -> Vec<Event> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.last.iter().map(|(_, _, e)| e.clone()).collect()
    }

    /// The last few as people see them, the oldest first.
    pub fn recent_views(&self) -> Vec<Recent> {
        let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let view = |(number, at_ms, event): &(u64, u64, Event)| Recent {
            number: *number,
            at_ms: *at_ms,
            kind: event.kind(),
            text: event.to_string(),
        };
        recent.last.iter().map(view).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_injected_panic_is_never_called_a_defect() {
        for injected in [true, false] {
            let stratum = "train/short".to_owned();
            let chunk = "h40-7".to_owned();
            let (line, time) = (3, u32::from(!injected));
            for event in [
                Event::RecordPanic {
                    stratum,
                    time,
                    injected,
                },
                Event::RowPanic {
                    chunk,
                    line,
                    time,
                    injected,
                },
            ] {
                let text = event.to_string();
                assert_eq!(text.contains("defect"), !injected, "{text}");
                assert_eq!(text.contains("on purpose"), injected, "{text}");
            }
        }
    }

    #[test]
    fn all_are_counted_and_the_last_few_kept() {
        let events = Events::default();
        let late = |epoch| Event::LateResult {
            chunk: "h40-7".to_owned(),
            epoch,
        };
        for epoch in 0..50 {
            events.publish(late(epoch));
        }
        events.publish(Event::Restart {
            actor: "fetcher-1".to_owned(),
        });
        let counts = events.counts();
        assert_eq!((counts["late_results"], counts["restarts"]), (50, 1));
        assert_eq!(counts.values().sum::<u64>(), 51);
        let recent = events.recent();
        assert_eq!((recent.len(), &recent[0]), (KEPT, &late(31)));
    }
}
