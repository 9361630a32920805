//! A sink in memory.

mod sink;

pub use sink::{MemoryDataset, MemorySink};
