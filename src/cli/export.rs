//! `gleaner export`.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use super::args::ExportArgs;
use super::chaos::{self, Chaos};
use super::exit::{CliError, Exit};
use super::progress::Progress;
use super::serve::Server;
use super::{print, print_json, report, setup};
use crate::pipeline::{Handle, Pipeline, RunError, RunReport};

/// How long what is begun may take to its end when somebody has asked the run to stop. A chunk of a
/// cluster can take half an hour.
const GRACE: Duration = Duration::from_secs(10);

/// Runs an export.
///
/// # Errors
/// Says what happened and what to do.
pub fn run(args: &ExportArgs) -> Result<Exit, CliError> {
    let settings = setup::settings(args)?;
    if args.chaos.is_some() {
        chaos::spare(args, &settings)?;
    }
    let server = args.serve.map(Server::bind).transpose()?;
    let runtime = runtime().map_err(cannot_start)?;
    let chaos = {
        let _inside = runtime.enter();
        Chaos::new(args.chaos.is_some().then_some(&settings.chaos))?
    };
    let mut builder = Pipeline::builder()
        .settings(settings)
        .fresh(args.fresh)
        .report(args.report)
        .faults(chaos.faults());
    if let Some(work_dir) = &args.work_dir {
        builder = builder.work_dir(work_dir);
    }
    let pipeline = builder.build()?;
    let interrupt = Arc::new(Notify::new());
    watch_signals(Arc::clone(&interrupt)).map_err(cannot_start)?;
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    let result = system.block_on(async {
        let run = pipeline.spawn_local();
        let progress = Progress::start(args.progress, Arc::clone(run.telemetry()));
        let served = match server {
            Some(server) => Some(server.start(run.controller())?),
            None => None,
        };
        let result = tokio::select! {
            biased;
            () = chaos.crash() => Err(RunError::Interrupted),
            result = to_its_end(run, &interrupt) => result,
        };
        progress.finish();
        if let Some(served) = served {
            served.finish();
        }
        result.map_err(CliError::from)
    });
    chaos.report();
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

/// Waits for the run's end. When somebody asks it to stop it finishes what it has begun, but not for
/// ever.
async fn to_its_end(run: Handle, interrupt: &Notify) -> Result<RunReport, RunError> {
    let controller = run.controller();
    let stop = async {
        interrupt.notified().await;
        controller.drain();
        tokio::time::sleep(GRACE).await;
        controller.cancel();
        std::future::pending().await
    };
    tokio::select! {
        result = run.join() => result,
        () = stop => Err(RunError::Interrupted),
    }
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
