//! How a run went over time: a few hundred points, however long it takes.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

/// The largest number of points. Beyond it every other point is dropped and the interval doubles.
const POINTS: usize = 512;

/// The pace at first.
pub const EVERY: Duration = Duration::from_millis(250);

/// The progress at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Point {
    /// Since the run began, in milliseconds.
    pub t_ms: u64,
    /// Rows read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes written to the dataset.
    pub written: u64,
    /// Bytes in flight at the moment.
    pub in_flight: u64,
}

/// Points at an even pace.
#[derive(Debug, Default)]
pub struct Timeline(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    points: Vec<Point>,
    /// The interval is [`EVERY`] times 2 to this power: 20 after 8 years.
    halvings: u32,
}

impl Timeline {
    /// Adds a point, if it is time for one.
    pub fn add(&self, point: Point) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = (EVERY.as_millis() as u64) << inner.halvings;
        // A timer is never early, but its milliseconds may be cut off.
        let is_due = |last: &Point| point.t_ms + 1 >= last.t_ms + pace;
        if !inner.points.last().is_none_or(is_due) {
            return;
        }
        inner.points.push(point);
        if inner.points.len() == POINTS {
            let mut keep = false;
            inner.points.retain(|_| {
                keep = !keep;
                keep
            });
            inner.halvings += 1;
        }
    }

    /// The interval between points.
    pub fn pace(&self) -> Duration {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        EVERY * (1 << inner.halvings)
    }

    /// The points so far.
    pub fn points(&self) -> Vec<Point> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.points.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_has_few_points_at_an_even_pace() {
        let timeline = Timeline::default();
        for t_ms in (0..10_000_000).step_by(250) {
            timeline.add(Point {
                t_ms,
                rows: t_ms,
                bytes: 0,
                written: 0,
                in_flight: 0,
            });
        }
        let points = timeline.points();
        assert!(
            (POINTS / 4..POINTS).contains(&points.len()),
            "{}",
            points.len()
        );
        let pace = points[1].t_ms - points[0].t_ms;
        assert!(points.windows(2).all(|w| w[1].t_ms - w[0].t_ms == pace));
        assert_eq!(points[0].t_ms, 0);
    }
}
