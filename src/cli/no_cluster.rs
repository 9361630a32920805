//! Stands in for `cluster` in a build without Kusto: no settings name a cluster.

use std::sync::Arc;

use crate::config::settings::Settings;
use crate::pipeline::state::work_dir::RunRecord;
use crate::source::kusto::estimate::KustoPlan;
use crate::source::{ConversationSource, SourceError};

/// Never made.
pub enum Cluster {}

impl Cluster {
    /// None.
    ///
    /// # Errors
    /// None.
    pub fn of(_settings: &Settings, _record: &RunRecord) -> Result<Option<Self>, SourceError> {
        Ok(None)
    }

    /// Is never called: there is no cluster.
    pub fn source(&self) -> Arc<dyn ConversationSource> {
        match *self {}
    }

    /// Is never called: there is no cluster.
    ///
    /// # Errors
    /// None.
    pub async fn plan(&self) -> Result<KustoPlan, SourceError> {
        match *self {}
    }
}
