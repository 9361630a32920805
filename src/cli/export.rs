//! `gleaner export`.

use std::io;
use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::args::ExportArgs;
use super::chaos::{self, Chaos};
use super::convert::Made;
use super::exit::{CliError, Exit};
use super::progress::Progress;
use super::serve::Server;
use super::signals::{self, GRACE};
use super::terminal::error_line;
use super::{export_for, print, print_json, report, setup};
use crate::config::settings::Settings;
use crate::pipeline::{Handle, Pipeline, RunError, RunReport};

/// Runs an export.
///
/// # Errors
/// Says what happened and what to do.
pub fn run(args: &ExportArgs) -> Result<Exit, CliError> {
    let (settings, default_targets) = setup::settings(args)?;
    if args.chaos.is_some() {
        chaos::spare(args, &settings)?;
    }
    let mut server = args.serve.map(Server::bind).transpose()?;
    let interrupt = Arc::new(Notify::new());
    signals::watch(Arc::clone(&interrupt)).map_err(cannot_start)?;
    let mut fresh = args.fresh;
    let report = loop {
        let chaos = Chaos::new(args, &settings)?;
        let result = start(args, &settings, fresh, &chaos, server.take(), &interrupt);
        chaos.report();
        match result {
            Err(error) if chaos.starts_again(&error) => {
                // What to do is being done.
                error_line(&format!("chaos: {}", error.message));
                eprintln!("chaos: the same run is started again, with fewer faults");
                fresh = false;
            }
            result => break result?,
        }
    };
    let shortfall = report.manifest.shortfall() > 0;
    let (made, converted) = export_for::run(&settings, &report, &interrupt);
    let printed = if args.json {
        let mut value = report::json(&report);
        if !settings.convert_for.is_empty() {
            value["converted"] = made.iter().map(Made::json).collect();
        }
        print_json(&value)
    } else {
        let texts = made.iter().map(|made| format!("\n\n{}", made.text()));
        let texts: String = texts.collect();
        print(&(report::table(&report, default_targets) + &texts))
    };
    printed.map_err(|error| CliError {
        hint: format!(
            "the dataset is published at {}; see its metadata.json",
            report.location
        ),
        ..error
    })?;
    converted?;
    let exits = made.iter().map(Made::exit);
    Ok(match shortfall {
        true => Exit::Shortfall,
        false => exits.max().unwrap_or(Exit::Success),
    })
}

/// One start of the run, from its work directory to its end.
fn start(
    args: &ExportArgs,
    settings: &Settings,
    fresh: bool,
    chaos: &Chaos,
    server: Option<Server>,
    interrupt: &Notify,
) -> Result<RunReport, CliError> {
    let runtime = runtime().map_err(cannot_start)?;
    let faults = {
        let _inside = runtime.enter();
        chaos.faults()
    };
    let mut builder = Pipeline::builder()
        .settings(settings.clone())
        .fresh(fresh)
        .report(args.report)
        .faults(faults);
    if let Some(work_dir) = &args.work_dir {
        builder = builder.work_dir(work_dir);
    }
    let pipeline = builder.build()?;
    chaos.started();
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    system.block_on(async {
        let run = pipeline.spawn_local();
        let progress = Progress::start(args.progress, Arc::clone(run.telemetry()));
        let served = match server {
            Some(server) => Some(server.start(run.controller())?),
            None => None,
        };
        let result = tokio::select! {
            biased;
            () = chaos.crash() => Err(RunError::Interrupted),
            result = to_its_end(run, interrupt) => result,
        };
        progress.finish();
        if let Some(served) = served {
            served.finish();
        }
        result.map_err(CliError::from)
    })
}

/// Waits for the run's end. Asked to stop, it finishes what it has begun, but not for
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
