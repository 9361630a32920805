//! Carries out the plan of one run: counts hits, says which fault is due, records which fired.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, Id};
use tokio::time::Instant;

use super::{FaultPlan, Kind, Planned, Site, kill};

/// Duration of a slow operation: long, and far shorter than a lease.
const SLOW: Duration = Duration::from_secs(30);

/// A clock jumps by this much: past every lease.
const JUMP: Duration = Duration::from_secs(7200);

/// The payload of an injected panic; gleaner's own panics never have it.
#[derive(Debug)]
pub struct Injected;

/// A fault that fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiredFault {
    /// The fault.
    pub fault: Planned,
    /// Time since the injector was made.
    pub at: Duration,
}

type Watcher = Box<dyn Fn(Site, u64) + Send + Sync>;

#[derive(Debug, Default)]
struct State {
    passed: BTreeMap<Site, u64>,
    /// Of the sites at which the process is killed.
    ends_passed: BTreeMap<Site, u64>,
    struck: Vec<FiredFault>,
    skew: Duration,
    /// Only ever looked up, so that the order means nothing.
    tasks: HashMap<Id, AbortHandle>,
}

/// Carries a plan out.
pub struct Injector {
    plan: FaultPlan,
    started: Instant,
    state: Mutex<State>,
    /// RunEvent when the process is to be gone.
    crash: Notify,
    /// Sees every hit.
    watcher: Option<Watcher>,
}

impl Injector {
    /// For a plan. Its clock is tokio's, so it must be made on the run's runtime.
    pub fn new(plan: FaultPlan) -> Self {
        Self {
            plan,
            started: Instant::now(),
            state: Mutex::default(),
            crash: Notify::new(),
            watcher: None,
        }
    }

    /// Calls a function on every hit.
    #[must_use]
    pub fn watched(self, watcher: impl Fn(Site, u64) + Send + Sync + 'static) -> Self {
        Self {
            watcher: Some(Box::new(watcher)),
            ..self
        }
    }

    /// The faults that have fired so far.
    pub fn struck(&self) -> Vec<FiredFault> {
        self.state().struck.clone()
    }

    /// The hits of each site so far.
    pub fn passed(&self) -> BTreeMap<Site, u64> {
        self.state().passed.clone()
    }

    /// Completes when the process is to be gone ([`Kind::Crash`]): the host of the run kills the
    /// process, or drops the run.
    pub async fn crashed(&self) {
        self.crash.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The guarded value is whole after every statement.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn due(&self, site: Site) -> Option<Kind> {
        let (nth, due) = {
            let mut state = self.state();
            let passed = state.passed.entry(site).or_default();
            *passed += 1;
            let nth = *passed;
            let due = self.plan.due(site, nth);
            if let Some(kind) = due {
                let fault = Planned { site, nth, kind };
                let at = self.started.elapsed();
                state.struck.push(FiredFault { fault, at });
                tracing::info!(%fault, "injected");
            }
            (nth, due)
        };
        if let Some(watcher) = &self.watcher {
            watcher(site, nth);
        }
        match due {
            Some(Kind::ClockJump) => self.state().skew += JUMP,
            Some(Kind::Crash) => self.crash.notify_one(),
            _ => {}
        }
        due
    }
}

/// The faults of a run: none, or those of an injector.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Injector>>);

impl From<Arc<Injector>> for Faults {
    fn from(injector: Arc<Injector>) -> Self {
        Self(Some(injector))
    }
}

impl std::fmt::Debug for Faults {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plan = self.0.as_ref().map(|injector| injector.plan.to_string());
        f.debug_tuple("Faults").field(&plan).finish()
    }
}

impl Faults {
    /// Whether there is a plan at all.
    pub fn are_planned(&self) -> bool {
        self.0.is_some()
    }

    /// Passes a site; says what is due there. The caller makes it happen.
    pub fn due(&self, site: Site) -> Option<Kind> {
        self.0.as_ref()?.due(site)
    }

    /// Passes one end of an effect: the process is killed there, or the thread hangs as at a disk that
    /// does not answer, and says so on standard error. Unlike [`Self::due`], this is no hit of a drawn
    /// plan: it is neither recorded nor shown to who watches.
    pub fn pass(&self, site: Site) {
        let Some(injector) = &self.0 else { return };
        let nth = {
            let mut state = injector.state();
            let passed = state.ends_passed.entry(site).or_default();
            *passed += 1;
            *passed
        };
        match injector.plan.due(site, nth) {
            Some(Kind::Crash) => kill(),
            Some(Kind::Hang) => {
                eprintln!("hanging at {site}");
                loop {
                    std::thread::park();
                }
            }
            _ => {}
        }
    }

    /// An actor starts work: a fault may kill, hang or slow it here.
    ///
    /// # Panics
    /// If that is due.
    pub async fn enter(&self, site: Site) -> FaultScope {
        let Some(injector) = &self.0 else {
            return FaultScope(None);
        };
        let due = injector.due(site);
        match due {
            Some(Kind::PanicBefore) => panic_now(),
            Some(Kind::Hang) => pending().await,
            Some(Kind::Slow) => tokio::time::sleep(SLOW).await,
            Some(Kind::Abort) => {
                injector.abort();
                pending().await
            }
            _ => {}
        }
        FaultScope(due)
    }

    /// As [`Self::enter`], where nothing can wait: a task that is cancelled ends with its message.
    ///
    /// # Panics
    /// If that is due.
    pub fn enter_now(&self, site: Site) -> FaultScope {
        let due = self.due(site);
        match (due, &self.0) {
            (Some(Kind::PanicBefore), _) => panic_now(),
            (Some(Kind::Abort), Some(injector)) => injector.abort(),
            _ => {}
        }
        FaultScope(due)
    }

    /// Makes a task known, so that it can be cancelled.
    pub fn enlist(&self, task: &AbortHandle) {
        if let Some(injector) = &self.0 {
            injector.state().tasks.insert(task.id(), task.clone());
        }
    }

    /// Time by which the clock has jumped.
    pub fn skew(&self) -> Duration {
        let injector = self.0.as_ref();
        injector.map_or(Duration::ZERO, |injector| injector.state().skew)
    }

    /// Whether a panic was injected.
    pub fn is_injected(panic: &(dyn Any + Send)) -> bool {
        panic.is::<Injected>()
    }
}

impl Injector {
    /// Cancels the task that this is called from.
    fn abort(&self) {
        let task = self.state().tasks.get(&tokio::task::id()).cloned();
        if let Some(task) = task {
            task.abort();
        }
    }
}

fn panic_now() -> ! {
    std::panic::panic_any(Injected)
}

/// An actor's work, between its two ends.
#[derive(Debug)]
#[must_use]
pub struct FaultScope(Option<Kind>);

impl FaultScope {
    /// The injected error of a file operation that fails before its effect.
    pub fn error_before(&self) -> Option<io::Error> {
        match self.0? {
            Kind::NoSpace => Some(io::ErrorKind::StorageFull.into()),
            Kind::Io => Some(rustix::io::Errno::IO.into()),
            _ => None,
        }
    }

    /// The injected error of a file operation that fails after its effect.
    pub fn error_after(&self) -> Option<io::Error> {
        (self.0? == Kind::AckLost).then(|| io::ErrorKind::Other.into())
    }

    /// The work is done, and not reported yet.
    ///
    /// # Panics
    /// If that is due.
    pub fn leave(self) {
        if self.0 == Some(Kind::PanicAfter) {
            panic_now();
        }
    }
}
