//! Every stratum has exactly its target of valid records, and they are the right ones.

mod card;
mod fitness;
mod groups;
mod loader;
mod loaders;
mod near_duplicate_recall;
mod near_duplicates;
mod real_data;
mod reference_holds;
mod reference_selftest;
mod synthetic_telemetry;
mod telemetry_reference;
mod telemetry_score;
mod ties;
