//! Validators read the chosen payloads again and hold them against the rules.
//!
//! One batch at a time each; the work runs on the CPU pool. The bytes that are validated are the
//! bytes that will be written. Validating a batch again gives the same: it is idempotent.
//!
//! Work on a record that panics is done again; should it panic twice, the record is invalid and the
//! report says so, without its text. The rest of the batch goes on.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, WrapFuture};

use super::messages::{Entry, Validate, Validated};
use super::telemetry_record::{RowTexts, TelemetryRecords};
use crate::config::benchmarks::Decontamination;
use crate::domain::dataset::manifest::Framing;
use crate::domain::decontamination::RUN;
use crate::domain::json::JsonError;
use crate::domain::privacy::policy::{Guard, GuardedRecords};
use crate::domain::record::assembler::Assembler;
use crate::domain::record::row::RowShape;
use crate::domain::record::rule;
use crate::domain::record::rule::Rule;
use crate::domain::record::validation::{Code, Verdict, validate};
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::stratum::StratumId;
use crate::domain::words::Words;
use crate::fault::Site;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::panic_retry::{Survived, retry_on_panic};
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::runtime::buffers::Buffers;
use crate::spool::payloads::{PayloadError, Reader};
use crate::telemetry::Event;
use crate::telemetry::heartbeat::Heartbeat;

/// What all validators share.
pub struct ValidateParts {
    /// Shared by all actors of the run.
    pub run: Arc<RunContext>,
    /// Rules besides gleaner's own.
    pub rules: Arc<[Arc<dyn Rule>]>,
    /// `[decontaminate]`, if there are benchmarks.
    pub decontamination: Option<Arc<Decontamination>>,
    /// `[privacy]`, if it asks for anything.
    pub privacy: Option<Guard>,
    /// `limits.max_record`: a record of Copilot Chat telemetry is measured when it is put together.
    pub max_record: u64,
    /// What stands between records.
    pub framing: Framing,
    /// For the records of a batch.
    pub buffers: Buffers,
}

/// One of the validators.
pub struct Validator {
    parts: Arc<ValidateParts>,
    shape: RowShape,
    heartbeat: Heartbeat,
}

impl Validator {
    /// A validator for rows of one shape.
    pub fn new(parts: Arc<ValidateParts>, shape: RowShape, heartbeat: Heartbeat) -> Self {
        Self {
            parts,
            shape,
            heartbeat,
        }
    }
}

impl Actor for Validator {
    type Context = Context<Self>;
}

impl Handler<Validate> for Validator {
    type Result = AtomicResponse<Self, Result<Validated, RunError>>;

    fn handle(&mut self, batch: Validate, _: &mut Context<Self>) -> Self::Result {
        let parts = Arc::clone(&self.parts);
        let shape = self.shape;
        let busy = self.heartbeat.busy();
        let work = async move {
            let _busy = busy;
            let scope = parts.run.faults.enter(Site::Validator).await;
            let pool = Arc::clone(&parts.run.pool);
            let job = move || validate_batch(&parts, shape, batch);
            let validated = pool.run(job).await?;
            scope.leave();
            validated
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

fn validate_batch(
    parts: &ValidateParts,
    shape: RowShape,
    batch: Validate,
) -> Result<Validated, RunError> {
    let bytes: u64 = batch.candidates.iter().map(Candidate::payload_bytes).sum();
    let mut text = parts
        .buffers
        .take(bytes as usize + 16 * batch.candidates.len());
    let mut entries = Vec::with_capacity(batch.candidates.len());
    let split = &parts.run.selection.split(batch.stratum).name;
    let mut rows = Rows {
        reader: parts.run.payloads.reader(),
        shape,
        text: Vec::new(),
        ends: Vec::new(),
        privacy: parts.privacy.as_ref().map(Guard::records),
        words: Words::new(),
        telemetry: TelemetryRecords {
            selection: &parts.run.selection,
            rules: &parts.run.copilot_chat,
            own: RowTexts::new(parts.buffers.take(0)),
            shared: RowTexts::new(parts.buffers.take(0)),
        },
    };
    for candidate in batch.candidates.iter() {
        if parts.run.is_stopping() {
            return Err(RunError::Interrupted);
        }
        text.extend_from_slice(parts.framing.between.as_bytes());
        let judge = |text: &mut Vec<u8>| {
            parts.run.faults.enter_now(Site::Record).leave();
            judge(parts, &mut rows, candidate, split, text)
        };
        let start = text.len();
        let panicked = |text: &mut Vec<u8>, panic: Survived| {
            text.truncate(start);
            let stratum = parts.run.telemetry.stratum(batch.stratum);
            parts.run.telemetry.events.publish(Event::RecordPanic {
                stratum: stratum.map_or_else(String::new, |stratum| stratum.name.clone()),
                time: panic.time,
                injected: panic.injected,
            });
        };
        let verdict = retry_on_panic(&mut *text, judge, panicked).transpose()?;
        let verdict = verdict.unwrap_or_else(|| Verdict {
            errors: vec![(Code::RecordPanic, "work on it panicked twice".to_owned())],
            conversation_id: Some(String::from_utf8_lossy(&candidate.id).into_owned()),
            ..Verdict::default()
        });
        entries.push(Entry {
            verdict,
            turns: candidate.turns,
            end: text.len(),
        });
    }
    count(parts, batch.stratum, entries.len());
    Ok(Validated {
        text,
        entries,
        _permit: batch.permit,
    })
}

/// Appends a candidate's record, takes out of it what must not leave, and holds it against the rules.
fn judge(
    parts: &ValidateParts,
    rows: &mut Rows<'_>,
    candidate: &Candidate,
    split: &str,
    text: &mut Vec<u8>,
) -> Result<Verdict, PayloadError> {
    let start = text.len();
    let (is_prevalidated, quality) = match &candidate.telemetry {
        Some(telemetry) => {
            let (reader, id) = (&mut rows.reader, &candidate.id);
            let record = rows.telemetry.append(telemetry, id, reader, text)?;
            (record.prevalidated, record.quality)
        }
        None => (record(parts, rows, candidate, text)?, Vec::new()),
    };
    let bytes = (text.len() - start) as u64;
    // Of the text as it was, not of what redaction leaves of it.
    let repeated = repeated_benchmarks(parts, &mut rows.words, &text[start..])?;
    let privacy = rows.privacy.as_mut().map(|guard| guard.apply(text, start));
    let privacy = privacy.transpose()?.unwrap_or_default();
    // What was known of it is not known of what is left of it.
    let mut verdict = match is_prevalidated && !privacy.is_changed {
        true => Verdict::on_prevalidated(&text[start..]),
        false => validate(&text[start..], split, &parts.run.selection)?,
    };
    verdict.quality = quality;
    let is_nameless = |guard: &Guard| guard.users().may_be_absent();
    if parts.privacy.as_ref().is_some_and(is_nameless) {
        verdict.allow_no_user_name();
    }
    if candidate.telemetry.is_some() && bytes > parts.max_record {
        let what = format!("{bytes} bytes, more than limits.max_record");
        verdict.errors.push((Code::TooLarge, what));
    }
    verdict.errors.extend(repeated);
    for (rule, code) in privacy.rejected {
        let what = format!("found {}", times(privacy.found[rule]));
        verdict.errors.push((Code::Secret(code), what));
    }
    verdict.privacy = privacy.found;
    let record = rule::Candidate {
        bytes: &text[start..],
        split,
        turns: candidate.turns,
    };
    for rule in parts.rules.iter() {
        let Some(what) = rule.check(&record) else {
            continue;
        };
        let (name, is_fatal) = (rule.name(), rule.is_fatal());
        let code = Code::Custom { name, is_fatal };
        if is_fatal {
            verdict.errors.push((code, what));
        } else {
            verdict.warnings.insert(code);
        }
    }
    if !verdict.is_valid() {
        // A prevalidated record was not looked at again: its report needs its id.
        let id = || String::from_utf8_lossy(&candidate.id).into_owned();
        verdict.conversation_id.get_or_insert_with(id);
    }
    Ok(verdict)
}

/// The benchmarks that a record repeats, as faults.
fn repeated_benchmarks(
    parts: &ValidateParts,
    words: &mut Words,
    record: &[u8],
) -> Result<Vec<(Code, String)>, JsonError> {
    let Some(decontamination) = &parts.decontamination else {
        return Ok(Vec::new());
    };
    words.read_record(record)?;
    let repeated = decontamination.benchmarks.repeated(words).into_iter();
    let fault = |number| {
        let what = format!("{RUN} words of {}", decontamination.name(number));
        (Code::Contaminated(number), what)
    };
    Ok(repeated.map(fault).collect())
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    }
}

/// The rows of candidates, read again one candidate after the other.
struct Rows<'p> {
    reader: Reader<'p>,
    shape: RowShape,
    /// Of one candidate's events.
    text: Vec<u8>,
    ends: Vec<usize>,
    telemetry: TelemetryRecords<'p>,
    privacy: Option<GuardedRecords<'p>>,
    words: Words,
}

/// Appends a candidate's record; says whether it is known that the rules find nothing in it.
fn record(
    parts: &ValidateParts,
    rows: &mut Rows<'_>,
    candidate: &Candidate,
    out: &mut Vec<u8>,
) -> Result<bool, PayloadError> {
    let assembler = Assembler::new(&parts.run.selection, parts.run.nested);
    let reader = &mut rows.reader;
    if rows.shape == RowShape::Conversations {
        for row in &candidate.rows {
            match candidate.prevalidated {
                // These very bytes were judged when they were read: the checksum says so.
                true => reader.read(row, out)?,
                false => reader.read_record(row, &assembler, out)?,
            }
        }
        return Ok(candidate.prevalidated);
    }
    rows.text.clear();
    rows.text.reserve(candidate.payload_bytes() as usize);
    rows.ends.clear();
    for row in &candidate.rows {
        reader.read(row, &mut rows.text)?;
        rows.ends.push(rows.text.len());
    }
    let mut start = 0;
    let events = (rows.ends.iter()).map(|&end| &rows.text[std::mem::replace(&mut start, end)..end]);
    let id = String::from_utf8_lossy(&candidate.id);
    Ok(assembler.from_turns(&id, events, out)?)
}

fn count(parts: &ValidateParts, stratum: StratumId, records: usize) {
    if let Some(counters) = parts.run.telemetry.stratum(stratum) {
        counters.validated.add(records as u64);
    }
}
