//! The faults that can be injected: where, what, and which of them fit together.

use std::collections::BTreeSet;
use std::fmt;

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
        /// Reservoirs, near-duplicates and files.
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
        /// Near-duplicates are decided.
        Decide = "sample.decide",
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
        /// Before a chunk is sealed.
        BeforeSeal = "spool.seal.before",
        /// After it.
        AfterSeal = "spool.seal.after",
        /// Before a block is staged.
        BeforeStage = "upload.stage.before",
        /// After it.
        AfterStage = "upload.stage.after",
        /// Before a file is committed.
        BeforeCommit = "upload.commit.before",
        /// After it.
        AfterCommit = "upload.commit.after",
        /// Before the manifest is written.
        BeforePublish = "upload.publish.before",
        /// After it.
        AfterPublish = "upload.publish.after",
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
            Self::Offer | Self::Decide | Self::Sample => Stage::Sample,
            Self::Validator | Self::Record | Self::Payload => Stage::Validate,
            Self::Uploader | Self::Stage | Self::Commit | Self::Publish => Stage::Upload,
            Self::BeforeStage
            | Self::AfterStage
            | Self::BeforeCommit
            | Self::AfterCommit
            | Self::BeforePublish
            | Self::AfterPublish => Stage::Upload,
            Self::Append | Self::Seal | Self::Open => Stage::Spool,
            Self::BeforeSeal | Self::AfterSeal => Stage::Spool,
            Self::Supervisor => Stage::Supervisor,
        }
    }

    /// What a plan may name there: what can be drawn, and at an end of an effect, where nothing is drawn,
    /// the process is killed or its thread hangs.
    pub fn accepted(self) -> &'static [Kind] {
        match self.kinds() {
            [] => &[Kind::Crash, Kind::Hang],
            kinds => kinds,
        }
    }

    /// What can go wrong there in a plan that is drawn.
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
            Self::Decide | Self::Sample => &[PanicBefore, PanicAfter, Abort, Hang, Slow],
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
            Self::BeforeSeal
            | Self::AfterSeal
            | Self::BeforeStage
            | Self::AfterStage
            | Self::BeforeCommit
            | Self::AfterCommit
            | Self::BeforePublish
            | Self::AfterPublish => &[],
        }
    }
}

/// Every kind of fault at every stage where it can happen: the matrix that the tests must hit.
pub fn cells() -> BTreeSet<(Stage, Kind)> {
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
