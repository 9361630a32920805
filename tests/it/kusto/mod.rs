//! Rows from a cluster.

mod cut;
mod export;
mod recorded;
mod tools;
mod wire;
