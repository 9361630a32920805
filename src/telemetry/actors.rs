//! The actors of a run and what each works on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::heartbeat::Heartbeat;

/// The roles of actors.
pub const ROLES: [&str; 6] = [
    "supervisor",
    "fetcher",
    "dedup",
    "sampler",
    "validator",
    "uploader",
];

/// All of [`ActorState`].
pub(super) const STATES: [ActorState; 4] = [
    ActorState::Idle,
    ActorState::Busy,
    ActorState::HeldBack,
    ActorState::Dead,
];

/// What an actor is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorState {
    /// Nothing: it waits for work.
    Idle,
    /// It works.
    Busy,
    /// It has work and is made to wait: too much is in flight, or the run is paused.
    HeldBack,
    /// It exited and was not restarted, or not yet.
    Dead,
}

/// An actor at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct ActorView {
    /// `fetcher-2`, `train/short` for a sampler
    pub name: String,
    /// One of [`ROLES`].
    pub role: &'static str,
    /// Its state.
    pub state: ActorState,
    /// With what: a chunk.
    pub doing: Option<String>,
    /// Since its last sign of progress, in milliseconds; 0 when it has nothing to do.
    pub silent_ms: u64,
    /// Pieces of work that it, and those before it in its place, have done.
    pub done: u64,
    /// Number of restarts.
    pub restarts: u64,
}

#[derive(Debug)]
struct Entry {
    role: &'static str,
    heartbeat: Heartbeat,
    /// RunEvent by those that were here before.
    done: u64,
    doing: Option<String>,
    alive: bool,
    died: bool,
    restarts: u64,
    /// The heartbeat at the last look, and since when it has been so.
    beats: (u64, Instant),
}

/// All actors of a run, by name.
#[derive(Debug, Default)]
pub struct Actors(Mutex<BTreeMap<String, Entry>>);

impl Actors {
    /// An actor has started.
    pub fn started(&self, name: &str, role: &'static str, heartbeat: Heartbeat) {
        let mut cards = self.cards();
        let before = cards.remove(name);
        let card = Entry {
            role,
            beats: (heartbeat.read().beats, Instant::now()),
            heartbeat,
            done: before.as_ref().map_or(0, |b| b.done + b.heartbeat.done()),
            doing: None,
            alive: true,
            died: false,
            restarts: before.map_or(0, |b| b.restarts + u64::from(b.died)),
        };
        cards.insert(name.to_owned(), card);
    }

    /// An actor has ended: by itself, because there is nothing left for it to do, or not. Says
    /// nothing if another has its place already.
    pub fn ended(&self, name: &str, heartbeat: &Heartbeat, died: bool) {
        if let Some(card) = self.cards().get_mut(name)
            && card.heartbeat.is(heartbeat)
        {
            (card.alive, card.died, card.doing) = (false, died, None);
        }
    }

    /// Sets what an actor works on from here on.
    pub fn works_on(&self, name: &str, what: Option<String>) {
        if let Some(card) = self.cards().get_mut(name) {
            card.doing = what;
        }
    }

    /// All of them at this moment, by role and name.
    pub fn view(&self) -> Vec<ActorView> {
        let now = Instant::now();
        let view = |(name, card): (&String, &mut Entry)| {
            let reading = card.heartbeat.read();
            if reading.beats != card.beats.0 {
                card.beats = (reading.beats, now);
            }
            let state = match (card.alive, card.heartbeat.is_held_back(), reading.busy) {
                (false, _, _) if card.died => ActorState::Dead,
                (false, _, _) => ActorState::Idle,
                (true, true, _) => ActorState::HeldBack,
                (true, false, true) => ActorState::Busy,
                (true, false, false) => ActorState::Idle,
            };
            let silent = match state {
                ActorState::Busy => now.duration_since(card.beats.1),
                _ => Duration::ZERO,
            };
            ActorView {
                name: name.clone(),
                role: card.role,
                state,
                doing: card.doing.clone(),
                silent_ms: silent.as_millis() as u64,
                done: card.done + card.heartbeat.done(),
                restarts: card.restarts,
            }
        };
        self.cards().iter_mut().map(view).collect()
    }

    fn cards(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(actors: &Actors) -> ActorView {
        actors.view().pop().expect("one")
    }

    #[tokio::test(start_paused = true)]
    async fn an_actor_is_seen_at_work_waiting_dead_and_started_again() {
        let (actors, heartbeat) = (Actors::default(), Heartbeat::default());
        actors.started("fetcher-0", "fetcher", heartbeat.clone());
        assert_eq!(only(&actors).state, ActorState::Idle);
        let busy = heartbeat.busy();
        actors.works_on("fetcher-0", Some("h40-7".to_owned()));
        assert_eq!(only(&actors).state, ActorState::Busy);
        tokio::time::advance(Duration::from_secs(7)).await;
        let seen = only(&actors);
        assert_eq!(
            (seen.silent_ms, seen.doing.as_deref()),
            (7000, Some("h40-7"))
        );
        let paused = heartbeat.paused();
        assert_eq!(only(&actors).state, ActorState::HeldBack);
        drop((paused, busy));
        assert_eq!(
            (only(&actors).state, only(&actors).done),
            (ActorState::Idle, 1)
        );
        actors.ended("fetcher-0", &heartbeat, true);
        assert_eq!(only(&actors).state, ActorState::Dead);
        actors.started("fetcher-0", "fetcher", Heartbeat::default());
        // The end of the one before may be reported late.
        actors.ended("fetcher-0", &heartbeat, true);
        let seen = only(&actors);
        assert_eq!(
            (seen.state, seen.restarts, seen.done),
            (ActorState::Idle, 1, 1)
        );
    }
}
