//! The cluster that a plan is made of, if there is one.

use std::sync::Arc;

use crate::config::settings::{Settings, Source};
use crate::pipeline::host::setup;
use crate::pipeline::state::work_dir::RunRecord;
use crate::source::kusto::KustoSource;
use crate::source::kusto::estimate::KustoPlan;
use crate::source::{ConversationSource, SourceError};

/// A cluster that can be asked for counts.
pub struct Cluster(Arc<KustoSource>);

impl Cluster {
    /// The cluster that the settings name, with the window of a run.
    ///
    /// # Errors
    /// If its address or a query file cannot be used.
    pub fn of(settings: &Settings, record: &RunRecord) -> Result<Option<Self>, SourceError> {
        let Source::Kusto(kusto) = &settings.source else {
            return Ok(None);
        };
        let source = setup::kusto_source(kusto, settings, record)?;
        Ok(Some(Self(Arc::new(source))))
    }

    /// As a source.
    pub fn source(&self) -> Arc<dyn ConversationSource> {
        Arc::clone(&self.0) as Arc<dyn ConversationSource>
    }

    /// Counts what there is.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn plan(&self) -> Result<KustoPlan, SourceError> {
        self.0.plan().await
    }
}
