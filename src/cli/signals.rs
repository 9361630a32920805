//! Signals: the first asks a run to stop, and the run ends in order, within seconds; the second ends the
//! process at once.
//!
//! What a run has done so far is safe at every moment, so ending the process is never worse than a crash,
//! which the next start takes as it is. That is what happens if the run has not ended within [`LIMIT`]
//! (a disk that does not answer, say).

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::args::Command;
use super::exit::{CliError, Exit};
use super::host::{Host, Interrupt, cannot_start};

/// How long what is begun may take to its end. A chunk of a cluster can take half an hour, a large
/// compressed file minutes.
pub const GRACE: Duration = Duration::from_secs(2);

/// How long all of it may take, from the signal to the end of the process.
const LIMIT: Duration = Duration::from_millis(4500);

/// Watches for signals if the command is one that ends in order.
///
/// # Errors
/// If the system refuses.
pub fn watch_for(command: &Command, host: &Host) -> Result<(), CliError> {
    match command {
        Command::Export(_) => watch(host.interrupt().clone()).map_err(cannot_start),
        _ => Ok(()),
    }
}

/// Watches for Ctrl-C, SIGTERM and SIGHUP. On a thread of its own: the second signal and the limit are
/// for a run that cannot even stop.
///
/// # Errors
/// If the system refuses.
fn watch(interrupt: Interrupt) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            // Under nohup a closed terminal is no reason to stop.
            hangup: match is_ignored(SIGHUP) {
                true => None,
                false => Some(signal(SignalKind::hangup())?),
            },
        }
    };
    let watch = async move {
        signals.next().await;
        eprintln!("stopping; press Ctrl-C again to stop at once");
        interrupt.ask();
        if tokio::time::timeout(LIMIT, signals.next()).await.is_err() {
            eprintln!(
                "error: interrupted before all parts of the run had ended\n  hint: run the same command again: it resumes where it stopped"
            );
        }
        std::process::exit(Exit::Interrupted as i32);
    };
    std::thread::Builder::new()
        .name("gleaner-signals".to_owned())
        .spawn(move || runtime.block_on(watch))?;
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    async fn next(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

const SIGHUP: u32 = 1;

/// Whether the process was started with a signal ignored.
fn is_ignored(signal: u32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_mask(&status) >> (signal - 1) & 1 == 1
}

/// The mask of ignored signals in the text of `/proc/self/status`.
fn ignored_mask(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tgleaner\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored_mask(status), 0x1001);
        assert_eq!(ignored_mask("nothing"), 0);
    }
}
