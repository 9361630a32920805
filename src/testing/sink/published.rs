//! Published datasets.

use super::super::clause::{Clause, Verdict};
use super::{Place, claim_of, manifest_of};
use crate::sink::{Claim, DatasetSink, MANIFEST, SinkError};

const MANIFESTED: Clause =
    Clause("the manifest is there as it was given, and is never overwritten");
const ALREADY_PUBLISHED: Clause =
    Clause("a claim of what is published gets the manifest, or Exists");
const RELEASED: Clause = Clause("release takes the claim away, and nothing else");

pub(super) async fn all(place: Place<'_>) -> Verdict {
    let sink = place.claimed(MANIFESTED, "published").await?;
    let published = sink.publish("published", manifest_of("1")).await;
    MANIFESTED.succeeds("publishing", published)?;
    for released in ["claimed", "released", "released twice"] {
        let start = place.make();
        for sink in [&sink, &start] {
            stays(place, &**sink, released).await?;
        }
        RELEASED.succeeds("release", start.release("published").await)?;
        place.has_files(RELEASED, "published", &[MANIFEST]).await?;
    }
    Ok(())
}

async fn stays(place: Place<'_>, sink: &dyn DatasetSink, when: &str) -> Verdict {
    let mine = sink.claim("published", &claim_of("1")).await;
    ALREADY_PUBLISHED.check(
        matches!(&mine, Ok(Claim::Published(manifest)) if *manifest == manifest_of("1")),
        || format!("its run claims it ({when}), and is answered {mine:?}"),
    )?;
    let other = sink.claim("published", &claim_of("2")).await;
    ALREADY_PUBLISHED.check(matches!(other, Err(SinkError::Exists(_))), || {
        format!("another run claims it ({when}), and is answered {other:?}")
    })?;
    let again = sink.publish("published", manifest_of("2")).await;
    MANIFESTED.check(matches!(again, Err(SinkError::Exists(_))), || {
        format!("another manifest is published ({when}), and the answer is {again:?}")
    })?;
    // The same once more is no harm, whether it is refused or not: its answer may have been lost.
    drop(sink.publish("published", manifest_of("1")).await);
    let found = place.content("published", MANIFEST).await?;
    MANIFESTED.check(found == Some(manifest_of("1")), || {
        format!("the manifest is another one now ({when})")
    })
}
