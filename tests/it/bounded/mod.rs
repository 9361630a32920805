//! Memory, queues and bytes in flight stay within their budgets.

mod backpressure;
#[cfg(feature = "kusto-emulator")]
mod census;
mod memory;
mod overlap;
mod parquet;
