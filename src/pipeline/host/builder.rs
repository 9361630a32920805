//! From what a host wants to a run that can be started.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use thiserror::Error;
use toml::{Table, Value};

use super::{engine, setup};
use crate::config::settings::{Format, Settings, SinkTarget, Source};
use crate::config::{self, ConfigError, Layers};
use crate::domain::record::rule::Rule;
use crate::fault::Faults;
use crate::pipeline::RunParts;
use crate::pipeline::engine::Engine;
use crate::pipeline::state::exclude_key::{self, Missing};
use crate::pipeline::state::start::StartOptions;
use crate::pipeline::state::work_dir::{WorkDir, WorkDirError};
use crate::runtime::CpuPool;
use crate::sink::{DatasetSink, SinkError};
use crate::source::{ConversationSource, SourceError};
use crate::telemetry::Counters;

mod pipeline;

pub use pipeline::Pipeline;

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
    #[error("cannot start")]
    Start(#[from] std::io::Error),
}

impl BuildError {
    /// What a person should do about it.
    pub fn hint(&self) -> Cow<'_, str> {
        match self {
            Self::Config(error) => error.hint().into(),
            Self::Source(error) => error.hint(),
            Self::Sink(error) => error.hint(),
            Self::WorkDir(error) => error.hint().into(),
            Self::Start(_) => "check the system's limits".into(),
            Self::RuleName(_) => "rename the rule".into(),
        }
    }
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
    engine: Option<Arc<dyn Engine>>,
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

    /// Has an engine read and group the rows: those of the files that the settings name, or of a table that it has.
    pub fn engine(mut self, engine: Arc<dyn Engine>) -> Self {
        self.engine = Some(engine);
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

    /// Faults to inject.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Checks all of it, takes the work directory, and makes the run ready to start.
    ///
    /// # Errors
    /// Says what cannot be used, and why. Nothing was read or written then.
    pub fn build(mut self) -> Result<Pipeline, BuildError> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        check_names(&self.rules)?;
        let mut settings = match self.settings.take() {
            Some(settings) => settings,
            None => self.read_settings()?,
        };
        if let Some(source) = &self.source {
            settings.source = Source::Custom(source.describe());
        }
        if let Some(engine) = &self.engine {
            engine::adapt(&mut settings, &**engine)?;
        }
        let sink = match self.sink.take() {
            Some(sink) => {
                settings.sink.target = SinkTarget::Custom(sink.location());
                sink
            }
            None => setup::sink(&settings.sink.target)?,
        };
        let pool = match self.pool.take() {
            Some(pool) => pool,
            None => Arc::new(CpuPool::of_machine()?),
        };
        let work_dir = self.open_work_dir(&settings, &sink.location())?;
        let telemetry = Counters::new(&settings.selection);
        let source = match (self.source, &self.engine) {
            (Some(source), _) => Ok(source),
            (None, Some(engine)) => engine::source(engine, &settings, &work_dir, &telemetry),
            (None, None) => setup::source(&settings, &work_dir.record),
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
        // It was not set before.
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

    /// Reads the settings from the layers and keys.
    fn read_settings(&mut self) -> Result<Settings, ConfigError> {
        let mut table = std::mem::take(&mut self.table);
        // Kinds that need nothing; they are not asked for anything.
        let mut instead = |is_own: bool, key: &str, kind: &str| {
            if is_own {
                config::insert(&mut table, key, Value::String(kind.to_owned()));
            }
        };
        instead(self.source.is_some(), "source.kind", "synthetic");
        instead(self.sink.is_some(), "sink.kind", "local");
        let layers = std::mem::take(&mut self.layers).table("the builder", table)?;
        config::validate(&layers, &[])
    }

    /// Takes the work directory for what the settings and rules describe.
    fn open_work_dir(&self, settings: &Settings, location: &str) -> Result<WorkDir, BuildError> {
        let work_dir = self.work_dir.as_deref();
        let mut described = exclude_key::described(settings, work_dir, Missing::Make)?;
        if let Some(engine) = &self.engine {
            described["engine"] = json!(engine.name());
        }
        if !self.rules.is_empty() {
            let rules = self.rules.iter().map(|rule| (rule.name(), rule.version()));
            described["rules"] = json!(rules.collect::<std::collections::BTreeMap<_, _>>());
        }
        let fingerprint = config::fingerprint(&described);
        let path = match &self.work_dir {
            Some(path) => path.clone(),
            None => setup::default_work_dir(&fingerprint),
        };
        let record = setup::new_record(settings, &described, &fingerprint, location)?;
        let options = StartOptions {
            fresh: self.fresh,
            fixed_name: config::name::is_fixed(settings),
        };
        Ok(WorkDir::open(&path, record, options)?)
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
