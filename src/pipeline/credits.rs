//! Bytes in flight: the budget that every payload on its way between actors is paid from.
//!
//! A credit rides in the message with the bytes and comes back when it is dropped, also when an
//! actor dies with it. A request larger than the whole budget takes all of it and goes alone, so a
//! large record can never wait for ever. Requests are served in order.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Credits are counted in units of this many bytes.
const UNIT: u64 = 1024;

/// The budget.
#[derive(Debug, Clone)]
pub struct Credits {
    units: Arc<Semaphore>,
    total: u32,
}

/// Some of the budget; dropping it gives it back.
#[derive(Debug)]
pub struct Credit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Credits {
    /// A budget of so many bytes.
    pub fn new(bytes: u64) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS as u64 / 2);
        let total = u32::try_from(units).unwrap_or(u32::MAX);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
        }
    }

    /// Waits for credit for so many bytes.
    pub async fn acquire(&self, bytes: u64) -> Credit {
        let units = u32::try_from(bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .clamp(1, self.total);
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        Credit {
            _permit: permit.ok(),
        }
    }

    /// Bytes that nobody holds.
    pub fn available(&self) -> u64 {
        self.units.available_permits() as u64 * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_giant_takes_everything_and_goes_alone() {
        let credits = Credits::new(10 * UNIT);
        let small = credits.acquire(1).await;
        assert!(credits.acquire(1 << 40).now_or_never().is_none());
        drop(small);
        let giant = credits.acquire(1 << 40).await;
        assert_eq!(credits.available(), 0);
        assert!(credits.acquire(1).now_or_never().is_none());
        drop(giant);
        assert_eq!(credits.available(), 10 * UNIT);
    }
}
