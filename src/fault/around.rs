//! The parts of a run, with its faults around them.

use std::sync::Arc;

use super::Faults;
use crate::sink::DatasetSink;
use crate::source::ConversationSource;

impl Faults {
    /// The source, which fails as planned.
    pub fn around_source(
        &self,
        source: Arc<dyn ConversationSource>,
    ) -> Arc<dyn ConversationSource> {
        #[cfg(feature = "fault-injection")]
        if self.are_planned() {
            return Arc::new(super::FaultySource::new(source, self.clone()));
        }
        source
    }

    /// The sink, which fails as planned.
    pub fn around_sink(&self, sink: Arc<dyn DatasetSink>) -> Arc<dyn DatasetSink> {
        #[cfg(feature = "fault-injection")]
        if self.are_planned() {
            return Arc::new(super::FaultySink::new(sink, self.clone()));
        }
        sink
    }
}
