//! A source and a sink in memory.

mod sink;
mod source;

pub use sink::{MemoryDataset, MemorySink};
pub use source::MemorySource;
