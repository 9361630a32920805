//! `gleaner export`.

use std::sync::Arc;

use serde_json::Value;

use super::args::ExportArgs;
use super::chaos::{self, Chaos};
use super::convert::Made;
use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start, runtime};
use super::outcome::{Outcome, Shown};
use super::progress::Progress;
use super::serve::Server;
use super::signals::GRACE;
use super::terminal::error_line;
use super::{export_for, report, setup};
use crate::config::settings::Settings;
use crate::pipeline::{Controller, Handle, Pipeline, RunError, RunReport};
use crate::secrets;
use crate::telemetry::report as page;

/// An export that has published its dataset.
#[derive(Debug)]
pub struct Exported {
    /// The run.
    pub report: RunReport,
    run: Controller,
    /// Its conversions, until one could not be made.
    made: Vec<Made>,
    converted: Result<(), CliError>,
    is_converted: bool,
    default_targets: bool,
}

impl Exported {
    /// For a program.
    pub fn json(&self) -> Value {
        let mut value = report::json(&self.report);
        if self.is_converted {
            value["converted"] = self.made.iter().map(Made::json).collect();
        }
        value
    }

    fn text(&self) -> String {
        let texts = self.made.iter().map(|made| format!("\n\n{}", made.text()));
        let texts: String = texts.collect();
        report::table(&self.report, self.default_targets) + &texts
    }

    /// The report of the run, as a page of HTML.
    pub fn page(&self) -> String {
        secrets::redacted(page::html(&self.run.status()))
    }

    /// How the program ends.
    ///
    /// # Errors
    /// If a conversion could not be made.
    pub fn end(&self) -> Result<Exit, CliError> {
        self.converted.clone()?;
        let exits = self.made.iter().map(Made::exit);
        Ok(match self.report.manifest.shortfall() > 0 {
            true => Exit::Shortfall,
            false => exits.max().unwrap_or(Exit::Success),
        })
    }
}

/// Runs an export.
///
/// # Errors
/// Says what happened and what to do.
pub fn run(args: &ExportArgs, host: &Host) -> Result<Outcome, CliError> {
    let exported = export(args, host)?;
    Ok(Outcome {
        shown: Shown::either(args.json, || exported.json(), || exported.text()),
        end: exported.end(),
        unseen: Some(format!(
            "the dataset is published at {}; see its metadata.json",
            exported.report.location
        )),
    })
}

/// Exports, and converts what was published.
///
/// # Errors
/// If nothing was published.
pub fn export(args: &ExportArgs, host: &Host) -> Result<Exported, CliError> {
    let (settings, default_targets) = setup::settings(args)?;
    if args.chaos.is_some() {
        chaos::spare(args, &settings)?;
    }
    let mut server = args.serve.map(Server::bind).transpose()?;
    let mut fresh = args.fresh;
    let (report, run) = loop {
        let chaos = Chaos::new(args, &settings)?;
        let result = start(args, &settings, fresh, &chaos, server.take(), host);
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
    let (made, converted) = export_for::run(&settings, &report, host);
    Ok(Exported {
        report,
        run,
        made,
        converted,
        is_converted: !settings.convert_for.is_empty(),
        default_targets,
    })
}

/// One start of the run, from its work directory to its end.
fn start(
    args: &ExportArgs,
    settings: &Settings,
    fresh: bool,
    chaos: &Chaos,
    server: Option<Server>,
    host: &Host,
) -> Result<(RunReport, Controller), CliError> {
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
    if let Some(engine) = host.engine() {
        builder = builder.engine(engine);
    }
    let pipeline = builder.build()?;
    chaos.started();
    let system = actix_rt::System::with_tokio_rt(move || runtime);
    system.block_on(async {
        let run = pipeline.spawn_local();
        let controller = run.controller();
        host.started(controller.clone());
        let progress = Progress::start(args.progress, Arc::clone(run.telemetry()));
        let served = match server {
            Some(server) => Some(server.start(run.controller())?),
            None => None,
        };
        let result = tokio::select! {
            biased;
            () = chaos.crash() => Err(RunError::Interrupted),
            result = to_its_end(run, host) => result,
        };
        progress.finish();
        if let Some(served) = served {
            served.finish();
        }
        Ok((result?, controller))
    })
}

/// Waits for the run's end. Asked to stop, it finishes what it has begun, but not for
/// ever.
async fn to_its_end(run: Handle, host: &Host) -> Result<RunReport, RunError> {
    let controller = run.controller();
    let stop = async {
        host.interrupt().asked().await;
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
