//! From written strata to a dataset: the reports, the sums, and the manifest, last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::config::settings::Settings;
use crate::domain::dataset::accounting::Population;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::dataset::left_out::invalid_report;
use crate::domain::dataset::manifest::{
    ChunksRecord, FileRecord, Manifest, SelectionRecord, StratumRecord, Tool, WindowInstants,
};
use crate::domain::dataset::publishable::{Gathered, why_nothing};
use crate::domain::dataset::telemetry_seen::TelemetryRecord;
use crate::domain::dataset::{card, manifest};
use crate::domain::decontamination::DecontaminationRecord;
use crate::domain::grouping::dedup::Fault;
use crate::domain::json::canonical::sorted;
use crate::domain::privacy::policy::{Policy, PrivacyRecord, add_counts};
use crate::domain::record::columns::Columns;
use crate::domain::record::rule::Rule;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::record::validation::Code;
use crate::domain::sampling::stratum_fill::InvalidRecord;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::selection::exclude::{ExcludeRecord, Excluded};
use crate::domain::selection::rank::Ranker;
use crate::domain::selection::stratum::Selection;
use crate::fault::{Faults, Site};
use crate::pipeline::actors::messages::StratumResult;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::rows_report::{RowsReport, reason_name};
use crate::pipeline::lifecycle::sink_calls::SinkCalls;
use crate::pipeline::run::claiming::claim_of;
use crate::pipeline::run::groups;
use crate::pipeline::run::near_duplicates;
use crate::pipeline::state::work_dir::RunRecord;
use crate::pipeline::supervisor::RunOutput;
use crate::sink::block_cutter::BlockCutter;
use crate::sink::{Block, Claim, ClaimRecord, FileCommit, SinkError};
use crate::telemetry::{Publication, Telemetry, serde_name};

/// What the manifest says besides what was written.
pub struct PublishParts<'a> {
    /// The settings of the run.
    pub settings: &'a Settings,
    /// Is given how far publishing is.
    pub telemetry: &'a Telemetry,
    /// What was pinned when the run started.
    pub record: &'a RunRecord,
    /// Description of the source, without secrets.
    pub source: Value,
    /// The rules besides gleaner's own.
    pub rules: &'a [Arc<dyn Rule>],
    /// Whether it leaves out incomplete conversations itself.
    pub only_complete: bool,
    /// Chunks that the run began with.
    pub chunks: usize,
    /// The ids that were left out.
    pub excluded: &'a Excluded,
    /// Names malformed rows.
    pub rows: &'a RowsReport,
    /// How the run went.
    pub statistics: BTreeMap<String, Value>,
    /// When the manifest is written, RFC 3339.
    pub created_at: String,
    /// Faults on purpose.
    pub faults: &'a Faults,
}

/// Writes the reports and the sums, checks every count, and publishes.
///
/// # Errors
/// If a count does not come out or the sink refuses.
pub async fn publish(
    sink: &SinkCalls<'_>,
    output: &RunOutput,
    parts: PublishParts<'_>,
) -> Result<Manifest, RunError> {
    let (dataset, telemetry) = (parts.record.dataset.clone(), parts.telemetry);
    let faults = parts.faults;
    let claim = claim_of(parts.record);
    let mut invalid_files = Vec::new();
    for (path, report) in invalid_reports(output, &parts) {
        invalid_files.push(put(sink, &dataset, path, report).await?);
    }
    let mut near_duplicates = near_duplicates::record(output, parts.settings);
    if let Some(record) = &mut near_duplicates {
        for (path, report) in near_duplicates::reports(output, parts.record, parts.settings) {
            record.files.push(put(sink, &dataset, path, report).await?);
        }
    }
    let group_counts = groups::counts(output, &parts.settings.selection)?;
    let mut manifest = manifest_of(output, parts, invalid_files);
    manifest.near_duplicates = near_duplicates;
    manifest.groups = group_counts;
    manifest.check()?;
    let card = card::card(&manifest, &columns(output)).into_bytes();
    manifest.card = Some(put(sink, &dataset, card::CARD.to_owned(), card).await?);
    let sums = manifest::sha256sums(&manifest.files());
    put(sink, &dataset, "SHA256SUMS".to_owned(), sums.into_bytes()).await?;
    let bytes = manifest
        .seal()
        .map_err(|source| RunError::Manifest { source })?;
    faults.pass(Site::BeforePublish);
    telemetry.set_publication(Publication::Begun);
    publish_manifest(sink, &dataset, &claim, &bytes).await?;
    telemetry.set_publication(Publication::Done);
    faults.pass(Site::AfterPublish);
    Ok(manifest)
}

/// Publishes, again where the sink asks for it. The manifest that is there then may be this one: the
/// answer to the try before was lost.
async fn publish_manifest(
    sink: &SinkCalls<'_>,
    dataset: &str,
    claim: &ClaimRecord,
    manifest: &[u8],
) -> Result<(), SinkError> {
    let was_tried = AtomicBool::new(false);
    let publish = || async {
        let again = was_tried.swap(true, Ordering::Relaxed);
        match sink.sink.publish(dataset, manifest.to_vec()).await {
            Err(SinkError::Exists(there)) if again => {
                match sink.sink.claim(dataset, claim).await? {
                    Claim::Published(found) if found == manifest => Ok(()),
                    _ => Err(SinkError::Exists(there)),
                }
            }
            published => published,
        }
    };
    sink.call("publish", dataset, publish).await
}

/// One report for each split that has invalid records, in the order of splits; the records of all
/// its strata together are in rank order.
fn invalid_reports(output: &RunOutput, parts: &PublishParts<'_>) -> Vec<(String, Vec<u8>)> {
    let selection = &parts.settings.selection;
    let timestamp = parts.record.started.strftime("%Y%m%d_%H%M%S").to_string();
    let of_split = |split: &str| -> Vec<(&str, &InvalidRecord)> {
        let strata = output.strata.iter();
        let mut records: Vec<_> = strata
            .filter(|result| selection.split(result.stratum).name == split)
            .flat_map(|result| {
                let bucket = &*selection.bucket(result.stratum).name;
                result.invalid.iter().map(move |record| (bucket, record))
            })
            .collect();
        let mut ranker = Ranker::new(selection.seed());
        records.sort_by_cached_key(|(_, record)| {
            let id = record.conversation_id.as_bytes();
            (ranker.rank(id), id)
        });
        records
    };
    selection
        .splits()
        .iter()
        .map(|split| (&split.name, of_split(&split.name)))
        .filter(|(_, records)| !records.is_empty())
        .map(|(split, records)| {
            let path = format!("invalid_records_{split}_{timestamp}.json");
            (path, invalid_report(&records))
        })
        .collect()
}

/// Writes a small file.
async fn put(
    sink: &SinkCalls<'_>,
    dataset: &str,
    path: String,
    bytes: Vec<u8>,
) -> Result<FileRecord, RunError> {
    let block_bytes = sink.sink.block_bytes();
    let buffers = BlockCutter::buffers(block_bytes);
    let mut cutter = BlockCutter::new(dataset.to_owned(), path, block_bytes, buffers);
    let mut receipts = Vec::new();
    let mut stage = async |block: Block| {
        let path = block.path.clone();
        let staging = || sink.sink.stage(block.clone());
        receipts.push(sink.call("write", &path, staging).await?);
        Ok::<_, SinkError>(())
    };
    // A block at a time: there is no second copy of the whole.
    let mut full = Vec::new();
    for piece in bytes.chunks(block_bytes) {
        cutter.append(piece, &mut full);
        for block in full.drain(..) {
            stage(block).await?;
        }
    }
    let record = cutter.finish(&mut full);
    for block in full {
        stage(block).await?;
    }
    let commit = FileCommit::of(dataset, &record, receipts);
    let committing = || sink.sink.commit(commit.clone());
    sink.call("commit", &record.path, committing).await?;
    Ok(record)
}

fn manifest_of(
    output: &RunOutput,
    parts: PublishParts<'_>,
    invalid_files: Vec<FileRecord>,
) -> Manifest {
    let selection = &parts.settings.selection;
    let strata = strata(output, selection);
    let sink = &parts.settings.sink;
    let record = parts.record;
    let window = |start: Option<UtcInstant>, end: Option<UtcInstant>| WindowInstants {
        start: start.map(|at| at.to_string()),
        end: end.map(|at| at.to_string()),
    };
    Manifest {
        format_version: manifest::FORMAT_VERSION,
        dataset: record.dataset.clone(),
        created_at: parts.created_at,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        run_id: record.run_id.clone(),
        fingerprint: record.fingerprint.clone(),
        seed: selection.seed().to_owned(),
        hash: manifest::HASH.to_owned(),
        window: window(record.window_start, record.window_end),
        looked_at: window(record.look_start, record.look_end),
        source: parts.source,
        selection: SelectionRecord::from(selection),
        copilot_chat: telemetry(output),
        rules: (parts.rules.iter())
            .map(|rule| (rule.name().to_owned(), rule.version()))
            .collect(),
        privacy: privacy(output, &parts.settings.privacy),
        exclude: excluded_record(output, parts.settings, parts.excluded),
        decontamination: decontamination(output, parts.settings),
        near_duplicates: None,
        groups: None,
        format: serde_name(&sink.format),
        sort_keys: serde_name(&sink.sort_keys),
        chunks: chunks(output, parts.chunks),
        population: population(output, parts.only_complete),
        malformed: parts
            .rows
            .malformed(output.rows(), &output.grouping().too_large),
        content_sha256: manifest::content_sha256(&strata),
        strata,
        warnings: warnings(output, parts.rules),
        invalid_files,
        card: None,
        manifest_sha256: String::new(),
        statistics: (parts.statistics.into_iter())
            .map(|(name, value)| (name, sorted(value)))
            .collect(),
    }
}

/// What was done with secrets and personal data, if they were looked for.
fn privacy(output: &RunOutput, policy: &Policy) -> Option<PrivacyRecord> {
    let mut record = policy.record()?;
    for result in &output.strata {
        add_counts(&mut record.found, &result.privacy);
    }
    Some(record)
}

/// How much of `selection.exclude` was in the input, if it names anything.
fn excluded_record(
    output: &RunOutput,
    settings: &Settings,
    excluded: &Excluded,
) -> Option<ExcludeRecord> {
    let is_asked = !settings.exclude.is_empty();
    is_asked.then(|| excluded.record(&seen_excluded(output)))
}

/// The numbers of the ids that were left out.
fn seen_excluded(output: &RunOutput) -> BTreeSet<u32> {
    let tallies = output.rows().values();
    tallies.flat_map(|tally| &tally.excluded).copied().collect()
}

/// The benchmarks, and how many records repeat each.
fn decontamination(output: &RunOutput, settings: &Settings) -> Option<DecontaminationRecord> {
    let repeats = |number| {
        let of_number = |(code, _): &(Code, Box<str>)| *code == Code::Contaminated(number);
        let repeating = invalid(output).filter(|one| one.errors.iter().any(of_number));
        repeating.count() as u64
    };
    let decontamination = settings.decontamination.as_ref()?;
    Some(decontamination.record(repeats))
}

/// The fields of all records that were written.
fn columns(output: &RunOutput) -> Columns {
    let mut columns = Columns::default();
    for result in &output.strata {
        columns.merge(&result.columns);
    }
    columns
}

fn strata(output: &RunOutput, selection: &Selection) -> Vec<StratumRecord> {
    let record = |result: &StratumResult| {
        let target = selection.wanted(result.stratum);
        let file = result.file.as_ref();
        let contaminated = result.invalid.iter().filter(|one| one.is_contaminated());
        let contaminated = contaminated.count() as u64;
        let left_out = result.invalid.len() as u64;
        let lost = output.lost.get(&result.stratum).copied().unwrap_or(0);
        let near_duplicates = result.near_duplicates.len() as u64;
        let population = result.population.saturating_add_signed(-lost);
        StratumRecord {
            split: selection.split(result.stratum).name.clone(),
            bucket: selection.bucket(result.stratum).name.clone(),
            target,
            population,
            records: result.records,
            invalid: left_out - contaminated,
            not_sampled: population.saturating_sub(result.records + left_out + near_duplicates),
            shortfall: target.map_or(0, |target| target - result.records),
            near_duplicates,
            contaminated,
            tokens: result.tokens,
            file: file.map(|file| file.path.clone()),
            bytes: file.map_or(0, |file| file.bytes),
            sha256: file.map(|file| file.sha256.clone()),
        }
    };
    output.strata.iter().map(record).collect()
}

/// The published records with each warning, zeros included.
fn warnings(output: &RunOutput, rules: &[Arc<dyn Rule>]) -> BTreeMap<String, u64> {
    let own = rules.iter().filter(|rule| !rule.is_fatal());
    let own = own.map(|rule| Code::Custom {
        name: rule.name(),
        is_fatal: false,
    });
    let count = |code: &Code| {
        let of_code = |result: &StratumResult| result.warnings.get(code).copied();
        output.strata.iter().filter_map(of_code).sum()
    };
    Code::warnings()
        .chain(own)
        .map(|code| (code.name().to_owned(), count(&code)))
        .collect()
}

fn chunks(output: &RunOutput, count: usize) -> ChunksRecord {
    let halves = |(whole, halves): (&Chunk, &[Chunk; 2])| {
        let halves = halves.map(|half| half.to_string());
        (whole.to_string(), halves)
    };
    let checksum = |(chunk, tally): (&Chunk, &ChunkTally)| {
        let checksum = tally.chunk_checksum?;
        Some((chunk.to_string(), checksum))
    };
    let payloads = output.payloads.iter();
    ChunksRecord {
        count: count as u64,
        missing: output.missing.iter().map(Chunk::to_string).collect(),
        splits: output.splits.iter().map(halves).collect(),
        checksums: output.tallies.iter().filter_map(checksum).collect(),
        payloads: payloads
            .map(|(chunk, delivered)| (chunk.to_string(), *delivered))
            .collect(),
    }
}

/// Why there is nothing to publish, if no record is valid.
///
/// # Errors
/// If so.
pub fn check_something(
    output: &RunOutput,
    rows: &RowsReport,
    only_complete: bool,
) -> Result<(), RunError> {
    let strata = output.strata.iter();
    let tally = output.grouping();
    let malformed = rows.malformed(output.rows(), &tally.too_large);
    let first = malformed.values().find_map(|m| m.examples.first());
    let gathered = Gathered {
        records: strata.map(|result| result.records).sum(),
        population: population(output, only_complete),
        first_malformed: first.map(ToString::to_string),
        malformed: (malformed.iter())
            .map(|(reason, of_reason)| (reason_name(*reason), of_reason.count))
            .collect(),
        explained: rows.explain(output.rows(), true),
        first_turns: tally.first_turns.clone(),
        invalid: invalid(output).count() as u64,
        codes: codes(output),
    };
    match why_nothing(&gathered) {
        Some(reasons) => Err(RunError::NothingToPublish { reasons }),
        None => Ok(()),
    }
}

fn invalid(output: &RunOutput) -> impl Iterator<Item = &InvalidRecord> {
    output.strata.iter().flat_map(|result| &result.invalid)
}

/// The codes of the invalid records; each counts once a record.
pub fn codes(output: &RunOutput) -> BTreeMap<&str, u64> {
    let mut codes = BTreeMap::new();
    for record in invalid(output) {
        let of_record: BTreeSet<&str> = record.errors.iter().map(|(code, _)| code.name()).collect();
        for code in of_record {
            *codes.entry(code).or_default() += 1;
        }
    }
    codes
}

/// What was seen of Copilot Chat telemetry, if the rows are that.
fn telemetry(output: &RunOutput) -> Option<TelemetryRecord> {
    let mut record = TelemetryRecord::default();
    for tally in output.rows().values() {
        record.seen.merge(&tally.telemetry);
    }
    for result in &output.strata {
        record.quality.merge(&result.quality);
    }
    let is_telemetry = |tally: &ChunkTally| tally.first_telemetry.is_some();
    output.rows().values().any(is_telemetry).then_some(record)
}

fn population(output: &RunOutput, only_complete: bool) -> Population {
    let tally = output.grouping();
    // A census counted them before they turned out to be none, or in another stratum.
    let lost: i64 = output.lost.values().sum();
    let lost = u64::try_from(lost).unwrap_or(0);
    let is_telemetry = output.rows().values().any(|t| t.first_telemetry.is_some());
    // The rows of a conversation row that is malformed are itself.
    let lost_rows = if is_telemetry { 0 } else { lost };
    let sum = |count: fn(&ChunkTally) -> u64| output.rows().values().map(count).sum::<u64>();
    let malformed = sum(|t| t.malformed.values().map(|m| m.count).sum());
    let mut filtered_by = tally.filtered.clone();
    for (&reason, rows) in output.rows().values().flat_map(|tally| &tally.filtered) {
        *filtered_by.entry(reason).or_default() += rows;
    }
    let excluded = seen_excluded(output).len() as u64;
    // What a query leaves out itself cannot be counted.
    let counted = |fault| {
        let count = tally.of_fault(fault);
        (!only_complete || count > 0).then_some(count)
    };
    Population {
        rows_read: Some(sum(|t| t.rows_read)),
        malformed: Some(malformed + tally.too_large.len() as u64),
        filtered: Some(filtered_by.values().sum()),
        duplicate_turns: Some(tally.duplicate_turns),
        duplicate_conversations: Some(tally.duplicate_conversations),
        duplicate_rows: Some(tally.duplicate_rows),
        shared_rows: Some(tally.shared_rows),
        kept_rows: Some(tally.kept_rows - lost_rows),
        superseded_turns: Some(tally.superseded_turns),
        conversations: tally.conversations + excluded,
        excluded: Some(excluded),
        damaged: Some(tally.of_fault(Fault::Damaged) + lost),
        cut_by_mode: counted(Fault::CutByMode),
        cut_by_window: counted(Fault::CutByWindow),
        incomplete: counted(Fault::Incomplete),
        out_of_range: output.grouped.out_of_range,
        no_target: output.grouped.no_target,
        filtered_by,
    }
}
