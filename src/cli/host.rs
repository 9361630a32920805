//! What a command has of the program that it runs in: the command line's own, or a Python interpreter.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::{EnterGuard, Runtime};
use tokio::sync::Notify;

use super::exit::{CliError, Exit};
use crate::pipeline::Controller;
use crate::pipeline::engine::Engine;

/// Called at each start of an export.
type Follower = Box<dyn Fn(Controller) + Send + Sync>;

/// The program that a command runs in.
#[derive(Default)]
pub struct Host {
    interrupt: Interrupt,
    follower: Option<Follower>,
    engine: Option<Arc<dyn Engine>>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = &mut f.debug_struct("Host");
        fields.field("interrupt", &self.interrupt);
        fields.finish_non_exhaustive()
    }
}

impl Host {
    /// A program that follows each start of an export.
    pub fn following(follower: impl Fn(Controller) + Send + Sync + 'static) -> Self {
        Self {
            follower: Some(Box::new(follower)),
            ..Self::default()
        }
    }

    /// Has an engine read the rows of an export: those of its input, or of a table that it has.
    #[must_use]
    pub fn with_engine(self, engine: Arc<dyn Engine>) -> Self {
        Self {
            engine: Some(engine),
            ..self
        }
    }

    /// Stops the command.
    pub fn interrupt(&self) -> &Interrupt {
        &self.interrupt
    }

    pub(super) fn started(&self, run: Controller) {
        if let Some(follower) = &self.follower {
            follower(run);
        }
    }

    /// What reads the rows of an export instead of this process.
    pub(super) fn engine(&self) -> Option<Arc<dyn Engine>> {
        self.engine.clone()
    }

    /// A runtime on this thread, whose work ends when the command is to stop.
    pub(super) fn runtime(&self) -> Result<HostRuntime<'_>, CliError> {
        Ok(HostRuntime {
            runtime: runtime().map_err(cannot_start)?,
            interrupt: &self.interrupt,
        })
    }
}

/// Asks a command to stop, from any thread. It stays asked.
#[derive(Debug, Clone, Default)]
pub struct Interrupt(Arc<(AtomicBool, Notify)>);

impl Interrupt {
    /// Asks.
    pub fn ask(&self) {
        let (asked, notify) = &*self.0;
        asked.store(true, Ordering::SeqCst);
        notify.notify_waiters();
    }

    /// Whether it was asked.
    pub fn is_asked(&self) -> bool {
        self.0.0.load(Ordering::SeqCst)
    }

    /// Waits until it is asked.
    pub async fn asked(&self) {
        // It hears of what comes after this line.
        let notified = self.0.1.notified();
        if !self.is_asked() {
            notified.await;
        }
    }
}

/// The command was asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

impl From<Interrupted> for CliError {
    fn from(Interrupted: Interrupted) -> Self {
        Self {
            exit: Exit::Interrupted,
            ..Self::failure("interrupted", "run the same command again")
        }
    }
}

/// A runtime on this thread.
pub(super) struct HostRuntime<'a> {
    runtime: Runtime,
    interrupt: &'a Interrupt,
}

impl HostRuntime<'_> {
    /// Work that asks for a runtime can be made while this lives.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Does some work to its end, or drops it when the command is to stop.
    pub fn block_on<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupted> {
        self.runtime.block_on(async {
            tokio::select! {
                biased;
                () = self.interrupt.asked() => Err(Interrupted),
                done = work => Ok(done),
            }
        })
    }
}

/// A runtime on this thread.
pub(super) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// The error of a runtime or a thread that the system refuses.
pub(super) fn cannot_start(error: io::Error) -> CliError {
    CliError::failure(
        format!("cannot start: {error}"),
        "check the system's limits",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_dropped_when_the_command_is_asked_to_stop_and_stays_so() {
        let host = Host::default();
        let runtime = host.runtime().expect("a runtime");
        assert_eq!(runtime.block_on(async { 1 }), Ok(1));
        let interrupt = host.interrupt().clone();
        let asked_meanwhile = async {
            interrupt.ask();
            std::future::pending::<()>().await;
        };
        assert_eq!(runtime.block_on(asked_meanwhile), Err(Interrupted));
        assert_eq!(runtime.block_on(async { 1 }), Err(Interrupted));
    }
}
