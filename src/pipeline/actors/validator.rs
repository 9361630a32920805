//! Validators read the chosen payloads again and hold them against the rules.
//!
//! One batch at a time each; the work runs on the CPU pool. The bytes that are validated are the
//! bytes that will be written. Validating a batch again gives the same: it is idempotent.
//!
//! Work on a record that panics is done again; should it panic twice, the record is invalid and the
//! report says so, without its text. The rest of the batch goes on.

use std::sync::Arc;

use actix::{Actor, AtomicResponse, Context, Handler, WrapFuture};

use super::candidate_records::CandidateRecords;
use super::messages::{Entry, Examine, Examined, Knowledge, Purpose, Validate, Validated};
use crate::config::benchmarks::Decontamination;
use crate::domain::dataset::manifest::Framing;
use crate::domain::decontamination::RUN;
use crate::domain::near_duplicates::templates::Templates;
use crate::domain::near_duplicates::{ShingleSet, Sketch};
use crate::domain::privacy::policy::{Guard, GuardedRecords};
use crate::domain::record::row::RowShape;
use crate::domain::record::rule;
use crate::domain::record::rule::Rule;
use crate::domain::record::validation::{Code, Verdict, validate_of_group};
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::stratum::StratumId;
use crate::domain::words::Words;
use crate::fault::Site;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::panic_retry::{Survived, retry_on_panic};
use crate::pipeline::lifecycle::run_context::RunContext;
use crate::runtime::buffers::Buffers;
use crate::spool::payloads::PayloadError;
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

impl Validator {
    /// Has something done with records on the CPU pool.
    fn work<T: Send + 'static>(
        &self,
        job: impl FnOnce(&ValidateParts, RowShape) -> Result<T, RunError> + Send + 'static,
    ) -> AtomicResponse<Self, Result<T, RunError>> {
        let parts = Arc::clone(&self.parts);
        let shape = self.shape;
        let busy = self.heartbeat.busy();
        let work = async move {
            let _busy = busy;
            let scope = parts.run.faults.enter(Site::Validator).await;
            let pool = Arc::clone(&parts.run.pool);
            let done = pool.run(move || job(&parts, shape)).await?;
            scope.leave();
            done
        };
        AtomicResponse::new(Box::pin(work.into_actor(self)))
    }
}

impl Handler<Validate> for Validator {
    type Result = AtomicResponse<Self, Result<Validated, RunError>>;

    fn handle(&mut self, batch: Validate, _: &mut Context<Self>) -> Self::Result {
        self.work(move |parts, shape| validate_batch(parts, shape, batch))
    }
}

impl Handler<Examine> for Validator {
    type Result = AtomicResponse<Self, Result<Vec<Examined>, RunError>>;

    fn handle(&mut self, batch: Examine, _: &mut Context<Self>) -> Self::Result {
        self.work(move |parts, shape| examine_batch(parts, shape, &batch))
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
    let mut rows = Rows::new(parts, shape);
    for candidate in batch.candidates.iter() {
        text.extend_from_slice(parts.framing.between.as_bytes());
        let verdict = judge_safely(parts, &mut rows, candidate, batch.stratum, &mut text)?;
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

/// What near-duplicates are decided by. Holds one record at a time.
fn examine_batch(
    parts: &ValidateParts,
    shape: RowShape,
    batch: &Examine,
) -> Result<Vec<Examined>, RunError> {
    let mut text = parts.buffers.take(0);
    let mut rows = Rows::new(parts, shape);
    rows.reads_words = true;
    let mut examined = Vec::with_capacity(batch.candidates.len());
    for (stratum, candidate) in batch.candidates.iter() {
        text.clear();
        let verdict = judge_safely(parts, &mut rows, candidate, *stratum, &mut text)?;
        let words = &rows.words;
        let known = verdict.is_valid().then(|| match &batch.purpose {
            Purpose::Templates => Knowledge::Shingles(ShingleSet::of(words, &Templates::default())),
            Purpose::Decision(templates) => Knowledge::Sketch(Sketch::of(words, templates)),
        });
        examined.push(Examined(known));
    }
    Ok(examined)
}

/// Appends a candidate's record and judges it, again if that panics; if it panics twice it is invalid.
fn judge_safely(
    parts: &ValidateParts,
    rows: &mut Rows<'_>,
    candidate: &Candidate,
    stratum: StratumId,
    text: &mut Vec<u8>,
) -> Result<Verdict, RunError> {
    if parts.run.is_stopping() {
        return Err(RunError::Interrupted);
    }
    let split = &parts.run.selection.split(stratum).name;
    let judge = |text: &mut Vec<u8>| {
        parts.run.faults.enter_now(Site::Record).leave();
        judge(parts, rows, candidate, split, text)
    };
    let start = text.len();
    let panicked = |text: &mut Vec<u8>, panic: Survived| {
        text.truncate(start);
        let stratum = parts.run.telemetry.stratum(stratum);
        parts.run.telemetry.events.publish(Event::RecordPanic {
            stratum: stratum.map_or_else(String::new, |stratum| stratum.name.clone()),
            time: panic.time,
            injected: panic.injected,
        });
    };
    let verdict = retry_on_panic(text, judge, panicked).transpose()?;
    Ok(verdict.unwrap_or_else(|| Verdict {
        errors: vec![(Code::RecordPanic, "work on it panicked twice".to_owned())],
        conversation_id: Some(String::from_utf8_lossy(&candidate.id).into_owned()),
        ..Verdict::default()
    }))
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
    let known = rows.records.append(candidate, text)?;
    let bytes = (text.len() - start) as u64;
    // Of the text as it was, not of what redaction leaves of it.
    if rows.reads_words {
        rows.words.read_record(&text[start..])?;
    }
    let repeated = repeated_benchmarks(parts, &rows.words);
    let selection = &parts.run.selection;
    // As it was read: of what names it, only a pseudonym or nothing may be left.
    let split_by = selection.split_by();
    let group = split_by.map(|field| field.of_record(&text[start..]));
    let group = group.transpose()?;
    let privacy = rows.privacy.as_mut().map(|guard| guard.apply(text, start));
    let privacy = privacy.transpose()?.unwrap_or_default();
    // What was known of it is not known of what is left of it.
    let mut verdict = match known.is_prevalidated && !privacy.is_changed {
        true => Verdict::on_prevalidated(&text[start..]),
        false => validate_of_group(&text[start..], split, selection, group)?,
    };
    verdict.quality = known.quality;
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
fn repeated_benchmarks(parts: &ValidateParts, words: &Words) -> Vec<(Code, String)> {
    let Some(decontamination) = &parts.decontamination else {
        return Vec::new();
    };
    let repeated = decontamination.benchmarks.repeated(words).into_iter();
    let fault = |number| {
        let what = format!("{RUN} words of {}", decontamination.name(number));
        (Code::Contaminated(number), what)
    };
    repeated.map(fault).collect()
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    }
}

/// What is used for one record after the other.
struct Rows<'p> {
    records: CandidateRecords<'p>,
    privacy: Option<GuardedRecords<'p>>,
    /// Of the record before anything was taken out of it, if it is compared with others.
    words: Words,
    /// Whether it is.
    reads_words: bool,
}

impl<'p> Rows<'p> {
    fn new(parts: &'p ValidateParts, shape: RowShape) -> Self {
        Self {
            records: CandidateRecords::new(parts, shape),
            privacy: parts.privacy.as_ref().map(Guard::records),
            words: Words::new(),
            reads_words: parts.decontamination.is_some(),
        }
    }
}

fn count(parts: &ValidateParts, stratum: StratumId, records: usize) {
    if let Some(counters) = parts.run.telemetry.stratum(stratum) {
        counters.validated.add(records as u64);
    }
}
