//! The command line program: parse, decide what it means, run, and say how it went.
//!
//! Standard output carries the result, standard error progress, logs and errors.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

pub mod args;
mod chaos;
mod check;
#[cfg(feature = "kusto")]
mod cluster;
#[cfg(not(feature = "kusto"))]
#[path = "no_cluster.rs"]
mod cluster;
mod convert;
mod diff;
pub mod exit;
mod explain;
mod export;
mod export_for;
mod key;
mod look;
mod place;
mod plan;
mod plan_groups;
mod plan_telemetry;
mod plan_trust;
mod progress;
#[cfg(feature = "kusto")]
mod queries;
mod report;
mod scan;
#[cfg(feature = "serve")]
mod serve;
#[cfg(not(feature = "serve"))]
#[path = "no_serve.rs"]
mod serve;
mod setup;
mod signals;
mod status;
mod synth;
mod table;
mod terminal;
mod unlock;
mod verify;
mod words;

use args::{Cli, Command};
use exit::{CliError, Exit};

use crate::domain::json::canonical::sorted;

/// Runs the program.
pub fn main() -> ExitCode {
    crate::secrets::register_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => return not_parsed(&wrong),
    };
    start_logging();
    let result = match &cli.command {
        Command::Export(args) => export::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Convert(args) => convert::run(args),
        Command::Check(args) => check::run(args),
        Command::Look(args) => look::run(args),
        Command::Scan(args) => scan::run(args),
        Command::Diff(args) => diff::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Status(args) => status::run(args),
        Command::Key {
            command: args::KeyCommand::New(args),
        } => key::new(args),
        Command::Synth(args) => synth::run(args),
        Command::Unlock(args) => unlock::run(args),
        #[cfg(feature = "kusto")]
        Command::Queries {
            command: args::QueriesCommand::Check(args),
        } => queries::check(args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "gleaner", &mut script);
            print(String::from_utf8_lossy(&script).trim_end()).map(|()| Exit::Success)
        }
        Command::Man { dir } => write_manual(dir),
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => failed(&error),
    }
}

fn failed(error: &CliError) -> ExitCode {
    terminal::error_line(&error.to_string());
    error.exit.into()
}

/// Prints the help or the version that was asked for, or what is wrong with the arguments.
fn not_parsed(wrong: &clap::Error) -> ExitCode {
    let printed = wrong.print().and_then(|()| std::io::stdout().flush());
    if wrong.use_stderr() {
        return Exit::Usage.into();
    }
    match written(printed) {
        Ok(()) => Exit::Success.into(),
        Err(error) => failed(&error),
    }
}

/// Writes `gleaner.1` and a page for every command.
fn write_manual(dir: &Path) -> Result<Exit, CliError> {
    match clap_mangen::generate_to(Cli::command(), dir) {
        Ok(()) => Ok(Exit::Success),
        Err(error) => Err(CliError::usage(
            format!("cannot write manual pages to {}: {error}", dir.display()),
            "name a folder that is there and can be written",
        )),
    }
}

/// Logs go to standard error, without colours: warnings, or what `RUST_LOG` asks for.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(terminal::Log)
        .with_target(false)
        .init();
}

/// Whether the terminal understands no escape sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Prints a result.
///
/// # Errors
/// If it cannot be written. A reader that has gone away on its own is no error.
fn print(text: &str) -> Result<(), CliError> {
    write_out(&terminal::clean(text))
}

/// Prints a result as JSON, if that is asked for, or as text.
fn print_either(
    json: bool,
    value: impl FnOnce() -> serde_json::Value,
    text: impl FnOnce() -> String,
) -> Result<(), CliError> {
    match json {
        true => print_json(&value()),
        false => print(&text()),
    }
}

fn write_out(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    written(writeln!(out, "{text}").and_then(|()| out.flush()))
}

/// What came of writing to standard output.
fn written(result: std::io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(CliError::failure(
            format!("cannot write the result to standard output: {error}"),
            "the command itself has done its work; send standard output somewhere else and run it again to see the result",
        )),
        _ => Ok(()),
    }
}

/// Prints a result for machines.
fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    let value = sorted(value.clone());
    write_out(&terminal::clean_json(&value.to_string()))
}
