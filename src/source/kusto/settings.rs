//! `[source.kusto]`, checked.

use std::time::Duration;

use super::host_rule::HostRule;
use super::query_file::QueryFile;
use crate::azure::Credential;

/// How much of a census comes to gleaner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CensusMode {
    /// [`CensusMode::Thresholds`] where there are more than a million conversations.
    Auto,
    /// Every conversation.
    Full,
    /// The conversations up to the ranks that are wanted; the cluster counts the others.
    Thresholds,
}

/// `[source.kusto]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kusto {
    /// `https://<cluster>.kusto.windows.net`, or a proxy with its path.
    pub cluster: String,
    /// The database.
    pub database: String,
    /// The query of the payloads.
    pub query: QueryFile,
    /// The query of the census.
    pub census: QueryFile,
    /// The way to log in; never used over plain http to this machine.
    pub credential: Credential,
    /// Hosts that may have a token beside Kusto's and Azure Monitor's own.
    pub trusted_hosts: Vec<HostRule>,
    /// 1: payloads at once; 2: a census first.
    pub passes: u32,
    /// How much of a census comes to gleaner. It does not change the dataset.
    pub census_mode: CensusMode,
    /// The timeout that the server gets.
    pub server_timeout: Duration,
    /// Time limit of a request on the client's side: at least 30 s above the server's.
    pub client_timeout: Duration,
}
