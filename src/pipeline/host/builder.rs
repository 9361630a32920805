//! From what a host wants to a run that can be started.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::json;
use thiserror::Error;
use tokio::sync::oneshot;
use toml::{Table, Value};
use tracing::Instrument;

use super::handle::{Controller, Handle, Outcome, Task};
use super::run_actor::{Forwarders, RunActor};
use super::setup;
use crate::config::settings::{Format, Settings, SinkTarget, Source};
use crate::config::{self, ConfigError, Layers};
use crate::domain::record::rule::Rule;
use crate::fault::Faults;
use crate::pipeline::lifecycle::run_control::RunControl;
use crate::pipeline::lifecycle::sink_timeout::SinkWithTimeout;
use crate::pipeline::run::run_under;
use crate::pipeline::state::start::StartOptions;
use crate::pipeline::state::work_dir::{WorkDir, WorkDirError};
use crate::pipeline::{RunError, RunParts};
use crate::runtime::CpuPool;
use crate::secrets;
use crate::sink::{DatasetSink, SinkError};
use crate::source::{ConversationSource, SourceError};
use crate::telemetry::{Counters, State, Telemetry, metrics, report};

/// How often metrics are set.
const METRICS_EVERY: Duration = Duration::from_secs(1);

/// Why a run cannot be started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The source cannot be used.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The sink cannot be used.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The work directory was refused.
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
    /// Two rules have one name, or a name that gleaner's own rules have, or none that can be used.
    #[error(
        "the rule {0:?} needs another name: of letters, digits, '_' and ':', and of no other rule"
    )]
    RuleName(String),
    /// The system refused a thread, or randomness.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
}

/// What a run is made of. See [`Pipeline::builder`].
#[derive(Default)]
#[must_use]
pub struct PipelineBuilder {
    layers: Layers,
    /// The typed settings, a layer above the others.
    table: Table,
    /// The first thing that was wrong.
    error: Option<ConfigError>,
    settings: Option<Settings>,
    source: Option<Arc<dyn ConversationSource>>,
    sink: Option<Arc<dyn DatasetSink>>,
    rules: Vec<Arc<dyn Rule>>,
    work_dir: Option<PathBuf>,
    fresh: bool,
    pool: Option<Arc<CpuPool>>,
    faults: Faults,
    report: bool,
}

impl PipelineBuilder {
    /// Adds a configuration file; what is said later beats it.
    pub fn config_file(self, path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        self.layer(|layers| layers.file(&path))
    }

    /// Adds a configuration text (TOML).
    pub fn config(self, text: &str) -> Self {
        self.layer(|layers| layers.text("the configuration", text))
    }

    fn layer(mut self, add: impl FnOnce(Layers) -> Result<Layers, ConfigError>) -> Self {
        match add(std::mem::take(&mut self.layers)) {
            Ok(layers) => self.layers = layers,
            Err(error) => self.error = self.error.or(Some(error)),
        }
        self
    }

    /// Sets any key of the configuration, such as `limits.in_flight`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> Self {
        config::insert(&mut self.table, key, value.into());
        self
    }

    /// Uses settings that are validated already instead of all the keys.
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }

    /// The dataset's name; `{total}`, `{window}` and `{timestamp}` are filled in.
    pub fn name(self, name: &str) -> Self {
        self.set("name", name)
    }

    /// The seed of the sample.
    pub fn seed(self, seed: &str) -> Self {
        self.set("selection.seed", seed)
    }

    /// How many records a stratum is to have.
    pub fn target(self, split: &str, bucket: &str, records: u32) -> Self {
        self.set(
            &format!("selection.targets.{split}.{bucket}"),
            i64::from(records),
        )
    }

    /// Reads files: paths, folders or globs.
    pub fn input<P: Into<String>>(self, paths: impl IntoIterator<Item = P>) -> Self {
        let paths = paths.into_iter().map(|path| Value::String(path.into()));
        self.set("source.kind", "files")
            .set("source.files.paths", Value::Array(paths.collect()))
    }

    /// Writes datasets into a folder, or below an address of Azure Blob Storage in the forms of
    /// [`crate::sink::address`].
    pub fn out(mut self, address: &str) -> Self {
        if let Err(wrong) = config::insert_sink(&mut self.table, address) {
            self.error = self.error.or(Some(wrong.into()));
        }
        self
    }

    /// The files' format.
    pub fn format(self, format: Format) -> Self {
        self.set(
            "sink.format",
            match format {
                Format::Json => "json",
                Format::Jsonl => "jsonl",
            },
        )
    }

    /// Hash chunks, or pieces of files.
    pub fn chunks(self, count: u32) -> Self {
        self.set("chunks.count", i64::from(count))
    }

    /// Publishes although up to so many hash chunks are missing; not for files. The manifest names
    /// them.
    pub fn allow_missing_chunks(self, count: u32) -> Self {
        self.set("chunks.allow_missing", i64::from(count))
    }

    /// Chunks fetched at once.
    pub fn fetchers(self, workers: u16) -> Self {
        self.set("workers.fetchers", i64::from(workers))
    }

    /// Batches validated at once.
    pub fn validators(self, workers: u16) -> Self {
        self.set("workers.validators", i64::from(workers))
    }

    /// Blocks written at once.
    pub fn uploaders(self, workers: u16) -> Self {
        self.set("workers.uploaders", i64::from(workers))
    }

    /// Reads from a source of the host's own.
    pub fn source(mut self, source: impl ConversationSource) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Publishes to a sink of the host's own.
    pub fn sink(mut self, sink: impl DatasetSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Holds records against a rule of the host's own, besides gleaner's.
    pub fn rule(mut self, rule: impl Rule) -> Self {
        self.rules.push(Arc::new(rule));
        self
    }

    /// What the run needs to go on after a crash, and its reports. Without one it is
    /// `.gleaner/FINGERPRINT` in the current directory, as for the command line.
    pub fn work_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.work_dir = Some(path.into());
        self
    }

    /// Starts over, whatever the work directory holds.
    pub fn fresh(mut self, fresh: bool) -> Self {
        self.fresh = fresh;
        self
    }

    /// Works on threads that the host has, and may share between runs. Without it the run has its
    /// own, as many as there are cores, which end with it.
    pub fn pool(mut self, pool: Arc<CpuPool>) -> Self {
        self.pool = Some(pool);
        self
    }

    /// Puts the run's report beside the dataset, as `DATASET.report.html`, once it is published. It
    /// is written into the work directory in any case.
    pub fn report(mut self, report: bool) -> Self {
        self.report = report;
        self
    }

    /// What goes wrong on purpose.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Checks all of it, takes the work directory, and makes the run ready to start.
    ///
    /// # Errors
    /// Says what cannot be used, and why. Nothing was read or written then.
    pub fn build(self) -> Result<Pipeline, BuildError> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        check_names(&self.rules)?;
        let mut settings = match self.settings {
            Some(settings) => settings,
            None => {
                let mut table = self.table;
                // Kinds that need nothing; they are not asked for anything.
                let mut instead = |is_own: bool, key: &str, kind: &str| {
                    if is_own {
                        config::insert(&mut table, key, Value::String(kind.to_owned()));
                    }
                };
                instead(self.source.is_some(), "source.kind", "synthetic");
                instead(self.sink.is_some(), "sink.kind", "local");
                let layers = self.layers.table("the builder", table)?;
                config::validate(&layers, &[])?
            }
        };
        if let Some(source) = &self.source {
            settings.source = Source::Custom(source.describe());
        }
        let sink = match self.sink {
            Some(sink) => {
                settings.sink.target = SinkTarget::Custom(sink.location());
                sink
            }
            None => setup::sink(&settings.sink.target)?,
        };
        let pool = match self.pool {
            Some(pool) => pool,
            None => {
                let threads = std::thread::available_parallelism().map_or(2, usize::from);
                Arc::new(CpuPool::new(threads)?)
            }
        };
        let mut described = config::described(&settings);
        if !self.rules.is_empty() {
            let rules = self.rules.iter().map(|rule| (rule.name(), rule.version()));
            described["rules"] = json!(rules.collect::<std::collections::BTreeMap<_, _>>());
        }
        let fingerprint = config::fingerprint(&described);
        let path = match self.work_dir {
            Some(path) => path,
            None => setup::default_work_dir(&fingerprint),
        };
        let record = setup::new_record(&settings, &described, &fingerprint, &sink.location())?;
        let options = StartOptions {
            fresh: self.fresh,
            fixed_name: config::name::is_fixed(&settings),
        };
        let work_dir = WorkDir::open(&path, record, options)?;
        let source = match self.source {
            Some(source) => Ok(source),
            None => setup::source(&settings, &work_dir.record),
        };
        let source = match source {
            Ok(source) => source,
            Err(error) => {
                if !work_dir.resumed {
                    work_dir.forget();
                }
                return Err(error.into());
            }
        };
        let telemetry = Counters::new(&settings.selection);
        // Nobody has set it before.
        let _ = telemetry
            .info
            .set(setup::info(&settings, &*source, &work_dir));
        let parts = RunParts {
            settings,
            source: self.faults.around_source(source),
            sink: self.faults.around_sink(sink),
            rules: self.rules.into(),
            work_dir,
            telemetry,
            pool,
            faults: self.faults,
        };
        Ok(Pipeline {
            parts: Some(parts),
            report: self.report,
        })
    }
}

/// A run that is ready to start. It holds its work directory.
///
/// The run lives where it is started: on the current arbiter of an actix system
/// ([`Self::spawn_local`]), on another one ([`Self::spawn_on`]), or on a thread of its own
/// ([`Self::spawn_thread`]), from whatever program.
#[must_use = "it does nothing until it is started"]
pub struct Pipeline {
    /// Absent once it is started.
    parts: Option<RunParts>,
    report: bool,
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        // A run that was never started is none to go on with.
        if let Some(parts) = self.parts.take()
            && !parts.work_dir.resumed
        {
            parts.work_dir.forget();
        }
    }
}

impl Pipeline {
    /// Says what a run is made of. What is not said is as in the shipped defaults.
    pub fn builder() -> PipelineBuilder {
        PipelineBuilder::default()
    }

    /// Starts it on the current arbiter (or within a `tokio::task::LocalSet`). All its actors live
    /// there; work is done on its pool.
    ///
    /// # Panics
    /// Outside of both: there is nowhere for actors to live. Use [`Self::spawn_thread`] there.
    pub fn spawn_local(self) -> Handle {
        let (controller, outcome, run) = self.ready();
        actix_rt::spawn(run);
        Handle::new(controller, outcome, None)
    }

    /// Starts it on an arbiter that the host has.
    ///
    /// # Errors
    /// If the arbiter is stopped.
    pub async fn spawn_on(self, arbiter: &actix_rt::ArbiterHandle) -> Result<Handle, BuildError> {
        let (send, started) = oneshot::channel();
        let start = move || {
            let (controller, outcome, run) = self.ready();
            if send.send(Handle::new(controller, outcome, None)).is_ok() {
                actix_rt::spawn(run);
            }
        };
        let stopped = || std::io::Error::other("the arbiter is stopped");
        if !arbiter.spawn_fn(start) {
            return Err(stopped().into());
        }
        started.await.map_err(|_| stopped().into())
    }

    /// Starts it on a thread of its own, which ends with it: from an asynchronous program of any
    /// kind, or from one that is not.
    ///
    /// # Errors
    /// If the system refuses a thread or a runtime.
    pub fn spawn_thread(self) -> Result<Handle, BuildError> {
        let (started, controller) = std::sync::mpsc::channel();
        let (sender, outcome) = oneshot::channel();
        let life = move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let system = actix_rt::System::with_tokio_rt(move || runtime);
            let outcome = system.block_on(async move {
                let (controller, outcome, run) = self.ready();
                // The one who waits for it is there.
                let _ = started.send(Ok(controller));
                run.await;
                outcome.await
            });
            // The runtime is gone, and every thread of it, before the end is published.
            drop(system);
            if let Ok(outcome) = outcome {
                // The host may not want to know.
                let _ = sender.send(outcome);
            }
        };
        let thread = std::thread::Builder::new()
            .name("gleaner".to_owned())
            .spawn(life)?;
        let gone = || std::io::Error::other("the thread has ended");
        let controller = controller.recv().map_err(|_| gone())??;
        Ok(Handle::new(controller, outcome, Some(thread)))
    }

    /// The run as a future for this arbiter, what it will come to, and who may order it.
    fn ready(
        mut self,
    ) -> (
        Controller,
        oneshot::Receiver<Outcome>,
        impl Future<Output = ()> + use<>,
    ) {
        let (parts, report) = (self.parts.take(), self.report);
        // It is there until this is called, once.
        let telemetry = parts
            .as_ref()
            .map_or_else(Telemetry::default, |parts| Arc::clone(&parts.telemetry));
        let run_control = RunControl::new(Arc::clone(&telemetry));
        let forwarders = Forwarders::default();
        let (address, run_actor) = Task::start(RunActor::new(
            Arc::clone(&telemetry),
            run_control.clone(),
            forwarders.clone(),
        ));
        let controller = Controller::new(Arc::clone(&telemetry), run_control.clone(), address);
        let (sender, outcome) = oneshot::channel();
        let info = telemetry.info.get();
        let span = tracing::info_span!(
            "run",
            id = info.map_or("", |info| &info.id),
            dataset = info.map_or("", |info| &info.dataset)
        );
        let cut_short = CutShort(Arc::clone(&telemetry));
        let run = async move {
            let Some(parts) = parts else { return };
            let (pool, sink) = (Arc::clone(&parts.pool), Arc::clone(&parts.sink));
            let own = parts.settings.workers.stall_timeout;
            let mut result = tokio::select! {
                biased;
                result = run_under(parts, &run_control, std::future::pending()) => result,
                result = publish_metrics(&telemetry) => result,
            };
            // The report of a run that had published before is there already.
            if let (true, Ok(published)) = (report, &mut result)
                && !published.already_published
            {
                let name = format!("{}.report.html", published.manifest.dataset);
                let page = secrets::redacted(report::html(&telemetry.view())).into_bytes();
                let patient = SinkWithTimeout::new(&*sink, own);
                let putting = patient.wait("write", &name, sink.put_sidecar(&name, page));
                let put = tokio::select! {
                    put = AssertUnwindSafe(putting).catch_unwind() => {
                        put.map_or(Err(RunError::PartPanicked), |put| put.map_err(Into::into))
                    }
                    () = run_control.cancelled() => Err(RunError::Cancelled),
                };
                if let Err(error) = put {
                    let note = format!("its report could not be put beside it: {error}");
                    published.notes.push(note);
                }
            }
            drop(sink);
            metrics::publish(&telemetry.view());
            forwarders.finish().await;
            run_actor.end().await;
            // The last one who has it waits for its threads: not here.
            if let Err(error) = tokio::task::spawn_blocking(move || drop(pool)).await {
                tracing::debug!(%error, "the pool was not ended in order");
            }
            drop(cut_short);
            // The host may not want to know.
            let _ = sender.send(result);
        };
        (controller, outcome, run.instrument(span))
    }
}

/// A run that is dropped, because its host has stopped the system that it lives in, says so.
struct CutShort(Telemetry);

impl Drop for CutShort {
    fn drop(&mut self) {
        let error = RunError::HostStopped.to_string();
        // A run that has ended stays as it is.
        self.0.ended(State::Failed, Some(error));
    }
}

/// Sets the run's metrics, for ever.
async fn publish_metrics<T>(telemetry: &Counters) -> T {
    loop {
        metrics::publish(&telemetry.view());
        tokio::time::sleep(METRICS_EVERY).await;
    }
}

fn check_names(rules: &[Arc<dyn Rule>]) -> Result<(), BuildError> {
    let mut names = std::collections::BTreeSet::new();
    for rule in rules {
        let name = rule.name();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
        let own = crate::domain::record::validation::Code::ALL
            .iter()
            .any(|code| code.name() == name);
        if name.is_empty() || !name.chars().all(plain) || own || !names.insert(name) {
            return Err(BuildError::RuleName(name.to_owned()));
        }
    }
    Ok(())
}
