//! From settings to the parts of a run: the source, the sink, what is pinned.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::builder::BuildError;
use crate::config::name;
use crate::config::settings::{Settings, SinkTarget, Source, Span, Window};
use crate::domain::dataset::manifest::{SelectionRecord, hex};
use crate::domain::json::canonical::sorted;
use crate::domain::record::timestamp::{Ticks, UtcInstant};
#[cfg(feature = "kusto")]
use crate::pipeline::ingest::telemetry_rules::copilot_chat_rules;
use crate::pipeline::state::work_dir::{RunRecord, RunState, WorkDir};
#[cfg(feature = "azure")]
use crate::sink::azure_blob::AzureBlob;
use crate::sink::local_dir::LocalDir;
use crate::sink::{DatasetSink, SinkError};
use crate::source::files::FilesSource;
#[cfg(feature = "kusto")]
use crate::source::kusto::{KustoSource, Population, settings::Kusto};
use crate::source::synthetic::SyntheticSource;
use crate::source::{ConversationSource, SourceError};
use crate::telemetry::RunInfo;

/// The default work directory of a run.
pub fn default_work_dir(fingerprint: &str) -> PathBuf {
    PathBuf::from(".gleaner").join(fingerprint)
}

/// The source that the settings ask for, with the window of a run.
///
/// # Errors
/// If an address or a query file cannot be used.
pub fn source(
    settings: &Settings,
    #[cfg_attr(
        not(feature = "kusto"),
        expect(unused_variables, reason = "only a cluster is asked for a window")
    )]
    record: &RunRecord,
) -> Result<Arc<dyn ConversationSource>, SourceError> {
    let chunks = settings.chunks.count;
    Ok(match &settings.source {
        Source::Files(paths) => Arc::new(files_source(paths, settings)),
        Source::Synthetic(synthetic) => Arc::new(SyntheticSource::new(*synthetic, chunks)),
        #[cfg(not(feature = "kusto"))]
        Source::Kusto(_) => return Err(no_kusto()),
        #[cfg(feature = "kusto")]
        Source::Kusto(kusto) => Arc::new(kusto_source(kusto, settings, record)?),
        Source::Custom(described) => return Err(own(described)),
    })
}

/// The files at some paths, read as the settings say.
pub fn files_source(paths: &[PathBuf], settings: &Settings) -> FilesSource {
    let (chunks, max_record) = (settings.chunks.count, settings.limits.max_record);
    FilesSource::new(paths.to_vec(), chunks, max_record)
        .max_window(settings.limits.in_flight)
        .strict(settings.strict_input)
        .fields(settings.fields.clone())
}

fn own(described: &serde_json::Value) -> SourceError {
    SourceError::NotGiven {
        described: described.to_string(),
    }
}

#[cfg(not(feature = "kusto"))]
fn no_kusto() -> SourceError {
    SourceError::Custom {
        reason: crate::config::NO_KUSTO.to_owned(),
        action: crate::source::Action::Fail,
    }
}

/// A cluster, with the window of a run.
///
/// # Errors
/// If its address or a query file cannot be used.
#[cfg(feature = "kusto")]
pub fn kusto_source(
    kusto: &Kusto,
    settings: &Settings,
    record: &RunRecord,
) -> Result<KustoSource, SourceError> {
    let population = Population {
        chunks: settings.chunks.count,
        start: record.window_start,
        end: record.window_end,
        look_end: record.look_end,
        cut: settings.cut,
        ignored: settings.ignore_ids.clone(),
        selection: Arc::new(settings.selection.clone()),
        max_record: settings.limits.max_record,
        copilot_chat: Arc::new(copilot_chat_rules(settings, record)),
    };
    KustoSource::new(kusto.clone(), population)
}

/// The sink that the settings ask for.
///
/// # Errors
/// If an address or a credential cannot be used.
pub fn sink(target: &SinkTarget) -> Result<Arc<dyn DatasetSink>, SinkError> {
    match target {
        SinkTarget::Local(path) => Ok(Arc::new(LocalDir::new(path.clone()))),
        #[cfg(not(feature = "azure"))]
        SinkTarget::AzureBlob(blob) => Err(SinkError::Unusable {
            location: format!("{}/{}", blob.account, blob.container),
            reason: crate::config::NO_AZURE.to_owned(),
        }),
        #[cfg(feature = "azure")]
        SinkTarget::AzureBlob(blob) => Ok(Arc::new(AzureBlob::new(blob)?)),
        SinkTarget::Custom(location) => Err(SinkError::Unusable {
            location: location.clone(),
            reason: "the sink was not given".to_owned(),
        }),
    }
}

/// What is pinned when a run starts now.
///
/// # Errors
/// If the dataset's name is no name, or the system has no randomness.
pub fn new_record(
    settings: &Settings,
    described: &serde_json::Value,
    fingerprint: &str,
    location: &str,
) -> Result<RunRecord, BuildError> {
    let now = Timestamp::now();
    // Whole seconds, as the name has them.
    let started = Timestamp::from_second(now.as_second()).unwrap_or(now);
    // The clock has no other years.
    let ticks = Ticks::try_from(started.as_nanosecond().div_euclid(100)).ok();
    let pinned = ticks.and_then(UtcInstant::from_ticks);
    let instants = instants(settings.window.as_ref(), pinned.unwrap_or(UtcInstant::MAX));
    Ok(RunRecord {
        run_id: run_id()?,
        fingerprint: fingerprint.to_owned(),
        settings: described.clone(),
        started,
        window_start: instants.start,
        window_end: instants.end,
        look_start: instants.start,
        look_end: instants.look_end,
        dataset: name::dataset_name(settings, started)?,
        location: location.to_owned(),
        inputs: None,
        state: RunState::Running,
        replaces: None,
    })
}

/// What a window means for one run; `None`: open.
#[derive(Debug, Default, PartialEq, Eq)]
struct Instants {
    /// First instant inside.
    start: Option<UtcInstant>,
    /// First instant outside.
    end: Option<UtcInstant>,
    /// The end of the rows that exist.
    look_end: Option<UtcInstant>,
}

/// The instants of a window for a run that starts now. Rows exist up to `slack` behind its end,
/// which shows the conversations that it cuts, but none that may still be arriving.
fn instants(window: Option<&Window>, started: UtcInstant) -> Instants {
    let Some(window) = window else {
        return Instants::default();
    };
    let arrived = started.saturating_sub(window.ingestion_lag);
    let (start, end) = match &window.span {
        Span::Between { start, end } => (*start, *end),
        Span::Last { length, .. } => (Some(arrived.saturating_sub(*length)), Some(arrived)),
    };
    let behind = end.map(|end| end.saturating_add(window.slack));
    Instants {
        start,
        end,
        look_end: Some(behind.map_or(arrived, |behind| behind.min(arrived))),
    }
}

fn run_id() -> Result<String, BuildError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex(&bytes))
}

/// What events say of the run itself.
pub(in crate::pipeline) fn info(
    settings: &Settings,
    source: &dyn ConversationSource,
    work_dir: &WorkDir,
) -> RunInfo {
    let record = &work_dir.record;
    RunInfo {
        id: record.run_id.clone(),
        dataset: record.dataset.clone(),
        location: record.location.clone(),
        fingerprint: record.fingerprint.clone(),
        seed: settings.selection.seed().to_owned(),
        started_at: record.started.to_string(),
        resumed: work_dir.resumed,
        source: sorted(source.describe()),
        selection: sorted(json!(SelectionRecord::from(&settings.selection))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(text: &str) -> UtcInstant {
        text.parse().expect("an instant")
    }

    fn look_end(span: Span) -> Option<UtcInstant> {
        let hour = Duration::from_secs(3600);
        let window = Window {
            span,
            ingestion_lag: hour,
            slack: 24 * hour,
        };
        instants(Some(&window), at("2025-01-10T12:00:00Z")).look_end
    }

    #[test]
    fn rows_exist_up_to_the_slack_and_none_that_may_still_arrive() {
        let between = |end: Option<&str>| {
            look_end(Span::Between {
                start: None,
                end: end.map(at),
            })
        };
        let arrived = Some(at("2025-01-10T11:00:00Z"));
        for (end, expected) in [
            (
                Some("2025-01-02T00:00:00Z"),
                Some(at("2025-01-03T00:00:00Z")),
            ),
            (Some("2025-01-10T00:00:00Z"), arrived),
            (Some("2025-02-01T00:00:00Z"), arrived),
            (None, arrived),
        ] {
            assert_eq!(between(end), expected, "{end:?}");
        }
        let last = Span::Last {
            text: "2d".to_owned(),
            length: Duration::from_secs(2 * 86_400),
        };
        assert_eq!(look_end(last), arrived, "where the window ends");
        assert_eq!(
            instants(None, at("2025-01-10T12:00:00Z")),
            Instants::default()
        );
    }
}
