//! What the actors say to each other. Data are nouns, commands are verbs; no message is a row.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix::Message;

use crate::domain::conversion::tokens::Distribution;
use crate::domain::dataset::chunk_tally::ChunkTally;
use crate::domain::dataset::manifest::FileRecord;
use crate::domain::dataset::telemetry_seen::QualityTally;
use crate::domain::grouping::dedup::GroupTally;
use crate::domain::near_duplicates::decisions::{DecidedStratum, NearDuplicate};
use crate::domain::near_duplicates::templates::Templates;
use crate::domain::near_duplicates::{ShingleSet, Sketch};
use crate::domain::privacy::policy::FoundCounts;
use crate::domain::record::columns::Columns;
use crate::domain::record::row::RowShape;
use crate::domain::record::validation::{Code, Verdict};
use crate::domain::sampling::rank_ranges::{RankRange, RankRanges};
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::sampling::rounds::{CensusOutcome, CensusReach, Round};
use crate::domain::sampling::stratum_fill::InvalidRecord;
use crate::domain::sampling::thresholds::Undelivered;
use crate::domain::scheduling::chunk::Chunk;
use crate::domain::scheduling::lease::Lease;
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::stratum::StratumId;
use crate::pipeline::error::RunError;
use crate::pipeline::ingest::census::UnusableCandidates;
use crate::pipeline::ingest::chunk_reader::Headers;
use crate::pipeline::lifecycle::actor_monitor::ActorId;
use crate::pipeline::lifecycle::byte_budget::BudgetPermit;
use crate::runtime::buffers::Buffer;
use crate::sink::{Block, BlockReceipt, FileCommit, SinkError};
use crate::source::SourceError;

macro_rules! message {
    ($name:ty => $result:ty) => {
        impl Message for $name {
            type Result = $result;
        }
    };
}

/// Fetcher to supervisor: gives a lease when there is one. The answer may take a while.
#[derive(Debug)]
pub struct RequestLease(pub ActorId);
message!(RequestLease => LeaseReply);

/// The answer to [`RequestLease`].
#[derive(Debug, Clone)]
pub enum LeaseReply {
    /// Fetch this.
    Fetch(Assignment),
    /// There is nothing left to fetch.
    Finished,
}

/// A chunk, leased for a pass.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The chunk and the attempt.
    pub lease: Lease,
    /// The pass: whole rows, or a census.
    pub pass: Pass,
    /// In a round: what it fetches.
    pub round: Option<Arc<RoundPlan>>,
    /// The census that is fetched, or that the round follows, if the source delivers one.
    pub census: Option<CensusPlan>,
    /// Whether the chunk's census is fetched again first.
    pub census_refetch: bool,
}

/// A census.
#[derive(Debug, Clone)]
pub struct CensusPlan {
    /// Its pass: [`Pass::Census`] or [`Pass::CensusUpTo`].
    pub pass: Pass,
    /// The ranks up to which it delivers conversations; `None`: all.
    pub ranks: Option<Arc<RankRanges>>,
}

/// What a round fetches.
#[derive(Debug)]
pub struct RoundPlan {
    /// Which conversations.
    pub ranks: Arc<RankRanges>,
    /// The chunks that have a census.
    pub censuses: Vec<Chunk>,
}

/// Fetcher to supervisor: the attempt has ended.
#[derive(Debug)]
pub struct ChunkFetched {
    /// Under which lease.
    pub lease: Lease,
    /// The result of the fetch.
    pub result: Result<Fetched, SourceError>,
}
message!(ChunkFetched => ());

/// A chunk, read to its end.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Counts of the chunk.
    pub tally: ChunkTally,
    /// The headers of the rows that are wanted.
    pub headers: Headers,
    /// Whether an earlier start of the run had sealed it.
    pub replayed: bool,
    /// Candidates that cannot be used.
    pub lost: UnusableCandidates,
}

/// Supervisor to dedup: take the headers of a chunk that is done.
#[derive(Debug)]
pub struct AddHeaders(pub Headers);
message!(AddHeaders => Result<Grouped, RunError>);

/// Supervisor to dedup: all chunks are in; decide what is still open.
#[derive(Debug)]
pub struct Close;
message!(Close => Result<Grouped, RunError>);

/// What dedup decided.
#[derive(Debug, Default)]
pub struct Grouped {
    /// Rows and conversations.
    pub tally: GroupTally,
    /// Complete conversations in no bucket.
    pub out_of_range: u64,
    /// Conversations in a stratum without a target.
    pub no_target: u64,
}

impl Grouped {
    /// Adds what was decided of other conversations.
    pub fn add(&mut self, other: Self) {
        self.tally.add(other.tally);
        self.out_of_range += other.out_of_range;
        self.no_target += other.no_target;
    }

    /// Conversations that a census has only counted.
    pub fn of_undelivered(undelivered: &Undelivered) -> Self {
        Self {
            tally: GroupTally {
                conversations: undelivered.conversations(),
                kept_rows: undelivered.conversations(),
                ..GroupTally::default()
            },
            out_of_range: undelivered.out_of_range,
            no_target: undelivered.no_target,
        }
    }

    /// Adds what became of rows, but not the conversations that they make up: a census has counted
    /// those.
    pub fn add_rows(&mut self, other: &Self) {
        self.tally.add_rows(&other.tally);
    }
}

/// Dedup to sampler: conversations of its stratum.
#[derive(Debug)]
pub struct Offer(pub Vec<Candidate>);
message!(Offer => ());

/// Supervisor to sampler: the census is whole, and went so far; which ranks are to be fetched? `None`: it is done.
#[derive(Debug)]
pub struct FinishCensus(pub CensusReach);
message!(FinishCensus => Option<CensusOutcome>);

/// Supervisor to sampler: these ranks are fetched; take what is offered now.
#[derive(Debug)]
pub struct SetRankRange(pub RankRange);
message!(SetRankRange => ());

/// Supervisor to sampler, where near-duplicates are left out: all candidates were offered; give them. `None`: it
/// wants no more.
#[derive(Debug)]
pub struct TakeRound;
message!(TakeRound => Option<Round>);

/// Supervisor to sampler: the candidates that it gave are not enough for so many records; take more offers.
#[derive(Debug)]
pub struct Widen(pub u64);
message!(Widen => ());

/// Supervisor to the decider: these are the next candidates; decide as far as they go.
#[derive(Debug)]
pub struct Decide {
    /// Of their rows.
    pub shape: RowShape,
    /// The candidates of strata, and whether they have no others.
    pub rounds: Vec<(StratumId, Vec<Candidate>, bool)>,
}
message!(Decide => Result<DecisionOutcome, RunError>);

/// How far the decider has come.
#[derive(Debug)]
pub enum DecisionOutcome {
    /// All strata are full or at their end.
    Decided(Box<Decided>),
    /// These strata must give more candidates, for so many records.
    NeedsMore(Vec<(StratumId, u64)>),
}

/// What is written, and what is left out because it repeats something that is.
#[derive(Debug)]
pub struct Decided {
    /// All strata with a target.
    pub strata: Vec<DecidedStratum>,
    /// How many records have so many near-duplicates.
    pub clusters: BTreeMap<u64, u64>,
    /// Template shingles.
    pub templates: u64,
}

/// Decider to validator: read these again, and hold them against the rules; what do they say?
#[derive(Debug)]
pub struct Examine {
    /// In (rank, id) order, of all strata. The decider keeps them until it has the answer.
    pub candidates: Arc<[(StratumId, Candidate)]>,
    /// What is to be known of them.
    pub purpose: Purpose,
    /// For their payloads. The decider has it too: a batch that must be done again is paid for already.
    pub _permit: Arc<BudgetPermit>,
}
message!(Examine => Result<Vec<Examined>, RunError>);

/// What candidates are examined for.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// To count shingles.
    Templates,
    /// To compare them, without these shingles.
    Decision(Arc<Templates>),
}

/// What is known of a candidate, without its text; none if it is not valid.
#[derive(Debug)]
pub struct Examined(pub Option<Knowledge>);

/// As its [`Purpose`] asks.
#[derive(Debug)]
pub enum Knowledge {
    /// Its shingles.
    Shingles(ShingleSet),
    /// Its sketch.
    Sketch(Sketch),
}

/// Supervisor to sampler: all candidates were offered; validate and write.
#[derive(Debug)]
pub struct WriteStratum {
    /// How many of its batches may be out for validation at once.
    pub ahead: usize,
    /// What is written, where that was decided before.
    pub decided: Option<DecidedStratum>,
}
message!(WriteStratum => Result<StratumOutcome, RunError>);

/// How far a stratum has come.
#[derive(Debug)]
pub enum StratumOutcome {
    /// Its file is committed.
    Committed(Box<StratumResult>),
    /// Too many candidates were invalid: more must be offered, in another round.
    NeedsMore,
}

/// A stratum that is done.
#[derive(Debug, Clone)]
pub struct StratumResult {
    /// The stratum.
    pub stratum: StratumId,
    /// Conversations that belong to it.
    pub population: u64,
    /// Records written.
    pub records: u64,
    /// Records that failed, in rank order.
    pub invalid: Vec<InvalidRecord>,
    /// Valid records that repeat one that is written, in rank order.
    pub near_duplicates: Vec<NearDuplicate>,
    /// Warnings of the records written.
    pub warnings: BTreeMap<Code, u64>,
    /// What is not certain about the records written.
    pub quality: QualityTally,
    /// Secrets and personal data that were found in them.
    pub privacy: FoundCounts,
    /// Hashes of the groups of the records written, each once, if groups decide their split.
    pub groups: Vec<i64>,
    /// The fields of the records written.
    pub columns: Columns,
    /// How long they are, if that is measured.
    pub tokens: Option<Distribution>,
    /// Its file in the dataset; none if there are no records.
    pub file: Option<FileRecord>,
}

/// Sampler to validator: read these again, put them together, and hold them against the rules.
#[derive(Debug)]
pub struct Validate {
    /// Whose.
    pub stratum: StratumId,
    /// In rank order. The sampler keeps them until it has the answer.
    pub candidates: Arc<[Candidate]>,
    /// For their payloads; rides on in the answer. The sampler has it too: a batch that must be
    /// done again is paid for already.
    pub permit: Arc<BudgetPermit>,
}
message!(Validate => Result<Validated, RunError>);

/// Verdicts on a batch, in rank order, with the records' bytes.
#[derive(Debug)]
pub struct Validated {
    /// Each record behind a separator.
    pub text: Buffer,
    /// One for each candidate.
    pub entries: Vec<Entry>,
    /// For `text`; comes back when this is dropped.
    pub _permit: Arc<BudgetPermit>,
}

/// The verdict on one candidate.
#[derive(Debug)]
pub struct Entry {
    /// What the rules say.
    pub verdict: Verdict,
    /// Its number of turns.
    pub turns: u64,
    /// Where its record ends in the text; it begins where the one before ends.
    pub end: usize,
}

/// Sampler to uploader: keep a block aside.
#[derive(Debug)]
pub struct Stage(pub Block);
message!(Stage => Result<BlockReceipt, SinkError>);

/// To uploader: a file is whole.
#[derive(Debug)]
pub struct Commit(pub FileCommit);
message!(Commit => Result<(), SinkError>);

/// To supervisor: an actor has died.
#[derive(Debug)]
pub struct ActorDied(pub crate::pipeline::lifecycle::actor_monitor::ActorExit);
message!(ActorDied => ());

/// To supervisor: finish what is begun, begin nothing, and end the run, resumable.
#[derive(Debug)]
pub struct Drain;
message!(Drain => ());
