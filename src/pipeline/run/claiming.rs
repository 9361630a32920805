//! The claim of a dataset: taken before anything is read, handed over, given back.

use serde_json::json;
use tokio::time::Instant;

use super::{RunParts, RunReport, report_of};
use crate::domain::dataset::manifest::Manifest;
use crate::domain::describe_error;
use crate::domain::scheduling::remaining::Remaining;
use crate::pipeline::error::RunError;
use crate::pipeline::lifecycle::sink_calls::SinkCalls;
use crate::pipeline::state::work_dir::{RunRecord, RunState};
use crate::sink::{Claim, ClaimRecord, SinkError};
use crate::source::Survey;
use crate::telemetry::Phase;

/// Gives the claim of a run back that has nothing to publish. Another run may have the name then; a
/// claim that stays says whose it is.
pub(super) async fn give_back(parts: &RunParts) {
    let dataset = &parts.work_dir.record.dataset;
    let release = || parts.sink.release(dataset);
    if let Err(error) = calls(parts).call("give back", dataset, release).await {
        let error = describe_error(&error);
        tracing::warn!(error, "the claim is left there");
    }
}

/// Looks the input over and claims the output. A new run first sees that there is something to
/// read: a wrong path must not leave a claim. A resumed one may have published already, and then
/// needs no input any more: its survey comes later.
pub(super) async fn begin(parts: &mut RunParts) -> Result<(Option<Survey>, Claim), RunError> {
    let survey = match parts.work_dir.resumed {
        true => None,
        false => Some(parts.source.survey().await?),
    };
    for before in parts.work_dir.record.replaced() {
        take_over(parts, before).await?;
    }
    let claimed = claim_free_name(parts).await?;
    if !parts.work_dir.resumed {
        parts.work_dir.begin()?;
    }
    Ok((survey, claimed))
}

/// Claims the dataset. A name with a timestamp that another run took within the same second gets the
/// next free suffix.
pub(super) async fn claim_free_name(parts: &mut RunParts) -> Result<Claim, RunError> {
    let first_name = parts.work_dir.record.dataset.clone();
    let mut suffix = 2;
    loop {
        let claimed = claim(parts).await;
        let record = &mut parts.work_dir.record;
        // Inputs are pinned behind this: before that nothing is claimed for good.
        let may_differ = parts.settings.name.contains("{timestamp}") && record.inputs.is_none();
        match claimed {
            Err(RunError::Sink(SinkError::Exists(_) | SinkError::Claimed { .. }))
                if may_differ && suffix <= LAST_SUFFIX =>
            {
                record.dataset = format!("{first_name}_{suffix}");
                parts.telemetry.rename(&record.dataset);
                parts.work_dir.save()?;
                suffix += 1;
            }
            claimed => return claimed,
        }
    }
}

pub(super) async fn claim(parts: &RunParts) -> Result<Claim, RunError> {
    let record = &parts.work_dir.record;
    let claim = claim_of(record);
    let claiming = || parts.sink.claim(&record.dataset, &claim);
    Ok(calls(parts)
        .call("claim", &record.dataset, claiming)
        .await?)
}

/// What a run says when it claims its dataset.
pub(super) fn claim_of(record: &RunRecord) -> ClaimRecord {
    ClaimRecord {
        run_id: record.run_id.clone(),
        fingerprint: record.fingerprint.clone(),
        since: record.started.to_string(),
    }
}

/// Takes the claim away of a run whose place this one takes: with its work directory it cannot be
/// continued any more.
pub(super) async fn take_over(parts: &RunParts, before: &RunRecord) -> Result<(), RunError> {
    if before.state == RunState::Published {
        return Ok(());
    }
    let revoking = || parts.sink.revoke(&before.dataset, &before.run_id);
    match calls(parts).call("clear", &before.dataset, revoking).await {
        // Not its own, or not to be taken away: this run's own claim says what follows.
        Err(SinkError::Claimed { .. } | SinkError::Exists(_) | SinkError::Unusable { .. }) => {
            Ok(())
        }
        done => Ok(done?),
    }
}

/// A run that ended before it began leaves no claim and no work directory. Where its claim may be
/// there and cannot be given back the work directory stays: it alone knows whose the claim is.
pub(super) async fn abandon(parts: RunParts, error: &RunError) {
    let record = &parts.work_dir.record;
    let before_its_claim = matches!(
        error,
        RunError::Source(_)
            | RunError::Sink(
                SinkError::Exists(_)
                    | SinkError::Link { .. }
                    | SinkError::Claimed { .. }
                    | SinkError::Unusable { .. }
                    | SinkError::Remote {
                        is_refusal: true,
                        ..
                    }
            )
    );
    if !before_its_claim || record.replaces.is_some() {
        let revoking = || parts.sink.revoke(&record.dataset, &record.run_id);
        let revoked = calls(&parts)
            .call("give back", &record.dataset, revoking)
            .await;
        match revoked {
            Ok(()) | Err(SinkError::Claimed { .. } | SinkError::Exists(_)) => {}
            Err(error) => {
                let error = describe_error(&error);
                tracing::warn!(error, "the claim may be left; run the same command again");
                return;
            }
        }
    }
    parts.work_dir.forget();
}

/// The dataset that this run has published before, if it is still there; else the run starts again.
pub(super) async fn finished_before(parts: &mut RunParts) -> Result<Option<RunReport>, RunError> {
    let begun = Instant::now();
    let claimed = claim(parts).await?;
    let Remaining::Nothing(bytes) = remaining(parts, claimed) else {
        parts.work_dir.start_again()?;
        return Ok(None);
    };
    let manifest = read_manifest(&parts.work_dir.record.dataset, &bytes)?;
    let note = format!(
        "published already at {}; nothing was done",
        manifest.created_at
    );
    parts.telemetry.enter(Phase::Done);
    // It was not set before.
    let _ = parts.telemetry.provenance.set(json!(manifest));
    Ok(Some(RunReport {
        already_published: true,
        ..report_of(parts, manifest, begun, 0, vec![note])
    }))
}

/// What is left to do, as the work directory says and as the claim has shown.
pub(super) fn remaining(parts: &RunParts, claimed: Claim) -> Remaining<Vec<u8>> {
    let manifest = match claimed {
        Claim::Published(bytes) => Some(bytes),
        Claim::Granted => None,
    };
    Remaining::of(parts.work_dir.is_published(), manifest)
}

pub(super) fn read_manifest(dataset: &str, bytes: &[u8]) -> Result<Manifest, RunError> {
    serde_json::from_slice(bytes).map_err(|source| RunError::PublishedManifest {
        dataset: dataset.to_owned(),
        source,
    })
}

/// Runs that may start within one second and take the same name but for a suffix.
const LAST_SUFFIX: u32 = 100;

/// The calls of the sink outside of the actors.
pub(super) fn calls(parts: &RunParts) -> SinkCalls<'_> {
    SinkCalls::new(&*parts.sink, &parts.settings, &parts.telemetry)
}
