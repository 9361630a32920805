//! Commands for a program that holds gleaner: the arguments of the command line, from a list.

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use toml::Table;

use super::args::{Cli, Command};
use super::config_source::ConfigSource;
use super::exit::CliError;

/// The command that arguments mean, without the program's name. `config` is a configuration as a JSON object, in place
/// of `--config`. Secrets of the environment are known from here on, so that no text shows them.
///
/// # Errors
/// As the command line, for arguments that do not fit together.
pub fn command(arguments: Vec<OsString>, config: Option<&str>) -> Result<Command, CliError> {
    crate::secrets::register_environment();
    let program = OsString::from("gleaner");
    let parsed = Cli::try_parse_from([program].into_iter().chain(arguments));
    let mut command = parsed.map_err(|wrong| not_parsed(&wrong))?.command;
    let Some(config) = config else {
        return Ok(command);
    };
    match config_of(&mut command) {
        Some(place) => *place = Some(ConfigSource::Table(table(config)?)),
        None => {
            return Err(CliError::usage(
                "this command takes no configuration",
                "leave it out",
            ));
        }
    }
    Ok(command)
}

/// What `gleaner COMMAND --help` prints.
pub fn help(command: &str) -> String {
    let mut cli = Cli::command();
    cli.build();
    let found = cli.find_subcommand_mut(command);
    found.map_or_else(String::new, |command| command.render_help().to_string())
}

/// Where a command's configuration is kept.
fn config_of(command: &mut Command) -> Option<&mut Option<ConfigSource>> {
    match command {
        Command::Export(args) | Command::Plan(args) => Some(&mut args.config),
        Command::Verify(args) => Some(&mut args.config),
        Command::Convert(args) => Some(&mut args.reach.config),
        Command::Check(args) => Some(&mut args.reach.config),
        Command::Look(args) => Some(&mut args.reach.config),
        Command::Scan(args) => Some(&mut args.reach.config),
        Command::Explain(args) => Some(&mut args.reach.config),
        Command::Diff(args) => Some(&mut args.reach.config),
        Command::Unlock(args) => Some(&mut args.reach.config),
        _ => None,
    }
}

fn table(json: &str) -> Result<Table, CliError> {
    serde_json::from_str(json).map_err(|error| {
        CliError::usage(
            format!("config cannot be a configuration: {error}"),
            "give its keys as in a configuration file: texts, numbers, booleans, lists and tables",
        )
    })
}

/// What the parser says, without what is for a terminal.
fn not_parsed(wrong: &clap::Error) -> CliError {
    let text = wrong.render().to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut lines = lines.take_while(|line| !is_for_a_terminal(line));
    let message = lines.next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    CliError {
        details: lines.map(str::to_owned).collect(),
        ..CliError::usage(message, "correct the arguments")
    }
}

fn is_for_a_terminal(line: &str) -> bool {
    line.starts_with("Usage:") || line.starts_with("For more information")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_table_takes_the_place_of_the_file() {
        let json = r#"{"selection": {"seed": "s7", "targets": {"train": {"short": 3}}}}"#;
        let parsed = command(arguments(&["export"]), Some(json)).expect("a command");
        let Command::Export(args) = parsed else {
            panic!("{parsed:?}");
        };
        let merged = args.layers().and_then(|layers| Ok(layers.merged()?));
        let selection = merged.expect("layers").selection.expect("a selection");
        assert_eq!(selection.seed.map(|seed| seed.0).as_deref(), Some("s7"));
        let unknown = command(arguments(&["export"]), Some(r#"{"sed": 1}"#)).expect("a command");
        let Command::Export(args) = unknown else {
            panic!("{unknown:?}");
        };
        let refused = args.layers().expect_err("an unknown key");
        assert!(refused.message.starts_with("config: unknown key sed"));
    }

    #[test]
    fn the_help_of_a_command_has_its_options() {
        let shown = help("export");
        assert!(
            shown.contains("Usage: gleaner export") && shown.contains("--work-dir"),
            "{shown}"
        );
    }

    #[test]
    fn what_the_parser_refuses_is_an_error_of_usage_in_its_words() {
        let refused = command(arguments(&["convert", "a", "--for", "nobody"]), None);
        let refused = refused.expect_err("no preset");
        assert!(
            refused
                .message
                .starts_with("invalid value 'nobody' for '--for"),
            "{refused}"
        );
        assert!(!refused.text().contains("--help"), "{refused}");
        for config in ["[1]", r#"{"name": null}"#] {
            let refused = command(arguments(&["export"]), Some(config)).expect_err("no table");
            assert!(refused.message.starts_with("config cannot be"), "{refused}");
        }
    }
}
