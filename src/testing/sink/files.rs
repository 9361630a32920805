//! From blocks to files.

use futures_util::future::{join_all, try_join_all};

use super::super::clause::{Clause, Verdict};
use super::{Cut, Place, READER, manifest_of};
use crate::runtime::blocking;
use crate::sink::reader::DatasetReader;
use crate::sink::{BlockReceipt, MANIFEST};

const ORDER: Clause = Clause("a file is its blocks, in whatever order they were staged");
const NOT_YET: Clause = Clause("a file is not there before its commit");
const EXACT: Clause = Clause("a file is exactly the blocks of its commit");
const EMPTY: Clause = Clause("a file may have no block at all");
const AGAIN: Clause = Clause("staging and committing again is harmless");
const WHOLE: Clause = Clause("receipts that are not the whole file are refused");
const COMMITTED: Clause =
    Clause("other bytes under the name of a committed file are refused, or replace it wholly");
const RENAMED: Clause =
    Clause("where files can be renamed, one has its new name and no other, also asked twice");
const NAMES: Clause = Clause("a path is kept letter by letter, or refused");
const APART: Clause = Clause("a dataset does not touch another");

pub(super) async fn all(place: Place<'_>) -> Verdict {
    blocks_in_any_order(place).await?;
    interleaved(place).await?;
    nothing_stale(place).await?;
    no_blocks(place).await?;
    again(place).await?;
    receipts_cover_the_file(place).await?;
    other_bytes_under_a_name(place).await?;
    renamed(place).await?;
    names(place).await?;
    datasets_apart(place).await?;
    what_a_reader_finds(place).await
}

async fn blocks_in_any_order(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(ORDER, "order").await?;
    let a = Cut::new(sink, "order", "train/a.json", 4, 1);
    let b = Cut::new(sink, "order", "val/b.json", 2, 2);
    let staged = [
        a.stage(sink, &[2, 0, 3, 1]).await,
        b.stage(sink, &[1, 0]).await,
    ];
    for path in [&a.path, &b.path] {
        let when = "before it is committed";
        place.is_absent(NOT_YET, "order", path, when).await?;
    }
    for commit in staged {
        let commit = ORDER.succeeds("staging a block", commit)?;
        ORDER.succeeds("the commit of a whole file", sink.commit(commit).await)?;
    }
    for cut in [&a, &b] {
        place.holds(ORDER, cut, "order", "after its commit").await?;
    }
    let when = "before the dataset is published";
    place.is_absent(NOT_YET, "order", MANIFEST, when).await
}

/// Two files, block by block in turn and all at once.
async fn interleaved(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(ORDER, "at-once").await?;
    let cuts = [("train/a.json", 5, 3), ("train/b.json", 5, 4)]
        .map(|(path, blocks, salt)| Cut::new(sink, "at-once", path, blocks, salt));
    let turns = (0..5).flat_map(|index| cuts.iter().map(move |cut| cut.block(index)));
    let receipts = try_join_all(turns.map(|block| sink.stage(block))).await;
    let receipts = ORDER.succeeds("staging blocks of two files at once", receipts)?;
    let commits = cuts.iter().enumerate().map(|(which, cut)| {
        let own = receipts.iter().skip(which).step_by(cuts.len());
        sink.commit(cut.commit(own.cloned().collect()))
    });
    let committed = try_join_all(commits).await;
    ORDER.succeeds("two commits at once", committed)?;
    for cut in &cuts {
        let when = "after it was staged at once with another";
        place.holds(ORDER, cut, "at-once", when).await?;
    }
    Ok(())
}

/// A round that is started again in the same process may have staged more, and other bytes.
async fn nothing_stale(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(EXACT, "stale").await?;
    let path = "train/a.json";
    let longer = Cut::new(sink, "stale", path, 4, 5);
    EXACT.succeeds("staging", longer.stage(sink, &[3, 0, 1, 2]).await)?;
    let cut = Cut::new(sink, "stale", path, 2, 6);
    let commit = EXACT.succeeds("staging anew", cut.stage(sink, &[1, 0]).await)?;
    EXACT.succeeds("the commit", sink.commit(commit).await)?;
    let when = "after more and other blocks were staged for its name before";
    place.holds(EXACT, &cut, "stale", when).await
}

async fn no_blocks(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(EMPTY, "empty").await?;
    let cut = Cut::new(sink, "empty", "test/empty.jsonl", 0, 0);
    for start in [sink, &*place.make()] {
        for _ in 0..2 {
            let committed = start.commit(cut.commit(Vec::new())).await;
            EMPTY.succeeds("the commit of an empty file", committed)?;
            place.holds(EMPTY, &cut, "empty", "and empty").await?;
        }
    }
    Ok(())
}

async fn again(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(AGAIN, "twice").await?;
    let cut = Cut::new(sink, "twice", "train/a.json", 3, 7);
    let commit = cut.stage(sink, &[0, 1, 0, 2, 2, 1]).await;
    let commit = AGAIN.succeeds("staging a block twice", commit)?;
    let both = [sink.commit(commit.clone()), sink.commit(commit.clone())];
    for result in join_all(both).await {
        AGAIN.succeeds("the same commit twice at once", result)?;
    }
    AGAIN.succeeds("a third commit", sink.commit(commit.clone()).await)?;
    AGAIN.succeeds(
        "staging a block after the commit",
        sink.stage(cut.block(1)).await,
    )?;
    AGAIN.succeeds("a commit after that", sink.commit(commit).await)?;
    let when = "after it was committed four times";
    place.holds(AGAIN, &cut, "twice", when).await?;
    let commit = AGAIN.succeeds("staging all again", cut.stage(sink, &[2, 1, 0]).await)?;
    AGAIN.succeeds("committing all again", sink.commit(commit).await)?;
    place.holds(AGAIN, &cut, "twice", when).await?;
    let published = sink.publish("twice", manifest_of("1")).await;
    AGAIN.succeeds("publishing", published)?;
    AGAIN.succeeds("release", sink.release("twice").await)?;
    let left = [MANIFEST, "train/a.json"];
    place.has_files(AGAIN, "twice", &left).await
}

async fn receipts_cover_the_file(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(WHOLE, "cover").await?;
    let cut = Cut::new(sink, "cover", "train/a.json", 3, 8);
    let whole = WHOLE.succeeds("staging", cut.stage(sink, &[0, 1, 2]).await)?;
    let (mut hole, mut swapped, mut long) = (whole.clone(), whole.clone(), whole.clone());
    hole.blocks.remove(1);
    swapped.blocks.swap(0, 2);
    long.bytes += 1;
    for (what, wrong) in [
        ("with a hole", hole),
        ("with blocks out of order", swapped),
        ("that is longer than its blocks", long),
    ] {
        let committed = sink.commit(wrong).await;
        WHOLE.check(committed.is_err(), || format!("a commit {what} succeeded"))?;
        let when = format!("after a commit {what} was refused");
        place.is_absent(WHOLE, "cover", &cut.path, &when).await?;
    }
    let committed = sink.commit(whole).await;
    WHOLE.succeeds("the right commit after wrong ones", committed)?;
    place
        .holds(WHOLE, &cut, "cover", "after its commit")
        .await?;
    let never = Cut::new(sink, "cover", "train/never.json", 1, 9);
    let receipt = BlockReceipt {
        index: 0,
        bytes: never.bytes().len() as u64,
        id: String::new(),
        sent: true,
    };
    let committed = sink.commit(never.commit(vec![receipt])).await;
    WHOLE.check(committed.is_err(), || {
        "a commit of a block that was never staged succeeded".to_owned()
    })?;
    let when = "after a commit of a block that was never staged";
    place.is_absent(WHOLE, "cover", &never.path, when).await
}

async fn other_bytes_under_a_name(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(COMMITTED, "other").await?;
    let first = Cut::new(sink, "other", "train/a.json", 3, 10);
    let commit = COMMITTED.succeeds("staging", first.stage(sink, &[0, 1, 2]).await)?;
    COMMITTED.succeeds("the commit", sink.commit(commit).await)?;
    let other = Cut::new(sink, "other", "train/a.json", 2, 11);
    let is_accepted = match other.stage(sink, &[0, 1]).await {
        Ok(commit) => sink.commit(commit).await.is_ok(),
        Err(_) => false,
    };
    let (now, when) = match is_accepted {
        true => (&other, "after a commit of other bytes was accepted"),
        false => (&first, "after a commit of other bytes was refused"),
    };
    place.holds(COMMITTED, now, "other", when).await
}

/// Also onto a file that an earlier start has renamed, and asked again when it is done.
async fn renamed(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(RENAMED, "renamed").await?;
    if !sink.renames() {
        return Ok(());
    }
    let cut = Cut::new(sink, "renamed", "data/b", 2, 17);
    for start in 1..=2 {
        let mut first = Cut::new(sink, "renamed", "data/a", 2, 17);
        let commit = RENAMED.succeeds("staging", first.stage(sink, &[0, 1]).await)?;
        RENAMED.succeeds("the commit", sink.commit(commit).await)?;
        first.path = cut.path.clone();
        for _ in 0..2 {
            let renamed = sink.rename("renamed", "data/a", &cut.path).await;
            RENAMED.succeeds("renaming a committed file", renamed)?;
            let when = format!("after start {start} has renamed it");
            place.holds(RENAMED, &first, "renamed", &when).await?;
            place.has_files(RENAMED, "renamed", &["data/b"]).await?;
        }
    }
    let nothing = sink.rename("renamed", "data/c", "data/d").await;
    RENAMED.check(nothing.is_err(), || {
        "renaming a file that is not there succeeded".to_owned()
    })
}

/// gleaner's own names are of ASCII letters, digits, `.`, `_` and `-`; a sink may take more.
async fn names(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(NAMES, "names").await?;
    let plain = Cut::new(sink, "names", "val/a.b-c_D.0.jsonl", 1, 12);
    let commit = NAMES.succeeds("staging a plain name", plain.stage(sink, &[0]).await)?;
    NAMES.succeeds("committing a plain name", sink.commit(commit).await)?;
    let mut kept = vec![plain.path.clone()];
    for (path, salt) in [
        ("val/with space.json", 13),
        ("val/grün 🙂.json", 14),
        ("val/50%25+a&b=c#d?.json", 15),
    ] {
        let cut = Cut::new(sink, "names", path, 2, salt);
        if let Ok(commit) = cut.stage(sink, &[1, 0]).await
            && sink.commit(commit).await.is_ok()
        {
            let when = "under the name that its commit had";
            place.holds(NAMES, &cut, "names", when).await?;
            kept.push(cut.path);
        }
    }
    kept.sort();
    let kept: Vec<&str> = kept.iter().map(String::as_str).collect();
    place.has_files(NAMES, "names", &kept).await
}

async fn datasets_apart(place: Place<'_>) -> Verdict {
    let names = ["twin", "twin-2", "twi"];
    let mut cuts = Vec::new();
    for (dataset, salt) in names.into_iter().zip(16..) {
        // Each is claimed when the others have files.
        let sink = &*place.claimed(APART, dataset).await?;
        let cut = Cut::new(sink, dataset, "train/a.json", 2, salt);
        let commit = APART.succeeds("staging", cut.stage(sink, &[0, 1]).await)?;
        APART.succeeds("the commit", sink.commit(commit).await)?;
        cuts.push(cut);
    }
    let sink = place.make();
    let published = sink.publish("twin", manifest_of("1")).await;
    APART.succeeds("publishing twin", published)?;
    APART.succeeds("release of twin", sink.release("twin").await)?;
    for (dataset, cut) in names.into_iter().zip(&cuts) {
        let when = "after twin was published";
        place.holds(APART, cut, dataset, when).await?;
    }
    for dataset in ["twin-2", "twi"] {
        place.has_files(APART, dataset, &["train/a.json"]).await?;
        // Still its run's.
        place.claimed(APART, dataset).await?;
    }
    Ok(())
}

async fn what_a_reader_finds(place: Place<'_>) -> Verdict {
    let sink = &*place.claimed(READER, "read").await?;
    let mut cuts = Vec::new();
    for (path, salt) in [("b/x.json", 20), ("a", 21), ("b.json", 22)] {
        let cut = Cut::new(sink, "read", path, 1, salt);
        let commit = READER.succeeds("staging", cut.stage(sink, &[0]).await)?;
        let sha256 = commit.sha256.clone();
        READER.succeeds("the commit", sink.commit(commit).await)?;
        cuts.push((cut.path, sha256));
    }
    // The claim is there, hidden; a dot sorts before a slash.
    let all = ["a", "b.json", "b/x.json"];
    place.has_files(READER, "read", &all).await?;
    for path in ["", "b", "c", "a/x", "../read/a", "../order/train/a.json"] {
        let when = "for the reader of another path";
        place.is_absent(READER, "read", path, when).await?;
    }
    let reader = (place.read)("read");
    let judged = blocking(move || {
        READER.check(!reader.location().trim().is_empty(), || {
            "location() is empty".to_owned()
        })?;
        cuts.iter()
            .try_for_each(|(path, sha256)| digest(&*reader, path, sha256))
    });
    READER.succeeds("reading", judged.await)?
}

fn digest(reader: &dyn DatasetReader, path: &str, sha256: &str) -> Verdict {
    let stored = READER.succeeds("stored_sha256()", reader.stored_sha256(path))?;
    let keeps = reader.keeps_digests();
    READER.check(stored.is_some() == keeps, || {
        format!("keeps_digests() is {keeps}, and the digest of {path} is {stored:?}")
    })?;
    READER.check(
        stored.as_deref().is_none_or(|found| found == sha256),
        || format!("the stored digest of {path} is {stored:?}, not {sha256}"),
    )
}
