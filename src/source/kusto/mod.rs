//! Azure Data Explorer: chunks by the hash of the id, two passes, and a chunk checksum for each.
//!
//! The census and the single pass are held against a **chunk checksum**, a count and a checksum that
//! the cluster computes in one small aggregation; the payloads of the second pass are held against
//! the census by the pipeline. A missing, duplicate or unexpected row invalidates the attempt, even
//! after HTTP 200.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::{
    Action, ConversationSource, FetchOrder, Pass, RowEncoding, RowSink, SourceError, Survey,
};
use crate::domain::copilot_chat::rules::CopilotChatRules;
use crate::domain::record::timestamp::UtcInstant;
use crate::domain::sampling::rank_ranges::{ChunkChecksum, RankRanges};
use crate::domain::scheduling::chunk::{Chunk, HashChunk};
use crate::domain::scheduling::retry::Backoff;
use crate::domain::selection::cut::Cut;
use crate::domain::selection::stratum::Selection;
use crate::source::kusto::settings::{CensusMode, Kusto};

mod address;
#[doc(hidden)]
pub mod auth;
mod cells;
mod census;
#[doc(hidden)]
pub mod client;
#[doc(hidden)]
pub mod counts;
mod decode;
pub mod error;
pub mod estimate;
mod frame;
#[doc(hidden)]
pub mod frames;
#[doc(hidden)]
pub mod host_rule;
mod passing;
#[doc(hidden)]
pub mod plan;
#[doc(hidden)]
pub mod query;
pub mod query_file;
#[doc(hidden)]
pub mod rows;
pub mod settings;
mod table;
mod telemetry;
#[cfg(test)]
mod tests;
mod trust;

use client::KustoClient;
use counts::Numbers;
use error::{Attempt, Failure, KustoError, Purpose};
use passing::Passing;
use query::{Asked, CERTIFICATE, QueryKind, Reading, Template, Values};
use query_file::QueryFile;
use rows::{FetchRequest, RowWriter};
use telemetry::{TelemetryFetch, TelemetryReading};

/// Queries that an Azure Monitor proxy runs at once for a user, less one for a person.
const PROXY_QUERIES: usize = 4;

/// Conversations up to which `census_mode = "auto"` takes a census of all.
const CENSUS_OF_ALL: u64 = 1_000_000;

/// Tries of the first login.
const LOGINS: u32 = 4;

/// Between them.
const LOGIN_RETRY: Backoff = Backoff {
    base: Duration::from_millis(500),
    cap: Duration::from_secs(2),
};

/// A cluster as a source.
#[derive(Debug)]
pub struct KustoSource {
    settings: Kusto,
    chunks: NonZeroU32,
    start: Option<UtcInstant>,
    end: Option<UtcInstant>,
    look_end: Option<UtcInstant>,
    cut: Cut,
    ignored: Vec<String>,
    selection: Arc<Selection>,
    max_record: u64,
    client: KustoClient,
    payload: Template,
    census: Template,
    /// If it is Copilot Chat telemetry.
    telemetry: Option<TelemetryReading>,
}

/// The settings of the queries, besides the cluster's address.
#[derive(Debug, Clone)]
pub struct Population {
    /// Hash chunks.
    pub chunks: NonZeroU32,
    /// First instant inside the window.
    pub start: Option<UtcInstant>,
    /// First instant outside.
    pub end: Option<UtcInstant>,
    /// The end of the rows that exist for the run.
    pub look_end: Option<UtcInstant>,
    /// The treatment of conversations that the window or the mode cuts.
    pub cut: Cut,
    /// Ids that stand for "no id".
    pub ignored: Vec<String>,
    /// Strata, targets and seed.
    pub selection: Arc<Selection>,
    /// `limits.max_record`, in bytes.
    pub max_record: u64,
    /// How Copilot Chat telemetry becomes conversations.
    pub copilot_chat: Arc<CopilotChatRules>,
}

/// Whether both queries read telemetry; they must be of one schema and not be exchanged.
fn are_of_telemetry(
    settings: &Kusto,
    payload: QueryKind,
    census: QueryKind,
) -> Result<bool, SourceError> {
    let wrong = |file: &QueryFile, source| {
        Err(SourceError::Query {
            path: file.path.clone(),
            source,
        })
    };
    match (payload, census) {
        (QueryKind::Telemetry, QueryKind::TelemetryCensus) => Ok(true),
        (QueryKind::Conversations, QueryKind::Conversations) => Ok(false),
        (_, QueryKind::Telemetry) | (QueryKind::TelemetryCensus, _) => {
            wrong(&settings.query, query::QueryError::Exchanged)
        }
        _ => wrong(&settings.census, query::QueryError::OtherSchema),
    }
}

impl KustoSource {
    /// A source that asks the cluster of the settings.
    ///
    /// # Errors
    /// If the address or a query file cannot be used.
    pub fn new(settings: Kusto, population: Population) -> Result<Self, SourceError> {
        let template = |file: &QueryFile| {
            let fitting = Template::new(&file.text).and_then(|template| {
                template.handles(population.cut)?;
                Ok(template)
            });
            fitting.map_err(|error| SourceError::Query {
                path: file.path.clone(),
                source: error,
            })
        };
        let client = KustoClient::new(&settings).map_err(|reason| SourceError::Cluster {
            cluster: address::without_secrets(&settings.cluster),
            reason,
        })?;
        let (payload, census) = (template(&settings.query)?, template(&settings.census)?);
        if population.selection.split_by().is_some() {
            census.tells_groups().map_err(|error| SourceError::Query {
                path: settings.census.path.clone(),
                source: error,
            })?;
        }
        if settings.passes == 2 && !payload.selects() {
            return Err(SourceError::Query {
                path: settings.query.path.clone(),
                source: query::QueryError::Unused {
                    name: "_selected",
                    why: "two passes ask for some ranks only; use it, or set source.kusto.passes = 1",
                },
            });
        }
        let telemetry = match are_of_telemetry(&settings, payload.kind, census.kind)? {
            true => Some(TelemetryReading::new(population.copilot_chat)),
            false => None,
        };
        if client.is_proxied() {
            tracing::warn!(
                "the cluster is behind an Azure Monitor proxy: queries end after 10 minutes even if source.kusto.server_timeout is longer, at most 5 run at once, and an answer has at most 64 MB; gleaner runs {PROXY_QUERIES} and splits chunks that are too large"
            );
        }
        Ok(Self {
            settings,
            chunks: population.chunks,
            start: population.start,
            end: population.end,
            look_end: population.look_end,
            cut: population.cut,
            ignored: population.ignored,
            selection: population.selection,
            max_record: population.max_record,
            client,
            payload,
            census,
            telemetry,
        })
    }

    fn values<'a>(&'a self, chunk: HashChunk, wanted: Option<&'a RankRanges>) -> Values<'a> {
        let reading = Reading::Rows;
        Values {
            start: self.start,
            end: self.end,
            look_end: self.look_end,
            cut: self.cut,
            chunk,
            ignored: &self.ignored,
            selection: &self.selection,
            wanted,
            reading,
            asked: Asked::default(),
        }
    }

    /// Logs in before anything else is done. What may pass is tried again, but not for long: an
    /// address that is wrong must be reported soon.
    async fn log_in(&self) -> Result<(), SourceError> {
        let mut failures = 0;
        while let Err(failure) = self.client.log_in().await {
            failures += 1;
            if failure.action() == Action::Fail || failures == LOGINS {
                return Err(SourceError::Kusto(Box::new(KustoError {
                    purpose: Purpose {
                        query: "first",
                        attempt: None,
                    },
                    request_id: String::new(),
                    activity_id: None,
                    source: failure,
                })));
            }
            tracing::warn!(%failure, "cannot log in yet, it is tried again");
            tokio::time::sleep(LOGIN_RETRY.delay(failures, 0.0)).await;
        }
        Ok(())
    }

    /// Count and checksum of a chunk, computed by the cluster.
    async fn chunk_checksum(
        &self,
        chunk: HashChunk,
        attempt: Attempt,
    ) -> Result<ChunkChecksum, SourceError> {
        let purpose = Purpose {
            query: "chunk_checksum",
            attempt: Some(attempt),
        };
        let csl = self.census.with(&self.values(chunk, None), CERTIFICATE);
        let numbers = Numbers::new(&["conversations", "checksum"]);
        let answered = self
            .client
            .query(purpose, &csl, self.max_record, numbers)
            .await?;
        match answered.receiver.rows.as_slice() {
            [row] => Ok(ChunkChecksum {
                conversations: row[0],
                checksum: row[1],
            }),
            rows => {
                let what = format!("it has {} rows, not one", rows.len());
                Err(answered.fails(frames::damaged(what)))
            }
        }
    }

    async fn rows(
        &self,
        asked: FetchRequest,
        purpose: Purpose,
        expected: Option<ChunkChecksum>,
        sink: &mut dyn RowSink,
    ) -> Result<ChunkChecksum, SourceError> {
        let mut values = self.values(asked.chunk, asked.wanted.as_deref());
        let csl = match (asked.census, values.wanted) {
            (false, _) => self.payload.with(&values, ""),
            (true, None) => self.census.with(&values, ""),
            (true, Some(_)) => {
                values.reading = Reading::Census;
                let by_group = self.selection.split_by().is_some();
                self.census.with(&values, &query::selected(by_group))
            }
        };
        let encoding = match asked.census {
            true => RowEncoding::Census,
            false => RowEncoding::Assembled,
        };
        let check = |writer: &RowWriter| {
            let delivered = writer.finish()?;
            match expected {
                Some(expected) if expected != delivered => {
                    Err(Failure::not_as_certified(delivered, expected))
                }
                _ => Ok(delivered),
            }
        };
        let passing = Passing {
            client: &self.client,
            purpose,
            csl: &csl,
            max_record: self.max_record,
            encoding,
        };
        let writer = RowWriter::new(asked, Arc::clone(&self.selection));
        let (_, delivered) = passing.pass(writer, sink, check).await?;
        Ok(delivered)
    }

    async fn fetch_chunk(
        &self,
        order: FetchOrder,
        sink: &mut dyn RowSink,
    ) -> Result<Option<ChunkChecksum>, SourceError> {
        let chunk = order.hash_chunk()?;
        let attempt = Self::attempt(&order);
        if let Some(reading) = &self.telemetry {
            let fetch = TelemetryFetch::new(self, reading, chunk, attempt);
            return Ok(Some(fetch.run(order, sink).await?));
        }
        let query = match order.pass {
            Pass::Census | Pass::CensusUpTo(_) => "census",
            Pass::All | Pass::Round(_) => "payload",
        };
        let counted = match (order.pass, &order.ranks) {
            (Pass::CensusUpTo(_), Some(ranks)) => {
                Some(self.counted(chunk, Some(ranks), Some(attempt)).await?)
            }
            _ => None,
        };
        let expected = match (order.pass, &counted) {
            (_, Some(counted)) => Some(counted.delivered()),
            (Pass::Round(_), None) => None,
            (_, None) => Some(self.chunk_checksum(chunk, attempt).await?),
        };
        let asked = FetchRequest {
            chunk,
            wanted: order.ranks,
            census: order.pass.is_census(),
        };
        let purpose = Purpose {
            query,
            attempt: Some(attempt),
        };
        let delivered = self.rows(asked, purpose, expected, sink).await?;
        tracing::info!(chunk = %order.chunk, query, conversations = delivered.conversations, checksum = delivered.checksum, "fetched");
        let Some(counted) = counted else {
            return Ok(Some(delivered));
        };
        sink.write(counted.undelivered()).await?;
        Ok(Some(counted.all()))
    }
}

impl ConversationSource for KustoSource {
    fn describe(&self) -> Value {
        json!({
            "kind": "kusto",
            "cluster": self.settings.cluster,
            "database": self.settings.database,
            "query": self.settings.query.path,
            "query_sha256": self.settings.query.sha256(),
            "census_sha256": self.settings.census.sha256(),
            "passes": self.settings.passes,
        })
    }

    fn survey(&self) -> BoxFuture<'_, Result<Survey, SourceError>> {
        async move {
            self.log_in().await?;
            let sample = match self.settings.census_mode {
                CensusMode::Full => None,
                _ if self.telemetry.is_some() || self.settings.passes != 2 => None,
                CensusMode::Auto => self.sampled(CENSUS_OF_ALL).await?,
                CensusMode::Thresholds => self.sampled(0).await?,
            };
            Ok(Survey {
                spooled_bytes: 0,
                chunks: HashChunk::cover(self.chunks.get())
                    .map(Chunk::Hash)
                    .collect(),
                self_contained: true,
                census: self.settings.passes == 2,
                sample,
                only_complete: true,
                max_concurrency: self.client.is_proxied().then_some(PROXY_QUERIES),
                operation_timeout: Some(2 * self.client.client_timeout() + Duration::from_secs(60)),
                bytes: None,
                input_fingerprints: Vec::new(),
            })
        }
        .boxed()
    }

    fn fetch<'a>(
        &'a self,
        order: FetchOrder,
        rows: &'a mut dyn RowSink,
    ) -> BoxFuture<'a, Result<Option<ChunkChecksum>, SourceError>> {
        self.fetch_chunk(order, rows).boxed()
    }
}
