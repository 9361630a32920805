//! The events of a run: numbered notices, which never wait for a listener.
//!
//! There are two ways to listen: a channel, for people without async, and a stream. Both
//! hold the last [`KEPT`] notices that were not taken yet. A listener that is slower loses the
//! oldest and learns how many; the run does not notice.

use std::sync::mpsc::{RecvError, RecvTimeoutError, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::sync::broadcast::{self, error::RecvError as StreamError};
use tokio::time::Instant;

use super::jobs::JobView;
use super::{Event, Phase};

/// Notices that wait for a listener: some seconds of a busy run.
pub const KEPT: usize = 1024;

/// A notice of a run. It has names and numbers only, never text of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// It does something else now.
    Phase {
        /// The new phase.
        phase: Phase,
    },
    /// A job that an engine runs for its source has begun, is further, or has ended.
    Job {
        /// The job.
        #[serde(flatten)]
        job: JobView,
    },
    /// A chunk was read, or replayed from what is sealed.
    Chunk {
        /// The chunk.
        chunk: String,
        /// Rows in it.
        rows: u64,
        /// Bytes of them.
        bytes: u64,
        /// Whether an earlier start had read it.
        replayed: bool,
    },
    /// The file of a stratum is whole.
    Stratum {
        /// The stratum: `train/short`.
        stratum: String,
        /// Records in it.
        records: u64,
    },
    /// Something did not go as planned.
    Incident {
        /// The incident.
        #[serde(flatten)]
        event: Event,
    },
    /// The run has ended: nothing follows.
    Ended {
        /// How it ended.
        state: State,
    },
}

/// Whether a run is still running, and how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum State {
    /// It works.
    #[default]
    Running,
    /// It starts nothing new until it is resumed.
    Paused,
    /// It finishes what it has started, and ends.
    Draining,
    /// The dataset is published.
    Published,
    /// It failed; it can be resumed.
    Failed,
    /// It was drained; it can be resumed.
    Interrupted,
    /// It was cancelled; it can be resumed.
    Cancelled,
}

/// All of [`State`].
pub(super) const STATES: [State; 7] = [
    State::Running,
    State::Paused,
    State::Draining,
    State::Published,
    State::Failed,
    State::Interrupted,
    State::Cancelled,
];

impl State {
    /// Whether nothing follows.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Running | Self::Paused | Self::Draining)
    }
}

/// A notice as a listener gets it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunEvent {
    /// Counts a run's notices from 0, without a gap: what is missing was lost.
    pub number: u64,
    /// Since the run began.
    #[serde(rename = "at_seconds", serialize_with = "seconds")]
    pub at: Duration,
    /// Notices that this listener has lost so far because it was too slow.
    pub lost: u64,
    /// Events and counters of the run.
    #[serde(flatten)]
    pub notice: Notice,
}

fn seconds<S: serde::Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(at.as_secs_f64())
}

/// The notices of a run, through a channel: receive and iterate as with one of the standard library. It
/// is disconnected when the run has ended.
///
/// A clone shares the queue: each notice goes to one of them.
#[derive(Debug, Clone)]
pub struct Notices {
    receiver: Receiver<RunEvent>,
    _listening: Arc<()>,
}

impl IntoIterator for Notices {
    type Item = RunEvent;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter(self)
    }
}

/// The notices of a run, one by one, until it has ended; waits for each.
#[derive(Debug)]
pub struct IntoIter(Notices);

impl Iterator for IntoIter {
    type Item = RunEvent;

    fn next(&mut self) -> Option<RunEvent> {
        self.0.receiver.recv().ok()
    }
}

impl Notices {
    /// The next event; waits for it.
    ///
    /// # Errors
    /// If the run has ended and every event was taken.
    pub fn recv(&self) -> Result<RunEvent, RecvError> {
        self.receiver.recv().map_err(|_| RecvError)
    }

    /// The next event, if it is there already.
    ///
    /// # Errors
    /// If none is there, or none will come.
    pub fn try_recv(&self) -> Result<RunEvent, TryRecvError> {
        self.receiver.try_recv().map_err(|error| match error {
            crossbeam_channel::TryRecvError::Empty => TryRecvError::Empty,
            crossbeam_channel::TryRecvError::Disconnected => TryRecvError::Disconnected,
        })
    }

    /// The next event; waits for it so long at most.
    ///
    /// # Errors
    /// If none has come, or none will.
    pub fn recv_timeout(&self, timeout: Duration) -> Result<RunEvent, RecvTimeoutError> {
        self.receiver
            .recv_timeout(timeout)
            .map_err(|error| match error {
                crossbeam_channel::RecvTimeoutError::Timeout => RecvTimeoutError::Timeout,
                crossbeam_channel::RecvTimeoutError::Disconnected => RecvTimeoutError::Disconnected,
            })
    }

    /// The events one by one, until the run has ended; waits for each.
    pub fn iter(&self) -> impl Iterator<Item = RunEvent> + '_ {
        self.receiver.iter()
    }

    /// The events that are there already.
    pub fn try_iter(&self) -> impl Iterator<Item = RunEvent> + '_ {
        self.receiver.try_iter()
    }
}

#[derive(Debug)]
struct Channel {
    sender: Sender<RunEvent>,
    /// Takes out the oldest when the channel is full.
    oldest: Receiver<RunEvent>,
    lost: u64,
    listener: Weak<()>,
}

impl Channel {
    /// Whether there is a listener.
    fn publish(&mut self, mut event: RunEvent) -> bool {
        loop {
            event.lost = self.lost;
            event = match self.sender.try_send(event) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => break,
                Err(TrySendError::Full(event)) => event,
            };
            // The listener may have taken it at this moment; then there is room, too.
            self.lost += u64::from(self.oldest.try_recv().is_ok());
        }
        self.listener.strong_count() > 0
    }
}

#[derive(Debug)]
struct Inner {
    next: u64,
    channels: Vec<Channel>,
    /// Absent once the run has ended.
    stream: Option<broadcast::Sender<RunEvent>>,
    /// The last notice of a run that has ended, for those who come late.
    last: Option<RunEvent>,
}

impl Inner {
    fn publish(&mut self, at: Duration, notice: Notice) -> RunEvent {
        let event = RunEvent {
            number: self.next,
            at,
            lost: 0,
            notice,
        };
        self.next += 1;
        self.channels
            .retain_mut(|channel| channel.publish(event.clone()));
        if let Some(stream) = &self.stream {
            // There may be no listener.
            let _ = stream.send(event.clone());
        }
        event
    }
}

/// Publishes the notices of a run.
#[derive(Debug)]
pub struct EventBus {
    begun: Instant,
    inner: Mutex<Inner>,
    closed: Notify,
}

impl Default for EventBus {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            inner: Mutex::new(Inner {
                next: 0,
                channels: Vec::new(),
                stream: Some(broadcast::Sender::new(KEPT)),
                last: None,
            }),
            closed: Notify::new(),
        }
    }
}

impl EventBus {
    /// Since the board was made.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Publishes an event to every listener and waits for none. After the end nothing is published.
    pub fn publish(&self, notice: Notice) {
        let mut inner = self.inner();
        if inner.stream.is_some() {
            inner.publish(self.elapsed(), notice);
        }
    }

    /// Publishes the last notice: listeners get what they have not taken yet, and then the end.
    /// Later listeners get this one.
    pub fn close(&self, notice: Notice) {
        let mut inner = self.inner();
        if inner.stream.is_some() {
            let event = inner.publish(self.elapsed(), notice);
            inner.last = Some(event);
            inner.channels.clear();
            inner.stream = None;
            self.closed.notify_waiters();
        }
    }

    /// Waits until it is closed.
    pub async fn closed(&self) {
        let closed = self.closed.notified();
        if self.inner().stream.is_some() {
            closed.await;
        }
    }

    /// Events from here on, through a channel.
    pub fn channel(&self) -> Notices {
        let (sender, receiver) = bounded(KEPT);
        let listening = Arc::new(());
        let mut inner = self.inner();
        if inner.stream.is_some() {
            inner.channels.push(Channel {
                sender,
                oldest: receiver.clone(),
                lost: 0,
                listener: Arc::downgrade(&listening),
            });
        } else if let Some(last) = &inner.last {
            // There is room.
            let _ = sender.send(last.clone());
        }
        Notices {
            receiver,
            _listening: listening,
        }
    }

    /// Events from here on, as a stream.
    pub fn stream(&self) -> impl Stream<Item = RunEvent> + Send + Unpin + use<> {
        let (receiver, last) = {
            let inner = self.inner();
            let receiver = inner.stream.as_ref().map(broadcast::Sender::subscribe);
            (receiver, inner.last.clone())
        };
        let follow = |(mut receiver, mut lost): (broadcast::Receiver<RunEvent>, u64)| async move {
            loop {
                match receiver.recv().await {
                    Ok(event) => return Some((RunEvent { lost, ..event }, (receiver, lost))),
                    Err(StreamError::Lagged(missed)) => lost += missed,
                    Err(StreamError::Closed) => return None,
                }
            }
        };
        let event = stream::iter(receiver.map(|receiver| (receiver, 0)))
            .flat_map(move |start| stream::unfold(start, follow).boxed());
        stream::iter(last).chain(event).fuse()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(records: u64) -> Notice {
        Notice::Stratum {
            stratum: "train/short".to_owned(),
            records,
        }
    }

    #[tokio::test]
    async fn a_slow_subscriber_loses_the_oldest_and_gets_their_count() {
        let board = EventBus::default();
        let (channel, stream) = (board.channel(), board.stream());
        let many = KEPT as u64 + 300;
        (1..many).for_each(|n| board.publish(notice(n)));
        board.close(notice(0));
        let from_channel: Vec<RunEvent> = channel.iter().collect();
        let from_stream: Vec<RunEvent> = stream.collect().await;
        for event in [&from_channel, &from_stream] {
            assert_eq!(event.len(), KEPT);
            assert_eq!(event[0].number, 300, "the oldest are gone");
            assert_eq!(event.last().map(|event| event.lost), Some(300));
            assert!(event.windows(2).all(|w| w[0].number + 1 == w[1].number));
        }
    }

    #[tokio::test]
    async fn a_subscriber_that_keeps_up_gets_every_event_and_the_end() {
        let board = EventBus::default();
        let channel = board.channel();
        let mut stream: Box<dyn Stream<Item = RunEvent> + Unpin> = Box::new(board.stream());
        for n in 0..3 * KEPT as u64 {
            board.publish(notice(n));
            let event = channel.try_recv().expect("an event");
            assert_eq!((event.number, event.lost), (n, 0));
            assert_eq!(stream.next().await, Some(event));
        }
        let end = Notice::Ended {
            state: State::Published,
        };
        board.close(end.clone());
        board.publish(notice(1));
        board.close(notice(2));
        for mut late in [stream, Box::new(board.stream())] {
            assert_eq!(
                late.next().await.map(|event| event.notice),
                Some(end.clone())
            );
            assert_eq!(late.next().await, None);
            assert_eq!(late.next().await, None, "and may be asked again");
        }
        for late in [channel, board.channel()] {
            let event: Vec<Notice> = late.into_iter().map(|event| event.notice).collect();
            assert_eq!(event, std::slice::from_ref(&end));
        }
    }

    #[test]
    fn a_dropped_subscriber_is_removed() {
        let board = EventBus::default();
        drop(board.channel());
        board.publish(notice(1));
        assert!(board.inner().channels.is_empty());
    }

    #[test]
    fn a_notice_is_one_flat_object() {
        let event = RunEvent {
            number: 3,
            at: Duration::from_millis(1500),
            lost: 0,
            notice: Notice::Incident {
                event: Event::Restart {
                    actor: "fetcher-1".to_owned(),
                },
            },
        };
        let expected = serde_json::json!({
            "number": 3, "at_seconds": 1.5, "lost": 0,
            "notice": "incident", "event": "restart", "actor": "fetcher-1",
        });
        assert_eq!(serde_json::json!(event), expected);
    }
}
