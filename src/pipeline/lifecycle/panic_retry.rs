//! Work on one item that survives its own panics: it is done again once.
//!
//! A panic costs nothing but the item; a second one says that the item cannot be worked on, which
//! is a defect in gleaner and is counted against the item. Injected panics are reported and do not
//! count.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fault::Faults;

/// A panic that was survived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::pipeline) struct Survived {
    /// How many have counted so far.
    pub time: u32,
    /// Whether it was injected, and does not count.
    pub injected: bool,
}

/// Panics after which an item is given up.
const PANICS: u32 = 2;

/// Does some work on an item; `None` if it panicked twice. `panicked` hears of every panic, with
/// how many have counted so far, and puts the state back to what it was before the item.
pub(in crate::pipeline) fn retry_on_panic<S, T>(
    state: &mut S,
    mut work: impl FnMut(&mut S) -> T,
    mut panicked: impl FnMut(&mut S, Survived),
) -> Option<T> {
    let mut panics = 0;
    while panics < PANICS {
        match catch_unwind(AssertUnwindSafe(|| work(state))) {
            Ok(result) => return Some(result),
            Err(panic) => {
                let injected = Faults::is_injected(&*panic);
                panics += u32::from(!injected);
                let time = panics;
                panicked(state, Survived { time, injected });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Work that appends and then panics so many times; what came of it, and what was reported.
    fn after(panics: u32) -> (Option<u32>, Vec<u8>, Vec<u32>) {
        let (mut done, mut reported) = (0, Vec::new());
        let mut text = b"before".to_vec();
        let work = |text: &mut Vec<u8>| {
            text.extend_from_slice(b"record");
            done += 1;
            if done <= panics {
                std::panic::panic_any("on purpose");
            }
            done
        };
        let result = retry_on_panic(&mut text, work, |text, panic| {
            text.truncate(6);
            assert!(!panic.injected);
            reported.push(panic.time);
        });
        (result, text, reported)
    }

    #[test]
    fn what_panics_once_is_done_again_and_what_panics_twice_is_given_up() {
        assert_eq!(after(0), (Some(1), b"beforerecord".to_vec(), vec![]));
        assert_eq!(after(1), (Some(2), b"beforerecord".to_vec(), vec![1]));
        assert_eq!(after(2), (None, b"before".to_vec(), vec![1, 2]));
    }

    #[cfg(feature = "fault-injection")]
    #[test]
    fn injected_panics_do_not_count() {
        let mut left = 5;
        let work = |_: &mut ()| {
            if left > 0 {
                left -= 1;
                std::panic::panic_any(crate::fault::Injected);
            }
            7
        };
        let mut reported = Vec::new();
        assert_eq!(
            retry_on_panic(&mut (), work, |_, panic| reported
                .push((panic.time, panic.injected))),
            Some(7)
        );
        assert_eq!(reported, [(0, true); 5]);
    }
}
