//! Faults on purpose (feature `fault-injection`): what a run does when things go wrong.
//!
//! A [`Faults`] belongs to one run and is handed to its parts. Where something can go wrong, a part
//! passes a [`Site`] and is told which [`Kind`] of fault is due there, if any. What is due says a
//! plan: the n-th passage of a site, and a kind. Every actor has one site that it enters before it
//! does its work and leaves after, so it can die on either side of its effect.
//!
//! Without the feature a site is nothing.
//!
//! [`point`] is something else: it ends or holds the *process*, for the tests that kill the program.

use std::fmt;

mod around;
#[cfg(feature = "fault-injection")]
mod injector;
#[cfg(feature = "fault-injection")]
mod plan;
#[cfg(feature = "fault-injection")]
mod sink;
#[cfg(feature = "fault-injection")]
mod source;

#[cfg(feature = "fault-injection")]
pub use injector::{FaultScope, Faults, FiredFault, Injected, Injector};
#[cfg(feature = "fault-injection")]
pub use plan::{FaultPlan, Planned, WrongPlan};
#[cfg(feature = "fault-injection")]
pub use sink::FaultySink;
#[cfg(feature = "fault-injection")]
pub use source::FaultySource;

/// Declares an enum whose variants have names.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$of])* $variant,)*
        }

        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its stable name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }

            /// By its name.
            pub fn of(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.name() == name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

named! {
    /// A part of the pipeline.
    Stage {
        /// The source and the fetchers.
        Fetch = "fetch",
        /// Who is new.
        Dedup = "dedup",
        /// Reservoirs and files.
        Sample = "sample",
        /// Rules.
        Validate = "validate",
        /// The sink and the uploaders.
        Upload = "upload",
        /// Sealed chunks.
        Spool = "spool",
        /// Who may do what, when.
        Supervisor = "supervisor",
    }
}

named! {
    /// Where something can go wrong.
    Site {
        /// A fetcher, from its lease to its report.
        Fetcher = "fetcher",
        /// A chunk is asked for.
        Fetch = "fetch",
        /// A block of rows arrives.
        Block = "fetch.block",
        /// A row is read, on the CPU pool.
        Row = "fetch.row",
        /// A fetcher reports.
        Report = "fetch.report",
        /// Dedup absorbs a chunk.
        Dedup = "dedup",
        /// A sampler takes an offer.
        Offer = "sample.offer",
        /// A sampler writes its file.
        Sample = "sample",
        /// A validator, from a batch to its verdicts.
        Validator = "validator",
        /// A record is validated, on the CPU pool.
        Record = "validate.record",
        /// A payload is read again.
        Payload = "validate.payload",
        /// An uploader, from a block or commit to its receipt.
        Uploader = "uploader",
        /// A block is staged.
        Stage = "upload.stage",
        /// A file is committed.
        Commit = "upload.commit",
        /// The manifest is written.
        Publish = "upload.publish",
        /// A row is appended to a chunk.
        Append = "spool.append",
        /// A chunk is sealed.
        Seal = "spool.seal",
        /// A sealed chunk is opened.
        Open = "spool.open",
        /// The supervisor takes a report.
        Supervisor = "supervisor",
    }
}

named! {
    /// What goes wrong.
    Kind {
        /// An error that goes away.
        Transient = "transient",
        /// The service has enough to do.
        Throttle = "throttle",
        /// The login is not accepted any more.
        AuthExpiry = "auth_expiry",
        /// No answer, ever.
        Hang = "hang",
        /// Bytes are missing at the end.
        Truncated = "truncated",
        /// Bytes are not what they were.
        Corrupt = "corrupt",
        /// It arrives twice.
        Duplicate = "duplicate",
        /// It arrives after what was sent later.
        Reordered = "reordered",
        /// A panic before the effect.
        PanicBefore = "panic_before",
        /// A panic after the effect, before anybody knows of it.
        PanicAfter = "panic_after",
        /// The task is cancelled.
        Abort = "abort",
        /// The effect happens, and the answer is lost.
        AckLost = "ack_lost",
        /// The disk is full (ENOSPC).
        NoSpace = "no_space",
        /// The disk fails (EIO).
        Io = "io",
        /// Some of the bytes are written, then an error.
        ShortWrite = "short_write",
        /// It takes its time.
        Slow = "slow",
        /// The clock jumps ahead, past all leases.
        ClockJump = "clock_jump",
        /// The process is gone, as after `kill -9`.
        Crash = "crash",
    }
}

impl Site {
    /// The stage that it belongs to.
    pub fn stage(self) -> Stage {
        match self {
            Self::Fetcher | Self::Fetch | Self::Block | Self::Row | Self::Report => Stage::Fetch,
            Self::Dedup => Stage::Dedup,
            Self::Offer | Self::Sample => Stage::Sample,
            Self::Validator | Self::Record | Self::Payload => Stage::Validate,
            Self::Uploader | Self::Stage | Self::Commit | Self::Publish => Stage::Upload,
            Self::Append | Self::Seal | Self::Open => Stage::Spool,
            Self::Supervisor => Stage::Supervisor,
        }
    }

    /// What can go wrong there.
    pub fn kinds(self) -> &'static [Kind] {
        use Kind::*;
        match self {
            Self::Fetcher => &[PanicBefore, PanicAfter, Abort],
            Self::Fetch => &[Transient, Throttle, AuthExpiry, Hang, AckLost, Io],
            Self::Block => &[Truncated, Corrupt, Slow],
            Self::Row => &[PanicBefore],
            Self::Report => &[Duplicate, Reordered],
            Self::Dedup => &[PanicBefore, PanicAfter, Abort, Hang, Slow],
            Self::Offer => &[PanicBefore, PanicAfter],
            Self::Sample => &[PanicBefore, PanicAfter, Abort, Hang, Slow],
            Self::Validator => &[PanicBefore, PanicAfter, Abort, Hang, Slow],
            Self::Record => &[PanicBefore],
            Self::Payload => &[Io, Truncated, Corrupt],
            Self::Uploader => &[PanicBefore, PanicAfter, Abort],
            Self::Stage => &[
                Transient, Throttle, AuthExpiry, Hang, NoSpace, Io, Slow, AckLost, Duplicate,
                Reordered,
            ],
            Self::Commit => &[Transient, Hang, Io, AckLost, Duplicate],
            Self::Publish => &[Transient, AckLost],
            Self::Append => &[NoSpace, Io, ShortWrite],
            Self::Seal => &[NoSpace, Io, AckLost, PanicBefore, PanicAfter],
            Self::Open => &[Io, Truncated, Corrupt],
            Self::Supervisor => &[PanicBefore, PanicAfter, Abort, ClockJump, Crash],
        }
    }
}

/// Every kind of fault at every stage where it can happen: the matrix that the tests must hit.
pub fn cells() -> std::collections::BTreeSet<(Stage, Kind)> {
    let of_site = |&site: &Site| site.kinds().iter().map(move |&kind| (site.stage(), kind));
    Site::ALL.iter().flat_map(of_site).collect()
}

/// The matrix as a table in Markdown, for `docs/faults.md`: in each cell the sites where the fault
/// can strike.
pub fn table() -> String {
    let row = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let stages = Stage::ALL.iter().map(|stage| stage.to_string());
    let mut out = row(std::iter::once(String::new()).chain(stages).collect());
    out += &row(vec!["---".to_owned(); Stage::ALL.len() + 1]);
    for &kind in Kind::ALL {
        let sites = |&stage: &Stage| {
            let here = |site: &&Site| site.stage() == stage && site.kinds().contains(&kind);
            let sites = Site::ALL.iter().filter(here);
            let names: Vec<String> = sites.map(|site| format!("`{site}`")).collect();
            names.join(" ")
        };
        let cells = Stage::ALL.iter().map(sites);
        out += &row(std::iter::once(format!("`{kind}`")).chain(cells).collect());
    }
    out
}

/// No faults: the feature is off.
#[cfg(not(feature = "fault-injection"))]
#[derive(Debug, Clone, Default)]
pub struct Faults(());

/// Nothing: the feature is off.
#[cfg(not(feature = "fault-injection"))]
#[derive(Debug)]
pub struct FaultScope(());

#[cfg(not(feature = "fault-injection"))]
impl Faults {
    /// Nothing is due.
    #[inline(always)]
    pub fn due(&self, _site: Site) -> Option<Kind> {
        None
    }

    /// Goes on.
    #[inline(always)]
    pub async fn enter(&self, _site: Site) -> FaultScope {
        FaultScope(())
    }

    /// Goes on.
    #[inline(always)]
    pub fn enter_now(&self, _site: Site) -> FaultScope {
        FaultScope(())
    }

    /// Nothing.
    #[inline(always)]
    pub fn enlist(&self, _task: &tokio::task::AbortHandle) {}

    /// No jump.
    #[inline(always)]
    pub fn skew(&self) -> std::time::Duration {
        std::time::Duration::ZERO
    }

    /// Never: no panic is injected.
    #[inline(always)]
    pub fn is_injected(_panic: &(dyn std::any::Any + Send)) -> bool {
        false
    }
}

#[cfg(not(feature = "fault-injection"))]
impl FaultScope {
    /// None.
    #[inline(always)]
    pub fn error_before(&self) -> Option<std::io::Error> {
        None
    }

    /// None.
    #[inline(always)]
    pub fn error_after(&self) -> Option<std::io::Error> {
        None
    }

    /// Goes on.
    #[inline(always)]
    pub fn leave(self) {}
}

/// Ends the process, as `kill -9` does, at the passage that `GLEANER_KILL_AT=<site>:<n>` names; holds
/// the thread for ever, as a disk that does not answer, at that of `GLEANER_HANG_AT`, and says so on
/// standard error.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_site: &str) {}

/// Passes a kill point.
#[cfg(feature = "fault-injection")]
pub fn point(site: &str) {
    use std::sync::LazyLock;

    static KILL: LazyLock<Option<Plan>> = LazyLock::new(|| Plan::of("GLEANER_KILL_AT"));
    static HANG: LazyLock<Option<Plan>> = LazyLock::new(|| Plan::of("GLEANER_HANG_AT"));

    if KILL.as_ref().is_some_and(|plan| plan.is_due(site)) {
        kill();
    }
    if HANG.as_ref().is_some_and(|plan| plan.is_due(site)) {
        eprintln!("hanging at {site}");
        loop {
            std::thread::park();
        }
    }
}

/// Ends the process as `kill -9` does.
#[cfg(feature = "fault-injection")]
pub fn kill() -> ! {
    // SIGKILL cannot be refused; should it be, dying is still the point.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort();
}

/// The passage of a site at which it happens.
#[cfg(feature = "fault-injection")]
struct Plan {
    site: String,
    nth: u64,
    passed: std::sync::atomic::AtomicU64,
}

#[cfg(feature = "fault-injection")]
impl Plan {
    fn of(variable: &str) -> Option<Self> {
        let text = std::env::var(variable).ok()?;
        let (site, nth) = text.split_once(':')?;
        Some(Self {
            site: site.to_owned(),
            nth: nth.parse().ok()?,
            passed: 0.into(),
        })
    }

    fn is_due(&self, site: &str) -> bool {
        use std::sync::atomic::Ordering;
        self.site == site && self.passed.fetch_add(1, Ordering::Relaxed) + 1 == self.nth
    }
}
