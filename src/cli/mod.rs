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
pub mod config_source;
mod convert;
mod diff;
pub mod embedded;
pub mod exit;
mod explain;
pub mod export;
mod export_for;
pub mod host;
mod interruptible;
mod key;
mod look;
pub mod outcome;
mod place;
mod plan;
mod plan_groups;
mod plan_machine;
mod plan_telemetry;
mod plan_text;
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
use host::Host;
use outcome::{Outcome, Shown};

use crate::domain::json::canonical::sorted;

/// Runs the program.
pub fn main() -> ExitCode {
    crate::secrets::register_environment();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => return not_parsed(&wrong),
    };
    start_logging();
    let host = Host::default();
    let result = signals::watch_for(&cli.command, &host)
        .and_then(|()| run(&cli.command, &host))
        .and_then(show);
    match result {
        Ok(exit) => exit.into(),
        Err(error) => failed(&error),
    }
}

/// Runs a command. It prints no result; progress and logs go to standard error.
///
/// # Errors
/// Says what happened and what to do.
pub fn run(command: &Command, host: &Host) -> Result<Outcome, CliError> {
    match command {
        Command::Export(args) => export::run(args, host),
        Command::Plan(args) => plan::run(args, host),
        Command::Verify(args) => verify::run(args, host),
        Command::Convert(args) => convert::run(args, host),
        Command::Check(args) => check::run(args, host),
        Command::Look(args) => look::run(args, host),
        Command::Scan(args) => scan::run(args, host),
        Command::Diff(args) => diff::run(args, host),
        Command::Explain(args) => explain::run(args, host),
        Command::Status(args) => status::run(args),
        Command::Key {
            command: args::KeyCommand::New(args),
        } => key::new(args),
        Command::Synth(args) => synth::run(args),
        Command::Unlock(args) => unlock::run(args, host),
        #[cfg(feature = "kusto")]
        Command::Queries {
            command: args::QueriesCommand::Check(args),
        } => queries::check(args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "gleaner", &mut script);
            let script = String::from_utf8_lossy(&script).trim_end().to_owned();
            Ok(Outcome::new(Shown::Text(script), Exit::Success))
        }
        Command::Man { dir } => write_manual(dir),
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
fn write_manual(dir: &Path) -> Result<Outcome, CliError> {
    match clap_mangen::generate_to(Cli::command(), dir) {
        Ok(()) => Ok(Outcome::new(Shown::Nothing, Exit::Success)),
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

/// Prints a result to standard output.
///
/// # Errors
/// If it cannot be written, and why the command has failed all the same. A reader that has gone away on its own is no
/// error.
fn show(outcome: Outcome) -> Result<Exit, CliError> {
    let printed = match &outcome.shown {
        Shown::Json(value) => write_out(&json_text(value)),
        Shown::Text(text) => write_out(&terminal::clean(text)),
        Shown::Styled(text) => write_out(&crate::secrets::redact(text)),
        Shown::Nothing => Ok(()),
    };
    printed.map_err(|error| CliError {
        hint: outcome.unseen.unwrap_or_else(|| error.hint.clone()),
        ..error
    })?;
    outcome.end
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

/// A result as a line of JSON, without secrets.
pub fn json_text(value: &serde_json::Value) -> String {
    terminal::clean_json(&sorted(value.clone()).to_string())
}
