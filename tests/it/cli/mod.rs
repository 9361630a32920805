//! The program as a person meets it.

mod command_line;
mod live_page;
mod names_and_addresses;
mod nothing_to_publish;
mod output;
mod plan;
mod refusals;
mod signals;
