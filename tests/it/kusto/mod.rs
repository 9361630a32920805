//! Rows from a cluster.

mod export;
mod recorded;
mod tools;
mod wire;
