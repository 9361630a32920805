//! Sources that deliver a census first, and then the conversations of some ranks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::clause::{Clause, Verdict};
use super::chunks::{self, Asked, Chunks, Fetching};
use super::fetching;
use super::rows::{ChunkContents, Header, difference};
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRange, RankRanges};
use crate::domain::sampling::thresholds::{Undelivered, UndeliveredCount};
use crate::domain::selection::group::GroupMark;
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::{Membership, Selection, StratumId};
use crate::source::Pass;

const CENSUS: Clause = Clause("a census has every conversation once, as its row says");
const RANKS: Clause = Clause("a fetch by rank has exactly the conversations of those ranks");
const SOME: Clause =
    Clause("a census of some ranks has exactly their conversations, and counts the others");
const DELIVERED: Clause = Clause("delivered has every conversation once, as the census tells it");

pub(super) async fn hold(fetching: Fetching<'_>, all: &Chunks, selection: &Selection) -> Verdict {
    let asked = Asked {
        pass: Pass::Census,
        ranks: None,
    };
    let census = fetching.pass(&asked).await?;
    for (chunk, contents) in &census {
        let payloads = &all[chunk];
        CENSUS.check(contents.malformed == 0 && contents.rejects.is_empty(), || {
            format!("the census of {chunk} has rows that cannot be read as conversationId, turnCount, lastTimestamp")
        })?;
        for (id, headers) in &contents.headers {
            let times = headers.len();
            CENSUS.check(times == 1, || {
                format!("{times} rows of the census of {chunk} are of one conversation")
            })?;
            let turns = |headers: &[Header]| headers.first().and_then(|header| header.turns);
            let payload = payloads.headers.get(id);
            let differs = payload.is_some_and(|payload| turns(payload) != turns(headers));
            CENSUS.check(!differs, || {
                format!("a conversation of {chunk} has another number of turns in the census than in its row")
            })?;
        }
        let reported = contents.headers.len() as u64;
        let unread = payloads.malformed + payloads.rejects.values().sum::<u64>();
        let (read, unknown) = (
            payloads.headers.len() as u64,
            payloads
                .headers
                .keys()
                .filter(|id| !contents.headers.contains_key(*id))
                .count(),
        );
        CENSUS.check(unknown == 0 && reported == read + unread, || {
            format!("the census of {chunk} has {reported} conversations, its rows are of {read} (of which the census does not know {unknown}), and {unread} that cannot be read")
        })?;
    }
    for ranks in ranges(&census, selection) {
        by_rank(fetching, all, &census, selection, ranks).await?;
    }
    match fetching.survey.sample {
        Some(_) => of_some(fetching, &census, selection).await,
        None => Ok(()),
    }
}

/// A census of some ranks, of a source whose survey promises that.
async fn of_some(fetching: Fetching<'_>, census: &Chunks, selection: &Selection) -> Verdict {
    for ranks in ranges(census, selection) {
        let asked = Asked {
            pass: Pass::CensusUpTo(0),
            ranks: Some(Arc::new(ranks.clone())),
        };
        let mut ranker = Ranker::new(selection.seed());
        for (&chunk, contents) in census {
            let what = format!("the census of {chunk}, of {ranks:?}");
            let fetched = fetching::fetch(fetching.source, chunks::order(chunk, 1, &asked)).await;
            let fetched = SOME.succeeds(&what, fetched)?;
            let (mut expected, mut counted) = (BTreeSet::new(), Undelivered::default());
            let mut checksum = ChunkChecksum::default();
            for (id, turns) in conversations(contents) {
                let hash = kusto_hash::hash(id);
                checksum.count(hash);
                match ranks.wants(selection, (id, GroupMark::ABSENT), turns, ranker.rank(id)) {
                    true => drop(expected.insert(id)),
                    false => counted.add(
                        selection,
                        UndeliveredCount {
                            residue: kusto_hash::modulo(hash, 100),
                            turns,
                            conversations: 1,
                        },
                    ),
                }
            }
            let mut reported = Undelivered::default();
            let undelivered = fetched.blocks.iter().flat_map(|block| &block.undelivered);
            undelivered.for_each(|&count| reported.add(selection, count));
            let delivered = fetching.reading.contents_of(&fetched).headers;
            let delivered: BTreeSet<_> = delivered.keys().map(Vec::as_slice).collect();
            SOME.check(delivered == expected, || {
                let (found, wanted) = (delivered.len(), expected.len());
                format!("{what} has {found} conversations, it should have {wanted}, or others")
            })?;
            SOME.check(reported == counted, || {
                format!(
                    "{what} counts {reported:?} that it does not deliver, there are {counted:?}"
                )
            })?;
            let is_right = fetched.chunk_checksum.is_none_or(|found| found == checksum);
            SOME.check(is_right, || {
                format!("the chunk checksum of {what} is not that of all conversations")
            })?;
        }
    }
    Ok(())
}

/// All strata; the better half of each stratum, the other half, and one stratum alone.
fn ranges(census: &Chunks, selection: &Selection) -> Vec<RankRanges> {
    let mut ranker = Ranker::new(selection.seed());
    let mut ranks = BTreeMap::<StratumId, Vec<Rank>>::new();
    for (id, turns) in census.values().flat_map(conversations) {
        if let Membership::Stratum(stratum) = selection.membership(id, GroupMark::ABSENT, turns) {
            ranks.entry(stratum).or_default().push(ranker.rank(id));
        }
    }
    let mut halves = (BTreeMap::new(), BTreeMap::new());
    for (stratum, mut ranks) in ranks {
        ranks.sort_unstable();
        let middle = Some(ranks[(ranks.len() - 1) / 2]);
        let (above, up_to) = (None, middle);
        halves.0.insert(stratum, RankRange { above, up_to });
        let (above, up_to) = (middle, None);
        halves.1.insert(stratum, RankRange { above, up_to });
    }
    let first = halves.0.first_key_value();
    let one = first.map(|(&stratum, _)| BTreeMap::from([(stratum, RankRange::default())]));
    let all = selection
        .strata()
        .map(|stratum| (stratum, RankRange::default()));
    let ranges = [Some(all.collect()), Some(halves.0), Some(halves.1), one];
    let ranges = ranges.into_iter().flatten();
    ranges.map(RankRanges::from_iter).collect()
}

/// Ids and turns of a census.
fn conversations(census: &ChunkContents) -> impl Iterator<Item = (&[u8], u64)> {
    let turns = |headers: &[Header]| headers.first().and_then(|header| header.turns);
    census.headers.iter().map(move |(id, headers)| {
        let turns = turns(headers).and_then(|turns| u64::try_from(turns).ok());
        (id.as_slice(), turns.unwrap_or(0))
    })
}

async fn by_rank(
    fetching: Fetching<'_>,
    all: &Chunks,
    census: &Chunks,
    selection: &Selection,
    ranks: RankRanges,
) -> Verdict {
    let asked = Asked {
        pass: Pass::Round(0),
        ranks: Some(Arc::new(ranks.clone())),
    };
    let mut ranker = Ranker::new(selection.seed());
    let found = fetching.pass(&asked).await?;
    for (chunk, found) in &found {
        let (mut expected, mut rows) = (BTreeMap::new(), BTreeMap::new());
        for (id, turns) in conversations(&census[chunk]) {
            if ranks.wants(selection, (id, GroupMark::ABSENT), turns, ranker.rank(id)) {
                let header = census[chunk].headers[id].first();
                expected.insert(kusto_hash::hash(id), header);
                let payload = all[chunk].headers.get(id).into_iter().flatten();
                rows.extend(payload.map(|header| (header.text.clone(), 1)));
            }
        }
        let read = found.headers.values().flatten();
        let read = read
            .map(|header| (header.text.clone(), found.rows[&header.text]))
            .collect();
        if let Some(how) = difference(&rows, &read) {
            return RANKS.broken(format!("{chunk}, of {ranks:?}: {how}"));
        }
        let hashes = |one: &mut dyn Iterator<Item = i64>| -> Vec<i64> { one.collect() };
        let wanted = hashes(&mut expected.keys().copied());
        let reported = hashes(&mut found.received.iter().map(|received| received.0));
        DELIVERED.check(wanted == reported, || {
            let (wanted, reported) = (wanted.len(), reported.len());
            format!("{chunk}, of {ranks:?}: it has {reported}, the census {wanted}, or others")
        })?;
        for (hash, turns, last) in &found.received {
            let header = expected.get(hash).copied().flatten();
            let fits = header.is_some_and(|header| {
                turns.is_none_or(|turns| Some(turns) == header.turns)
                    && last.is_none_or(|last| Some(last) == header.last)
            });
            DELIVERED.check(fits, || {
                format!(
                    "a conversation of {chunk} has other turns or another time than in the census"
                )
            })?;
        }
    }
    Ok(())
}
