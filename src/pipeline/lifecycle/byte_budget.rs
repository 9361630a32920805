//! Bytes in flight: the budget that every payload on its way between actors is paid from.
//!
//! A permit travels in the message with the bytes and comes back when it is dropped, also when an
//! actor dies with it. A request larger than the whole budget takes all of it and goes alone, so a
//! large record can never wait for ever. Requests are served in order.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::run_control::PauseGate;
use crate::telemetry::Telemetry;

/// ByteBudget are counted in units of this many bytes.
const UNIT: u64 = 1024;

/// The budget.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    units: Arc<Semaphore>,
    total: u32,
    telemetry: Telemetry,
    gate: PauseGate,
}

/// Some of the budget; dropping it gives it back.
#[derive(Debug)]
pub struct BudgetPermit {
    bytes: u64,
    telemetry: Telemetry,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for BudgetPermit {
    fn drop(&mut self) {
        self.telemetry.in_flight.fall(self.bytes);
    }
}

impl ByteBudget {
    /// A budget of so many bytes; what is taken of it shows in `Counters::in_flight`. None is given
    /// while the gate is closed.
    pub fn new(bytes: u64, telemetry: Telemetry, gate: PauseGate) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS as u64 / 2);
        let total = u32::try_from(units).unwrap_or(u32::MAX);
        telemetry.budget.set(u64::from(total) * UNIT);
        Self {
            units: Arc::new(Semaphore::new(total as usize)),
            total,
            telemetry,
            gate,
        }
    }

    /// The gate: none is given while it is closed.
    pub fn gate(&self) -> &PauseGate {
        &self.gate
    }

    /// Waits for a permit for so many bytes.
    ///
    /// # Panics
    /// If more is in flight than the budget allows: a defect.
    pub async fn acquire(&self, bytes: u64) -> BudgetPermit {
        let units = u32::try_from(bytes.div_ceil(UNIT))
            .unwrap_or(u32::MAX)
            .clamp(1, self.total);
        self.gate.pass().await;
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = Arc::clone(&self.units).acquire_many_owned(units).await;
        let held = self.telemetry.in_flight.rise(bytes);
        let alone = units == self.total;
        assert!(
            held <= self.budget() || alone && held == bytes,
            "{held} bytes are in flight, {} are allowed",
            self.budget()
        );
        BudgetPermit {
            bytes,
            telemetry: Arc::clone(&self.telemetry),
            _permit: permit.ok(),
        }
    }

    /// The whole budget in bytes.
    pub fn budget(&self) -> u64 {
        u64::from(self.total) * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn a_giant_takes_everything_and_goes_alone() {
        let byte_budget = ByteBudget::new(10 * UNIT, Telemetry::default(), PauseGate::default());
        let small = byte_budget.acquire(1).await;
        assert!(byte_budget.acquire(1 << 40).now_or_never().is_none());
        drop(small);
        let giant = byte_budget.acquire(1 << 40).await;
        assert_eq!(byte_budget.units.available_permits(), 0);
        assert!(byte_budget.acquire(1).now_or_never().is_none());
        drop(giant);
        assert_eq!(byte_budget.units.available_permits(), 10);
        assert_eq!(byte_budget.telemetry.in_flight.get(), 0);
        assert_eq!(byte_budget.telemetry.in_flight.most(), 1 << 40);
    }
}
