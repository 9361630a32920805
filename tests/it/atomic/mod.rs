//! A dataset is there if and only if its manifest is.

mod access;
mod claims;
mod crash;
mod meddled;
