//! The jobs of a run, in their order: the survey's census, what it leaves undecided, wider censuses, rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Fault;
use super::exchange::{Counted, Exchange};
use super::frame::FrameSum;
use super::input::{EngineInput, EngineParts, Listed};
use super::order::{Brings, Exclude, Order, PieceOrder};
use super::store::{JobStore, SHARED};
use crate::domain::grouping::dedup::GroupTally;
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::{Chunk, Piece};
use crate::domain::scheduling::pass::Pass;
use crate::domain::selection::exclude::{ExcludeList, FoundUsers};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::rank::Rank;
use crate::domain::selection::stratum::{Selection, StratumId};
use crate::source::{Action, Ledger, SourceError};
use crate::spool::SpoolError;

mod kept;

/// The name of the survey's census.
const CENSUS: &str = "census";

/// The jobs of a run.
#[derive(Debug)]
pub struct Jobs {
    /// What they read, and how.
    pub parts: EngineParts,
    /// What decides where conversations belong.
    pub selection: Arc<Selection>,
    /// Held while a job runs.
    running: Mutex<()>,
    /// Whether the job that runs is to end.
    stop: AtomicBool,
}

/// What the run leaves out.
#[derive(Debug, Default)]
pub struct LeftOut {
    exclude: Exclude,
    /// The rows that were looked through for its users, if it names some.
    counted: Option<Counted>,
}

impl LeftOut {
    /// The conversations of its users.
    pub fn users(&self) -> &FoundUsers {
        &self.exclude.found
    }
}

/// What the first census has found.
#[derive(Debug, Clone)]
pub struct Surveyed {
    /// Whole conversations of each stratum with a target.
    pub population: BTreeMap<StratumId, u64>,
    /// What became of all rows.
    pub ledger: Arc<Ledger>,
    listed: Arc<Listed>,
    left_out: Arc<LeftOut>,
    counted: Counted,
    /// Up to which ranks all chunks have the conversations.
    cut: BTreeMap<StratumId, Rank>,
}

impl Jobs {
    /// Does the work of a job once the one before has ended.
    pub fn alone<T>(&self, work: impl FnOnce(&Self) -> T) -> T {
        // It guards nothing but the time.
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop.store(false, Ordering::SeqCst);
        work(self)
    }

    /// Ends the job that runs.
    pub fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.parts.engine.stop();
    }

    /// None yet.
    ///
    /// # Errors
    /// If the rules cannot be used.
    pub fn new(parts: EngineParts) -> Result<Self, SourceError> {
        Ok(Self {
            selection: Arc::new(parts.rules.selection()?),
            parts,
            running: Mutex::new(()),
            stop: AtomicBool::new(false),
        })
    }

    /// Finds the conversations of the users that a list names. They are remembered nowhere: nothing of them may lie on
    /// the disk.
    ///
    /// # Errors
    /// If the engine fails.
    pub fn leave_out(
        &self,
        listed: &Listed,
        list: ExcludeList,
    ) -> Result<Arc<LeftOut>, SourceError> {
        let mut left_out = LeftOut {
            exclude: Exclude {
                list,
                found: FoundUsers::default(),
            },
            counted: None,
        };
        if left_out.exclude.list.names_users() {
            let exchange = Exchange {
                name: "users".to_owned(),
                engine: &*self.parts.engine,
                telemetry: &self.parts.telemetry,
                order: self.order(listed, &left_out, Brings::Users, Vec::new()),
                pieces: &listed.pieces,
                done: &BTreeMap::new(),
            };
            let pieces =
                exchange.run(|_, _| self.unless_stopped().map(|()| FrameSum::default()))?;
            left_out.counted = Some(pieces.counted);
            left_out.exclude.found = pieces.users;
        }
        Ok(Arc::new(left_out))
    }

    /// Takes the first census.
    ///
    /// # Errors
    /// If the engine or the disk fails.
    pub fn survey(
        &self,
        listed: &Arc<Listed>,
        left_out: &Arc<LeftOut>,
    ) -> Result<Surveyed, SourceError> {
        let store = JobStore::open(&self.parts.folder, CENSUS)?;
        let candidates = self.parts.candidates.clone();
        let order = self.order(listed, left_out, Brings::Census(candidates), Vec::new());
        let counted = self.census(&store, &listed.pieces, order)?;
        if let Some(seen) = &left_out.counted {
            self.same_rows(seen, &counted)?;
        }
        let (mut population, mut cut) = (BTreeMap::new(), BTreeMap::new());
        let (mut grouped, mut too_large) = (GroupTally::default(), Vec::new());
        for chunk in 0..listed.chunks {
            let census = store.census(chunk)?;
            for (stratum, conversations) in census.counts.strata(&self.selection) {
                *population.entry(stratum).or_default() += conversations;
            }
            for (&stratum, &rank) in &census.cut {
                let least = cut.entry(stratum).or_insert(rank);
                *least = rank.min(*least);
            }
            too_large.extend(census.too_large());
            grouped.add(GroupTally {
                too_large: Vec::new(),
                ..census.grouped
            });
        }
        let ledger = ledger(listed, &counted, grouped, &too_large);
        Ok(Surveyed {
            population,
            ledger: Arc::new(ledger),
            listed: Arc::clone(listed),
            left_out: Arc::clone(left_out),
            counted,
            cut,
        })
    }

    fn order(
        &self,
        listed: &Listed,
        left_out: &LeftOut,
        brings: Brings,
        wanted: Vec<i64>,
    ) -> Order {
        Order {
            job: 0,
            rules: self.parts.rules.clone(),
            exclude: left_out.exclude.clone(),
            of_table: matches!(self.parts.input, EngineInput::Table),
            chunks: listed.chunks,
            done: Vec::new(),
            brings,
            wanted,
        }
    }

    /// Takes a census, unless it was taken; what it leaves undecided is decided.
    fn census(
        &self,
        store: &JobStore,
        pieces: &[PieceOrder],
        order: Order,
    ) -> Result<Counted, SourceError> {
        let counted = self.once(store, pieces, order.clone())?;
        let mut undecided = Vec::new();
        for chunk in store.chunks()? {
            undecided.extend(store.census(chunk)?.undecided);
        }
        if undecided.is_empty() {
            return Ok(counted);
        }
        undecided.sort_unstable();
        let decisions = store.below("decisions")?;
        let order = Order {
            brings: Brings::Decisions,
            wanted: undecided,
            ..order
        };
        let again = self.once(&decisions, pieces, order)?;
        self.same(&counted, &again)?;
        for chunk in decisions.chunks()? {
            let mut census = store.census(chunk)?;
            // Unless an earlier start has got so far.
            if !census.undecided.is_empty() {
                census.decided(&self.selection, decisions.census(chunk)?);
                store.keep(chunk, &census.to_bytes())?;
            }
        }
        Ok(counted)
    }

    /// Pieces must count the same rows in every job.
    fn same(&self, first: &Counted, again: &Counted) -> Result<(), SourceError> {
        match self.parts.input {
            EngineInput::Files(_) => {
                let mut pieces = first.pieces.iter();
                match pieces.find(|(piece, tally)| again.pieces.get(piece) != Some(tally)) {
                    None => Ok(()),
                    Some((piece, _)) => Err(Fault::Changed.of_piece(*piece).into()),
                }
            }
            // Its parts may be others.
            EngineInput::Table => self.same_rows(first, again),
        }
    }

    /// All pieces together must have the same rows in every job.
    fn same_rows(&self, first: &Counted, again: &Counted) -> Result<(), SourceError> {
        let all = |counted: &Counted| (counted.rows(), counted.content);
        match self.parts.input {
            _ if all(first) == all(again) => Ok(()),
            EngineInput::Files(_) => Err(Fault::Changed.of_piece(0).into()),
            EngineInput::Table => Err(SourceError::TableChanged),
        }
    }

    /// What a pass fetches of all chunks, from this job or from an earlier one.
    ///
    /// # Errors
    /// If the engine or the disk fails.
    pub fn bring(
        &self,
        surveyed: &Surveyed,
        pass: Pass,
        ranks: &RankRanges,
    ) -> Result<JobStore, SourceError> {
        match pass {
            Pass::CensusUpTo(number) => self.reaching(surveyed, number, ranks),
            Pass::Round(number) => self.round(surveyed, number, ranks),
            Pass::All | Pass::Census => Err(SourceError::Custom {
                reason: "an engine does not bring all rows to the driver".to_owned(),
                action: Action::Fail,
            }),
        }
    }

    /// The census that has the conversations of some ranks, which is taken if need be.
    fn reaching(
        &self,
        surveyed: &Surveyed,
        number: u32,
        ranks: &RankRanges,
    ) -> Result<JobStore, SourceError> {
        let reaches = ranks.iter().all(|(stratum, range)| {
            let cut = surveyed.cut.get(&stratum);
            cut.is_none_or(|&cut| range.up_to.is_some_and(|up_to| up_to <= cut))
        });
        if reaches {
            return JobStore::open(&self.parts.folder, CENSUS);
        }
        let store = JobStore::open(&self.parts.folder, &format!("{CENSUS}{number}"))?;
        let up_to = ranks.iter().map(|(stratum, range)| (stratum, range.up_to));
        let order = surveyed.order(self, Brings::CensusUpTo(up_to.collect()), Vec::new());
        let counted = self.census(&store, &surveyed.listed.pieces, order)?;
        self.same(&surveyed.counted, &counted)?;
        Ok(store)
    }

    /// The census that was taken last: it reaches furthest.
    fn latest(&self) -> Result<JobStore, SourceError> {
        let mut number = u32::MAX;
        while let Some(before) = self.last_census(number)? {
            let store = JobStore::open(&self.parts.folder, &format!("{CENSUS}{before}"))?;
            if store.finished()?.is_some() {
                return Ok(store);
            }
            number = before;
        }
        JobStore::open(&self.parts.folder, CENSUS)
    }

    /// The largest number of a census that is below another.
    fn last_census(&self, below: u32) -> Result<Option<u32>, SourceError> {
        let number = |entry: std::io::Result<std::fs::DirEntry>| {
            let name = entry.ok()?.file_name();
            name.to_str()?.strip_prefix(CENSUS)?.parse().ok()
        };
        let entries = std::fs::read_dir(&self.parts.folder)
            .map_err(SpoolError::io("read", &self.parts.folder))?;
        Ok(entries
            .filter_map(number)
            .filter(|number| *number < below)
            .max())
    }

    /// The records that a round wants; of Copilot Chat telemetry the rows, and below them the shared rows that they name.
    fn round(
        &self,
        surveyed: &Surveyed,
        number: u32,
        ranks: &RankRanges,
    ) -> Result<JobStore, SourceError> {
        let store = JobStore::open(&self.parts.folder, &format!("round{number}"))?;
        let wanted = self.wanted(surveyed, ranks)?;
        let order = surveyed.order(self, Brings::Records, wanted);
        let counted = self.once(&store, &surveyed.listed.pieces, order)?;
        self.same(&surveyed.counted, &counted)?;
        let mut named = BTreeSet::new();
        for chunk in store.chunks()? {
            named.extend(store.records_head(chunk)?.named);
        }
        if !named.is_empty() {
            let shared = store.below(SHARED)?;
            let wanted = named.into_iter().collect();
            let order = surveyed.order(self, Brings::SharedRows, wanted);
            let counted = self.once(&shared, &surveyed.listed.pieces, order)?;
            self.same(&surveyed.counted, &counted)?;
        }
        Ok(store)
    }

    /// The hashes of the conversations that a round wants, in order.
    fn wanted(&self, surveyed: &Surveyed, ranks: &RankRanges) -> Result<Vec<i64>, SourceError> {
        let store = self.latest()?;
        let mut wanted = Vec::new();
        for chunk in 0..surveyed.listed.chunks {
            let census = store.census(chunk)?;
            let found = census.wanted(&self.selection, ranks);
            wanted.extend(found.map(|row| kusto_hash::hash(row.id.as_bytes())));
        }
        wanted.sort_unstable();
        Ok(wanted)
    }
}

impl Surveyed {
    /// Of the same rows.
    fn order(&self, jobs: &Jobs, brings: Brings, wanted: Vec<i64>) -> Order {
        jobs.order(&self.listed, &self.left_out, brings, wanted)
    }
}

/// The rows of all pieces, with those of conversations that are too large among the malformed.
fn ledger(
    listed: &Listed,
    counted: &Counted,
    grouped: GroupTally,
    too_large: &[(u32, u64)],
) -> Ledger {
    let mut tallies = counted.pieces.clone();
    for (piece, line) in too_large {
        if let Some(tally) = tallies.get_mut(piece) {
            tally.too_large(*line);
        }
    }
    let place = |number: u32| match listed.pieces.get(number as usize) {
        Some(order) => order.piece,
        None => Piece {
            file: number,
            start: 0,
            end: 0,
        },
    };
    let named = tallies
        .into_iter()
        .map(|(number, tally)| (Chunk::Piece(place(number)), tally));
    Ledger {
        tallies: named.collect(),
        grouped,
    }
}
