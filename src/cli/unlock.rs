//! `gleaner unlock`: takes the claim of a run away that is gone.
//!
//! Whether a run is gone is for a person to know: a claim has no lifetime and is never taken for
//! abandoned. A run that is still going on finds its claim gone at its next commit, and ends.

use super::args::UnlockArgs;
use super::exit::{CliError, Exit};
use super::host::Host;
use super::outcome::{Outcome, Shown};
use super::place;
use serde_json::json;

/// Shows the claim of a dataset, and takes it away if that is confirmed.
///
/// # Errors
/// If there is none, if it is another run's, if it cannot be removed, and without `--yes`.
pub fn run(args: &UnlockArgs, host: &Host) -> Result<Outcome, CliError> {
    let runtime = host.runtime()?;
    let (sink, dataset) = {
        let _inside = runtime.enter();
        place::of_dataset(&args.dataset, args.reach.config.as_ref(), &args.reach.set)?
    };
    let claim = runtime.block_on(sink.read_claim(&dataset))?;
    let Some(claim) = claim? else {
        return Err(CliError::usage(
            format!("no run claims {}", args.dataset),
            "check the dataset's name; `gleaner status` shows the runs of this folder",
        ));
    };
    let text = format!(
        "{} belongs to run {}, which claimed it at {}",
        args.dataset, claim.run_id, claim.since
    );
    if claim.run_id != args.run {
        return Err(CliError::usage(
            text,
            "give that run's id with --run, if it is the one that is gone",
        ));
    }
    if !args.yes {
        return Err(CliError::usage(
            text,
            "if that run is gone for good, run the command again with --yes: the claim is removed, and with it what the run has written there without publishing it",
        ));
    }
    runtime.block_on(sink.revoke(&dataset, &args.run))??;
    let (run_id, dataset) = (&claim.run_id, &args.dataset);
    let shown = Shown::either(
        args.json,
        || json!({"dataset": dataset, "run_id": run_id, "since": claim.since, "removed": true}),
        || format!("removed the claim of run {run_id} on {dataset}"),
    );
    Ok(Outcome::new(shown, Exit::Success))
}
