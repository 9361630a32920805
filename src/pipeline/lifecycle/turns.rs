//! Whose turn it is: which of several workers has nothing to do.
//!
//! Taking a turn waits until a worker is idle, so at most one piece of work is out for each of them
//! and none waits behind another while a third worker is idle. A turn ends when it is dropped.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The idle ones of some workers.
#[derive(Debug, Clone)]
pub struct Turns {
    idle: Arc<Mutex<Vec<usize>>>,
    /// One permit for each idle worker.
    permits: Arc<Semaphore>,
}

/// A worker's turn.
#[derive(Debug)]
pub struct Turn {
    /// Which worker.
    pub number: usize,
    idle: Arc<Mutex<Vec<usize>>>,
    /// Given back after the number is: fields are dropped after `drop`.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// The turns of `workers` idle workers, at least of one.
    pub fn new(workers: usize) -> Self {
        let workers = workers.max(1);
        Self {
            idle: Arc::new(Mutex::new((0..workers).rev().collect())),
            permits: Arc::new(Semaphore::new(workers)),
        }
    }

    /// Waits for an idle worker. Dropping the wait loses nothing.
    pub async fn take(&self) -> Turn {
        // Never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let number = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.pop().unwrap_or_default()
        };
        Turn {
            number,
            idle: Arc::clone(&self.idle),
            _permit: permit,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn everybody_has_one_turn_and_the_next_is_whose_ends() {
        let turns = Turns::new(3);
        let mut taken = [turns.take().await, turns.take().await, turns.take().await];
        taken.sort_by_key(|turn| turn.number);
        assert_eq!(taken.each_ref().map(|turn| turn.number), [0, 1, 2]);
        let mut waiting = Box::pin(turns.take());
        assert!(waiting.as_mut().now_or_never().is_none(), "nobody is idle");
        let [first, second, third] = taken;
        drop(second);
        assert_eq!(waiting.await.number, 1);
        // A wait that is given up takes nothing with it.
        drop((first, third));
        assert!(turns.take().now_or_never().is_some());
        let all = [turns.take().now_or_never(), turns.take().now_or_never()];
        assert!(all.iter().all(Option::is_some), "{all:?}");
    }
}
