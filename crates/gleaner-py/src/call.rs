//! A command on a thread of its own, and the interpreter that waits for it.
//!
//! - The interpreter's lock is free while nothing is handed on, so other Python threads work.
//! - Ctrl-C, or an exception of a listener, asks the command to stop: a run ends in order, resumable. The call waits
//!   for that and raises. A second Ctrl-C raises at once; the run ends by itself within seconds.
//! - A listener that is slow never slows the run: it loses the oldest events, and each event says how many.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use gleaner::Controller;
use gleaner::cli::exit::CliError;
use gleaner::cli::host::{Host, Interrupt};
use gleaner::cli::json_text;
use gleaner::telemetry::Notices;
use pyo3::prelude::*;
use serde_json::{Value, json};

use crate::engine::PyEngine;
use crate::failure::exception;

/// How long Ctrl-C may wait to be seen.
const SIGNALS_EVERY: Duration = Duration::from_millis(100);

/// How often the state of a run is handed on.
const STATUS_EVERY: Duration = Duration::from_millis(500);

/// Who follows a run, and reads for it.
#[derive(Default)]
pub struct Listeners<'py> {
    /// Called with each event.
    pub on_event: Option<Bound<'py, PyAny>>,
    /// Called with the state, every half a second and at the end.
    pub on_status: Option<Bound<'py, PyAny>>,
    /// What reads the rows instead of this process.
    pub engine: Option<PyEngine>,
}

/// What comes from the thread of the command.
enum Message<T> {
    Started(Controller, Notices),
    Finished(Result<T, CliError>),
}

/// Does some work on a thread of its own, and waits for it.
///
/// # Errors
/// The exception of the work, of a listener, or of Ctrl-C.
pub fn call<T: Send + 'static>(
    py: Python<'_>,
    mut listeners: Listeners<'_>,
    work: impl FnOnce(&Host) -> Result<T, CliError> + Send + 'static,
) -> PyResult<T> {
    let (sender, messages) = mpsc::channel();
    let started = sender.clone();
    // Who no longer waits has raised, and the command was asked to stop.
    let host = Host::following(move |run| {
        // From the first event on.
        let events = run.events();
        drop(started.send(Message::Started(run, events)));
    });
    let host = match listeners.engine.take() {
        Some(engine) => host.with_engine(Arc::new(engine)),
        None => host,
    };
    let interrupt = host.interrupt().clone();
    thread::Builder::new()
        .name("gleaner-command".to_owned())
        .spawn(move || drop(sender.send(Message::Finished(work(&host)))))?;
    let mut caller = Caller {
        py,
        listeners: &listeners,
        interrupt,
        raised: None,
    };
    let result = caller.wait(&Mutex::new(messages))?;
    match (caller.raised, result) {
        (Some(raised), _) => Err(raised),
        (None, Ok(value)) => Ok(value),
        (None, Err(error)) => Err(exception(py, &error)),
    }
}

/// The thread that has called a command.
struct Caller<'a, 'py> {
    py: Python<'py>,
    listeners: &'a Listeners<'py>,
    interrupt: Interrupt,
    /// Why the command was asked to stop.
    raised: Option<PyErr>,
}

impl Caller<'_, '_> {
    /// Waits until the work has ended.
    fn wait<T: Send>(
        &mut self,
        messages: &Mutex<Receiver<Message<T>>>,
    ) -> PyResult<Result<T, CliError>> {
        loop {
            let next = self.py.detach(|| {
                let messages = messages.lock().unwrap_or_else(PoisonError::into_inner);
                messages.recv_timeout(SIGNALS_EVERY)
            });
            match next {
                Ok(Message::Started(run, events)) => self.follow(&run, &events)?,
                Ok(Message::Finished(result)) => return Ok(result),
                Err(RecvTimeoutError::Timeout) => self.look_for_signals()?,
                Err(RecvTimeoutError::Disconnected) => return Ok(Err(panicked())),
            }
        }
    }

    /// Hands on what a run says, to its end.
    fn follow(&mut self, run: &Controller, events: &Notices) -> PyResult<()> {
        let mut reported = Instant::now();
        loop {
            let next = self.py.detach(|| events.recv_timeout(SIGNALS_EVERY));
            let is_over = next == Err(RecvTimeoutError::Disconnected);
            if let (Ok(event), Some(listener)) = (&next, &self.listeners.on_event) {
                self.tell(listener, &json!(event))?;
            }
            if let Some(listener) = &self.listeners.on_status
                && (is_over || reported.elapsed() >= STATUS_EVERY)
            {
                reported = Instant::now();
                self.tell(listener, &json!(run.status()))?;
            }
            if is_over {
                return Ok(());
            }
            self.look_for_signals()?;
        }
    }

    /// Calls a listener, unless one has raised before.
    fn tell(&mut self, listener: &Bound<'_, PyAny>, value: &Value) -> PyResult<()> {
        if self.raised.is_some() {
            return Ok(());
        }
        let called = listener.call1((json_text(value),));
        self.stop_if_raised(called.map(drop))
    }

    fn look_for_signals(&mut self) -> PyResult<()> {
        let seen = self.py.check_signals();
        self.stop_if_raised(seen)
    }

    /// The first exception asks the command to stop, the next is raised at once.
    fn stop_if_raised(&mut self, result: PyResult<()>) -> PyResult<()> {
        let Err(raised) = result else { return Ok(()) };
        self.interrupt.ask();
        match self.raised {
            Some(_) => Err(raised),
            None => {
                self.raised = Some(raised);
                Ok(())
            }
        }
    }
}

fn panicked() -> CliError {
    CliError::failure(
        "the command panicked",
        "this is a defect in gleaner, please report it",
    )
}
