//! Whose a dataset is.

use futures_util::future::join_all;

use super::super::clause::{Clause, Verdict};
use super::cut::SINCE;
use super::{Cut, Place, claim_of, granted, manifest_of};
use crate::sink::{DatasetSink, MANIFEST, SinkError};

const ONE_RUN: Clause = Clause("a dataset belongs to one run, and others learn whose it is");
const RACE: Clause = Clause("of claims at the same moment one is granted");
const GOES_ON: Clause = Clause("a later start of the run goes on where the last one was killed");
const GIVEN_UP: Clause = Clause("release before publishing gives up what was only staged");
const NOBODYS: Clause =
    Clause("release before publishing keeps what was committed, and nobody may claim it");
const REVOKED: Clause = Clause("a claim that is taken away frees the dataset, and ends the run");
const UNKNOWN: Clause = Clause("release of what was never claimed is harmless, or refused");

pub(super) async fn all(place: Place<'_>) -> Verdict {
    one_run(place).await?;
    race(place).await?;
    later_start(place).await?;
    given_up(place).await?;
    nobodys(place).await?;
    revoked(place).await?;
    revoked_when_published(place).await?;
    never_claimed(place).await
}

async fn one_run(place: Place<'_>) -> Verdict {
    let first = place.claimed(ONE_RUN, "one").await?;
    granted(ONE_RUN, &*first, "one", "1").await?;
    place.claimed(ONE_RUN, "one").await?;
    for sink in [first, place.make()] {
        let other = sink.claim("one", &claim_of("2")).await;
        let is_refused = matches!(&other, Err(SinkError::Claimed { run_id, since, .. })
            if run_id == "1" && since == SINCE);
        ONE_RUN.check(is_refused, || {
            format!("run 2 claims what run 1 has claimed, and is answered {other:?}")
        })?;
    }
    Ok(())
}

async fn race(place: Place<'_>) -> Verdict {
    let sinks: Vec<_> = (0..8).map(|_| place.make()).collect();
    let claims: Vec<_> = (0..8).map(|i| claim_of(&i.to_string())).collect();
    let all = sinks.iter().zip(&claims).map(|(s, c)| s.claim("race", c));
    let results = join_all(all).await;
    let granted = results.iter().filter(|result| result.is_ok()).count();
    RACE.check(granted == 1, || {
        format!("of eight claims by eight runs {granted} were granted: {results:?}")
    })
}

/// A start is killed with a file committed, another half staged; the next one writes all again.
async fn later_start(place: Place<'_>) -> Verdict {
    let killed = place.claimed(GOES_ON, "resumed").await?;
    let done = Cut::new(&*killed, "resumed", "train/a.json", 2, 30);
    let half = Cut::new(&*killed, "resumed", "val/b.json", 2, 31);
    let commit = GOES_ON.succeeds("staging", done.stage(&*killed, &[0, 1]).await)?;
    GOES_ON.succeeds("the commit", killed.commit(commit).await)?;
    // Longer than what comes after it, and with a hole.
    let longer = Cut::new(&*killed, "resumed", "val/b.json", 4, 32);
    GOES_ON.succeeds("staging", longer.stage(&*killed, &[3, 0]).await)?;
    drop(killed);

    let next = place.claimed(GOES_ON, "resumed").await?;
    for cut in [&done, &half] {
        let commit = cut.stage(&*next, &[1, 0]).await;
        let commit = GOES_ON.succeeds("staging again", commit)?;
        GOES_ON.succeeds("the commit of the next start", next.commit(commit).await)?;
        let when = "after the next start has written it";
        place.holds(GOES_ON, cut, "resumed", when).await?;
    }
    let published = next.publish("resumed", manifest_of("1")).await;
    GOES_ON.succeeds("publishing", published)?;
    GOES_ON.succeeds("release", next.release("resumed").await)?;
    let left = [MANIFEST, "train/a.json", "val/b.json"];
    place.has_files(GOES_ON, "resumed", &left).await
}

async fn given_up(place: Place<'_>) -> Verdict {
    let first = place.claimed(GIVEN_UP, "given-up").await?;
    GIVEN_UP.succeeds("release of a mere claim", first.release("given-up").await)?;
    granted(GIVEN_UP, &*place.make(), "given-up", "2").await?;
    let second = place.make();
    let cut = Cut::new(&*second, "given-up", "train/a.json", 2, 33);
    GIVEN_UP.succeeds("staging", cut.stage(&*second, &[0, 1]).await)?;
    let released = second.release("given-up").await;
    GIVEN_UP.succeeds("release with blocks staged", released)?;
    place.has_files(GIVEN_UP, "given-up", &[]).await?;
    let third = place.make();
    granted(GIVEN_UP, &*third, "given-up", "3").await?;
    let other = Cut::new(&*third, "given-up", "train/a.json", 1, 34);
    let commit = GIVEN_UP.succeeds("staging", other.stage(&*third, &[0]).await)?;
    GIVEN_UP.succeeds("the commit", third.commit(commit).await)?;
    let when = "after another run had staged for its name and given up";
    place.holds(GIVEN_UP, &other, "given-up", when).await
}

async fn nobodys(place: Place<'_>) -> Verdict {
    let sink = place.claimed(NOBODYS, "nobodys").await?;
    let cut = Cut::new(&*sink, "nobodys", "train/a.json", 2, 35);
    let commit = NOBODYS.succeeds("staging", cut.stage(&*sink, &[0, 1]).await)?;
    NOBODYS.succeeds("the commit", sink.commit(commit).await)?;
    NOBODYS.succeeds("release", sink.release("nobodys").await)?;
    for run_id in ["2", "1"] {
        let answer = place.make().claim("nobodys", &claim_of(run_id)).await;
        NOBODYS.check(matches!(answer, Err(SinkError::Exists(_))), || {
            format!(
                "run {run_id} claims an unpublished dataset with files, and is answered {answer:?}"
            )
        })?;
    }
    place
        .holds(NOBODYS, &cut, "nobodys", "after its release")
        .await
}

/// Whose claim a sink says it is; `None` if it keeps that to itself.
async fn reads_claims(sink: &dyn DatasetSink, dataset: &str) -> Verdict<bool> {
    let found = REVOKED.succeeds("reading the claim", sink.read_claim(dataset).await)?;
    let Some(found) = found else {
        return Ok(false);
    };
    REVOKED.check(found == claim_of("1"), || {
        format!("the claim of {dataset} is read as {found:?}")
    })?;
    Ok(true)
}

async fn revoked(place: Place<'_>) -> Verdict {
    let old = place.claimed(REVOKED, "revoked").await?;
    if !reads_claims(&*old, "revoked").await? {
        return Ok(());
    }
    let cut = Cut::new(&*old, "revoked", "train/a.json", 2, 36);
    let commit = REVOKED.succeeds("staging", cut.stage(&*old, &[0, 1]).await)?;
    REVOKED.succeeds("the commit", old.commit(commit.clone()).await)?;
    let half = Cut::new(&*old, "revoked", "val/b.json", 2, 37);
    let late = REVOKED.succeeds("staging", half.stage(&*old, &[0, 1]).await)?;
    let other = place.make().revoke("revoked", "2").await;
    REVOKED.check(matches!(other, Err(SinkError::Claimed { .. })), || {
        format!("run 2's claim is taken away where run 1 has one, and the answer is {other:?}")
    })?;
    let when = "after another run's claim was to be taken away";
    place.holds(REVOKED, &cut, "revoked", when).await?;
    let taken = place.make().revoke("revoked", "1").await;
    REVOKED.succeeds("revoke", taken)?;
    REVOKED.succeeds("revoke again", place.make().revoke("revoked", "1").await)?;
    place.has_files(REVOKED, "revoked", &[]).await?;
    for claimed in [false, true] {
        if claimed {
            let answer = place.make().claim("revoked", &claim_of("2")).await;
            REVOKED.succeeds("another run's claim afterwards", answer)?;
        }
        let lost = old.commit(late.clone()).await;
        REVOKED.check(matches!(lost, Err(SinkError::ClaimLost { .. })), || {
            format!("the old run commits (another claimed: {claimed}), and is answered {lost:?}")
        })?;
        let lost = old.publish("revoked", manifest_of("1")).await;
        REVOKED.check(matches!(lost, Err(SinkError::ClaimLost { .. })), || {
            format!("the old run publishes (another claimed: {claimed}), and is answered {lost:?}")
        })?;
    }
    place.has_files(REVOKED, "revoked", &[]).await
}

async fn revoked_when_published(place: Place<'_>) -> Verdict {
    let sink = place.claimed(REVOKED, "kept").await?;
    if !reads_claims(&*sink, "kept").await? {
        return Ok(());
    }
    let cut = Cut::new(&*sink, "kept", "train/a.json", 1, 38);
    let commit = REVOKED.succeeds("staging", cut.stage(&*sink, &[0]).await)?;
    REVOKED.succeeds("the commit", sink.commit(commit).await)?;
    let published = sink.publish("kept", manifest_of("1")).await;
    REVOKED.succeeds("publishing", published)?;
    REVOKED.succeeds("revoke", place.make().revoke("kept", "1").await)?;
    let left = REVOKED.succeeds("reading the claim", sink.read_claim("kept").await)?;
    REVOKED.check(left.is_none(), || "the claim is left".to_owned())?;
    place
        .has_files(REVOKED, "kept", &[MANIFEST, "train/a.json"])
        .await
}

async fn never_claimed(place: Place<'_>) -> Verdict {
    // Refused or not: what counts is what it leaves.
    drop(place.make().release("unknown").await);
    place.claimed(UNKNOWN, "unknown").await?;
    place.has_files(UNKNOWN, "unknown", &[]).await
}
