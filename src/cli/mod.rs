//! The command line program: parse, decide what it means, run, and say how it went.
//!
//! Standard output carries the result, standard error progress, logs and errors.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

pub mod args;
mod chaos;
pub mod exit;
mod export;
mod plan;
mod progress;
mod queries;
mod report;
mod serve;
mod setup;
mod status;
mod synth;
mod verify;

use args::{Cli, Command, QueriesCommand};
use exit::{CliError, Exit};

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logging();
    let result = match &cli.command {
        Command::Export(args) => export::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Status(args) => status::run(args),
        Command::Synth(args) => synth::run(args),
        Command::Queries {
            command: QueriesCommand::Check(args),
        } => queries::check(args),
        Command::Completions { shell } => {
            let mut command = Cli::command();
            clap_complete::generate(*shell, &mut command, "gleaner", &mut std::io::stdout());
            Ok(Exit::Success)
        }
    };
    match result {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("{error}");
            error.exit.into()
        }
    }
}

/// Logs go to standard error: warnings, or what `RUST_LOG` asks for.
fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(has_colors(&std::io::stderr()))
        .init();
}

/// Whether escape sequences mean something there.
fn has_colors(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_dumb() && !is_set("NO_COLOR")
}

/// Whether the terminal understands no escape sequences.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Prints a result. A reader that has gone away is no error of ours.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

/// Prints a result for machines.
fn print_json(value: &serde_json::Value) -> Result<(), CliError> {
    print(&value.to_string());
    Ok(())
}
