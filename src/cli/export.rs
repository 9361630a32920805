//! `gleaner export`.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::args::ExportArgs;
use super::chaos::{self, Chaos};
use super::exit::{CliError, Exit};
use super::progress::Progress;
use super::{print, print_json, report, setup};
use crate::pipeline::{self, RunError, RunParts};
use crate::runtime::CpuPool;
use crate::telemetry::Counters;

/// Runs an export.
///
/// # Errors
/// Says what happened and what to do.
pub fn run(args: &ExportArgs) -> Result<Exit, CliError> {
    let settings = setup::settings(args)?;
    if args.chaos.is_some() {
        chaos::spare(args, &settings)?;
    }
    let sink = setup::sink(&settings)?;
    let runtime = runtime().map_err(cannot_start)?;
    let chaos = {
        let _inside = runtime.enter();
        Chaos::new(args.chaos.is_some().then_some(&settings.chaos))?
    };
    let work_dir = setup::work_dir(args, &settings, &sink.location())?;
    let source = match setup::source(&settings, &work_dir.record) {
        Ok(source) => source,
        Err(error) => {
            if !work_dir.resumed {
                work_dir.forget();
            }
            return Err(error);
        }
    };
    let telemetry = Counters::new(&settings.selection);
    let progress = Progress::start(args.progress, Arc::clone(&telemetry));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let parts = RunParts {
        settings,
        source: chaos.source(source),
        sink: chaos.sink(sink),
        work_dir,
        telemetry,
        pool: Arc::new(CpuPool::new(threads).map_err(cannot_start)?),
        faults: chaos.faults(),
    };
    let interrupt = Arc::new(Notify::new());
    watch_signals(Arc::clone(&interrupt)).map_err(cannot_start)?;
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    let interrupted = async move { interrupt.notified().await };
    let result = system.block_on(async {
        tokio::select! {
            biased;
            () = chaos.crash() => Err(RunError::Interrupted),
            result = pipeline::run(parts, interrupted) => result,
        }
    });
    progress.finish();
    chaos.tell();
    let report = result?;
    let shortfall = report.manifest.shortfall() > 0;
    if args.json {
        print_json(&report::json(&report))?;
    } else {
        print(&report::table(&report));
    }
    Ok(if shortfall {
        Exit::Shortfall
    } else {
        Exit::Success
    })
}

fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

fn cannot_start(error: io::Error) -> CliError {
    CliError::failure(
        format!("cannot start: {error}"),
        "check the system's limits",
    )
}

/// The first Ctrl-C (or SIGTERM) asks the run to stop; the second ends the process at once. On a
/// thread of its own: the second is for a run that cannot even stop, because a disk does not answer.
fn watch_signals(interrupt: Arc<Notify>) -> io::Result<()> {
    let runtime = runtime()?;
    let (mut int, mut term) = {
        let _inside = runtime.enter();
        (
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        )
    };
    let watch = async move {
        for asked in [false, true] {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
            }
            if asked {
                std::process::exit(Exit::Interrupted as i32);
            }
            eprintln!("stopping; press Ctrl-C again to stop at once");
            interrupt.notify_one();
        }
    };
    std::thread::Builder::new()
        .name("gleaner-signals".to_owned())
        .spawn(move || runtime.block_on(watch))?;
    Ok(())
}
