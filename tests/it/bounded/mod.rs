//! Memory, queues and bytes in flight stay within their budgets.

mod backpressure;
mod memory;
mod overlap;
mod parquet;
