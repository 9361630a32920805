//! Progress on standard error: bars on a terminal, plain lines in a log, JSON for machines.
//!
//! A thread looks at the run's counters now and then; the run knows nothing of it.

use std::io::IsTerminal;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::ProgressMode;
use super::terminal::{clean_json, error_line};
use super::words;
use crate::domain::json::canonical::sorted;
use crate::telemetry::{Phase, Snapshot, Telemetry};

/// How often bars move.
const BARS_EVERY: Duration = Duration::from_millis(120);

/// How often a line is written.
const LINES_EVERY: Duration = Duration::from_secs(2);

/// Shows progress until it is finished or dropped.
pub struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts to show a run's progress.
    pub fn start(mode: ProgressMode, telemetry: Telemetry) -> Self {
        let mode = match mode {
            // Bars need a terminal that moves its cursor.
            ProgressMode::Auto | ProgressMode::Bars if moves_cursor() => ProgressMode::Bars,
            ProgressMode::Auto | ProgressMode::Bars => ProgressMode::Plain,
            other => other,
        };
        let (stop, stopped) = mpsc::channel();
        let every = match mode {
            ProgressMode::Bars => BARS_EVERY,
            _ => LINES_EVERY,
        };
        let thread = (mode != ProgressMode::None).then(|| {
            std::thread::spawn(move || {
                let mut view = View::new(mode);
                loop {
                    let waited = stopped.recv_timeout(every);
                    let last = waited != Err(RecvTimeoutError::Timeout);
                    view.show(&telemetry, last);
                    if last {
                        return;
                    }
                }
            })
        });
        Self {
            stop: Some(stop),
            thread,
        }
    }

    /// Shows the end and stops.
    pub fn finish(mut self) {
        self.end();
    }

    fn end(&mut self) {
        // Dropping the sender wakes the thread.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // Its end is all that matters here.
            let _ = thread.join();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

fn moves_cursor() -> bool {
    std::io::stderr().is_terminal() && !super::is_dumb()
}

enum View {
    Bars(Box<Bars>),
    Plain { started: Instant },
    Json { started: Instant },
}

impl View {
    fn new(mode: ProgressMode) -> Self {
        let started = Instant::now();
        match mode {
            ProgressMode::Bars => Self::Bars(Box::new(Bars::new())),
            ProgressMode::Json => Self::Json { started },
            _ => Self::Plain { started },
        }
    }

    fn show(&mut self, telemetry: &Telemetry, last: bool) {
        let now = &telemetry.snapshot();
        match self {
            Self::Bars(bars) => bars.show(now, telemetry.left(now), last),
            Self::Plain { started } => error_line(&plain(now, started.elapsed())),
            Self::Json { started } => {
                let mut value = serde_json::json!(now);
                value["elapsed_seconds"] = serde_json::json!(started.elapsed().as_secs_f64());
                error_line(&clean_json(&sorted(value).to_string()));
            }
        }
    }
}

fn rates(now: &Snapshot, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(0.001);
    format!(
        "{:.0} rows/s, {}/s",
        now.rows as f64 / seconds,
        ByteSize::b((now.bytes as f64 / seconds) as u64)
            .display()
            .si()
    )
}

/// What does not go as planned, for a person: `, 2 restarts, 1 lease loss, 3 fetchers paused`.
pub fn incidents<'a>(events: impl Iterator<Item = (&'a str, u64)>, paused: u64) -> String {
    let reported = events
        .filter(|(_, count)| *count > 0)
        .map(|(kind, count)| format!(", {}", words::of_kind(count, kind)));
    let paused = (paused > 0).then(|| {
        format!(
            ", {} paused: too much in flight",
            words::count(paused, "fetcher")
        )
    });
    reported.chain(paused).collect()
}

fn plain(now: &Snapshot, elapsed: Duration) -> String {
    let events = now.events.iter().map(|(kind, count)| (*kind, *count));
    format!("{}{}", course(now, elapsed), incidents(events, now.paused))
}

/// How far it is.
fn course(now: &Snapshot, elapsed: Duration) -> String {
    let sum = |count: fn(&crate::telemetry::StratumSnapshot) -> u64| {
        now.strata.iter().map(count).sum::<u64>()
    };
    match now.phase {
        Phase::Starting => "starting".to_owned(),
        Phase::Census | Phase::Reading => format!(
            "reading: chunk {}/{} ({} replayed, {} failed), {}, {}, {}",
            now.chunks_done,
            now.chunks_total,
            now.chunks_replayed,
            now.chunks_failed,
            words::count(now.rows, "row"),
            ByteSize::b(now.bytes).display().si(),
            rates(now, elapsed),
        ),
        Phase::Grouping => format!("grouping: {}", words::count(now.rows, "row")),
        Phase::Writing => format!(
            "writing: {}/{} records, {} validated, {}",
            sum(|s| s.written),
            sum(|s| s.target),
            sum(|s| s.validated),
            ByteSize::b(now.bytes_written).display().si(),
        ),
        Phase::Publishing => "publishing".to_owned(),
        Phase::Done => format!(
            "done: {}, {}",
            words::count(sum(|s| s.written), "record"),
            ByteSize::b(now.bytes_written).display().si(),
        ),
    }
}

/// One bar for the chunks, one for each stratum.
struct Bars {
    all: MultiProgress,
    chunks: ProgressBar,
    strata: Vec<ProgressBar>,
    started: Instant,
}

impl Bars {
    fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let chunks = all.add(ProgressBar::new(0));
        chunks.set_style(style("{prefix:14} [{bar:16}] {wide_msg}"));
        Self {
            all,
            chunks,
            strata: Vec::new(),
            started: Instant::now(),
        }
    }

    fn show(&mut self, now: &Snapshot, left: Option<Duration>, last: bool) {
        let elapsed = self.started.elapsed();
        self.chunks
            .set_prefix(format!("{:?}", now.phase).to_lowercase());
        // Chunks are of very different lengths: bytes move more evenly, where they are known.
        let (done, all) = match (now.phase, now.bytes_total) {
            (Phase::Reading, 1..) => (now.input_bytes.min(now.bytes_total), now.bytes_total),
            _ => (now.chunks_done, now.chunks_total),
        };
        self.chunks.set_length(all);
        self.chunks.set_position(done);
        let events = now.events.iter().map(|(kind, count)| (*kind, *count));
        let incidents = incidents(events, now.paused);
        let rates = rates(now, elapsed);
        self.chunks.set_message(format!(
            "{}/{} chunks, {rates}{}{incidents}",
            now.chunks_done,
            now.chunks_total,
            eta(left)
        ));
        if self.strata.is_empty() {
            self.strata = now
                .strata
                .iter()
                .map(|stratum| {
                    let bar = self.all.add(ProgressBar::new(stratum.target));
                    bar.set_style(style("{prefix:14} [{bar:16}] {wide_msg}"));
                    bar.set_prefix(stratum.stratum.clone());
                    bar
                })
                .collect();
        }
        for (bar, stratum) in self.strata.iter().zip(&now.strata) {
            let filled = match now.phase {
                Phase::Starting | Phase::Census | Phase::Reading | Phase::Grouping => {
                    stratum.candidates.min(stratum.target)
                }
                _ => stratum.written,
            };
            bar.set_position(filled);
            bar.set_message(format!(
                "{filled}/{}, population {}, validated {}",
                stratum.target, stratum.population, stratum.validated
            ));
            if last {
                bar.abandon();
            }
        }
        if last {
            self.chunks.abandon();
        }
    }
}

fn eta(left: Option<Duration>) -> String {
    left.map_or_else(String::new, |left| {
        format!(", {:.0} s left", left.as_secs_f64())
    })
}

fn style(template: &str) -> ProgressStyle {
    // The templates are constants that the bars' own tests would refuse if they were wrong.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unplanned_events_are_printed() {
        let events = [("actor_exits", 0), ("lease_losses", 2)];
        assert_eq!(incidents(events.into_iter(), 0), ", 2 lease losses");
        assert_eq!(
            incidents([("actor_exits", 1)].into_iter(), 3),
            ", 1 actor exit, 3 fetchers paused: too much in flight"
        );
        assert_eq!(incidents(std::iter::empty(), 0), "");
    }
}
