//! Reading the next piece of a text on another thread, while the last one is looked at.

use std::io;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use super::reading::TextStream;

/// A piece that is to be read.
struct Order<R> {
    input: R,
    bytes: Vec<u8>,
    wanted: usize,
}

/// A piece that was read, and whether the text is at its end.
pub struct Filled<R> {
    /// The text behind it.
    pub input: R,
    /// What was in the buffer, and the piece.
    pub bytes: Vec<u8>,
    /// As [`TextStream::append`] says.
    pub at_end: io::Result<bool>,
}

/// A thread that reads pieces, one at a time: it has at most one in hand, and what it has read is
/// fetched before it is given the next. It ends soon after this is dropped.
pub struct Ahead<R> {
    orders: Sender<Order<R>>,
    filled: Receiver<Filled<R>>,
    thread: JoinHandle<()>,
}

impl<R: TextStream + 'static> Ahead<R> {
    /// Starts the thread.
    ///
    /// # Errors
    /// If the system has none.
    pub fn start() -> io::Result<Self> {
        let (orders, ordered) = channel::<Order<R>>();
        let (done, filled) = channel();
        let work = move || {
            for Order {
                mut input,
                mut bytes,
                wanted,
            } in ordered
            {
                let at_end = input.append(&mut bytes, wanted);
                let piece = Filled {
                    input,
                    bytes,
                    at_end,
                };
                if done.send(piece).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("gleaner-ahead".to_owned());
        Ok(Self {
            orders,
            filled,
            thread: thread.spawn(work)?,
        })
    }

    /// Has the next piece read behind what is in the buffer.
    pub fn order(&self, input: R, bytes: Vec<u8>, wanted: usize) {
        // The thread is gone only after a panic, which `take` finds.
        let _ = self.orders.send(Order {
            input,
            bytes,
            wanted,
        });
    }

    /// The piece that was ordered; waits for it.
    ///
    /// # Panics
    /// If the thread has panicked: with the same panic.
    pub fn take(self) -> (Self, Filled<R>) {
        match self.filled.recv() {
            Ok(filled) => (self, filled),
            Err(_) => match self.thread.join() {
                Err(panic) => panic::resume_unwind(panic),
                Ok(()) => unreachable!("the thread ends after its orders do"),
            },
        }
    }
}

/// How many readers of one source are at work.
#[derive(Debug, Clone, Default)]
pub struct Readers(Arc<AtomicUsize>);

/// One of them, as long as it lives.
#[derive(Debug)]
pub struct AtWork(Readers);

impl Readers {
    /// One more is at work.
    pub fn enter(&self) -> AtWork {
        self.0.fetch_add(1, Ordering::Relaxed);
        AtWork(self.clone())
    }
}

impl AtWork {
    /// Whether there are fewer readers than processors: only then anything is won by reading ahead.
    pub fn leaves_processors_idle(&self) -> bool {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        self.0.0.load(Ordering::Relaxed) < processors
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
    use std::time::Duration;

    /// A text of `a`s that says when it is dropped, and may panic.
    struct Text {
        dropped: Option<SyncSender<()>>,
        panics: bool,
    }

    impl TextStream for Text {
        fn append(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<bool> {
            assert!(!self.panics, "on purpose");
            bytes.resize(bytes.len() + wanted, b'a');
            Ok(false)
        }
    }

    impl Drop for Text {
        fn drop(&mut self) {
            drop(self.dropped.take());
        }
    }

    fn text(panics: bool) -> (Text, Receiver<()>) {
        let (sender, receiver) = sync_channel(0);
        let dropped = Some(sender);
        (Text { dropped, panics }, receiver)
    }

    fn is_gone(dropped: &Receiver<()>) -> bool {
        let waited = dropped.recv_timeout(Duration::from_secs(60));
        waited == Err(RecvTimeoutError::Disconnected)
    }

    #[test]
    fn a_piece_is_read_behind_what_is_there_and_the_text_comes_back() {
        let (text, dropped) = text(false);
        let ahead = Ahead::start().expect("a thread");
        ahead.order(text, b"b".to_vec(), 2);
        let (ahead, filled) = ahead.take();
        assert_eq!(filled.bytes, b"baa");
        assert!(!filled.at_end.expect("readable"));
        ahead.order(filled.input, Vec::new(), 1);
        assert_eq!(ahead.take().1.bytes, b"a");
        assert!(is_gone(&dropped));
    }

    #[test]
    fn a_reader_that_goes_ends_the_thread() {
        let (text, dropped) = text(false);
        let ahead = Ahead::start().expect("a thread");
        ahead.order(text, Vec::new(), 1);
        drop(ahead);
        assert!(is_gone(&dropped));
    }

    #[test]
    fn a_panic_is_the_readers() {
        let (text, dropped) = text(true);
        let ahead = Ahead::start().expect("a thread");
        ahead.order(text, Vec::new(), 1);
        let taken = panic::catch_unwind(panic::AssertUnwindSafe(|| ahead.take().1.bytes));
        let panic = taken.expect_err("a panic");
        assert_eq!(panic.downcast_ref(), Some(&"on purpose"));
        assert!(is_gone(&dropped));
    }

    #[test]
    fn readers_are_counted_while_they_live() {
        let readers = Readers::default();
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let mut at_work: Vec<_> = (0..processors).map(|_| readers.enter()).collect();
        assert!(!at_work[0].leaves_processors_idle());
        at_work.pop();
        let one = readers.enter();
        assert!(!one.leaves_processors_idle());
        drop((one, at_work));
        assert_eq!(readers.0.load(Ordering::Relaxed), 0);
    }
}
