//! Nothing of its own: see `tests/same.rs`.
