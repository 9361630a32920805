//! The command line, as it is typed. What it means is decided in `config` and the commands.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use toml::{Table, Value};

use super::check::CheckArgs;
use super::config_source::ConfigSource;
use super::convert::ConvertArgs;
use super::diff::DiffArgs;
use super::exit::CliError;
use super::explain::ExplainArgs;
use super::look::LookArgs;
use super::place::ReachArgs;
use super::scan::ScanArgs;
use super::synth::SynthArgs;
use crate::config::{Layers, insert, insert_sink};
use crate::domain::conversion::Preset;

/// Exact, reproducible, stratified SFT datasets from agent-conversation telemetry.
#[derive(Debug, Parser)]
#[command(name = "gleaner", version, disable_help_subcommand = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Sample, validate and publish a dataset; resumes a run that was stopped
    ///
    /// Example: gleaner export --input 'logs/*.jsonl.zst' --out datasets --seed s1
    Export(ExportArgs),
    /// Show what an export would do and cost; nothing is written
    ///
    /// Example: gleaner plan --config config/demo.toml
    Plan(ExportArgs),
    /// Check a published dataset again, without its source
    ///
    /// Example: gleaner verify out/my_dataset
    Verify(VerifyArgs),
    /// Convert a published dataset to the format of a trainer
    ///
    /// Example: gleaner convert out/my_dataset --for trl
    Convert(ConvertArgs),
    /// Say what a loader would drop, truncate or change of a published dataset
    ///
    /// Exit code 3 if anything would be lost.
    ///
    /// Example: gleaner check out/my_dataset --for trl --tokenizer model/tokenizer.json --max-length 8192
    Check(CheckArgs),
    /// Show conversations of a published dataset, to be read by a person
    ///
    /// Without an id, the first ones by rank of every stratum. Files are not verified: `gleaner verify` does that.
    ///
    /// Example: gleaner look out/my_dataset --sample 20 --html sample.html
    Look(LookArgs),
    /// Report secrets and personal data in files or in a published dataset, without their text
    ///
    /// Exit code 3 if anything was found. It shows what an export would redact (docs/trust.md).
    ///
    /// Example: gleaner scan out/my_dataset
    Scan(ScanArgs),
    /// Say where in a published dataset a conversation is, or why it is not
    ///
    /// With --input or --config the source is read again, as an export reads it. Exit code 0 if that could be
    /// answered, whatever the answer.
    ///
    /// Example: gleaner explain 0f8fad5b-d9cb-469f-a165-70867728950e out/my_dataset --input logs
    Explain(ExplainArgs),
    /// Say what changed between two published datasets: settings, counts and records, without their text
    ///
    /// Exit code 1 if anything differs. Files with the same digest in both are not read; `gleaner verify` does that.
    ///
    /// Example: gleaner diff out/before out/after
    Diff(DiffArgs),
    /// Show what a stopped or running run has done and what is left
    ///
    /// Example: gleaner status .gleaner/0123456789abcdef
    Status(StatusArgs),
    /// Make keys of placeholders
    ///
    /// Example: gleaner key new privacy.key
    Key {
        /// What to do
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Write synthetic telemetry; the same arguments give the same files
    ///
    /// Example: gleaner synth --conversations 1000 --out synthetic
    Synth(SynthArgs),
    /// Remove the claim of a run that no longer exists from a dataset
    ///
    /// Shows which run holds the claim; with --yes, removes it and what that run wrote without
    /// publishing it. gleaner itself never decides that a run is gone.
    ///
    /// Example: gleaner unlock out/my_dataset --run 0123456789abcdef --yes
    Unlock(UnlockArgs),
    /// Check query files
    ///
    /// Example: gleaner queries check queries/mine.kql
    #[cfg(feature = "kusto")]
    Queries {
        /// What to check
        #[command(subcommand)]
        command: QueriesCommand,
    },
    /// Print a completion script for a shell
    ///
    /// Example: gleaner completions bash > ~/.local/share/bash-completion/completions/gleaner
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write a manual page for every command
    #[command(hide = true)]
    Man {
        /// A folder that is there
        dir: PathBuf,
    },
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Write a new key to a file that is not there yet, for its owner to read
    ///
    /// Name it as privacy.key_file, or put its text into GLEANER_PSEUDONYM_KEY. The same key makes the same
    /// placeholders in every dataset; with it one can find out whether a known secret is in one.
    New(KeyArgs),
}

/// The arguments of `key new`.
#[derive(Debug, Clone, Args)]
pub struct KeyArgs {
    /// The file
    pub file: PathBuf,
}

/// The arguments of `export` and `plan`. Of a flag given twice the last one counts.
#[derive(Debug, Clone, Default, Args)]
#[command(args_override_self = true)]
pub struct ExportArgs {
    /// Configuration file (TOML); everything in it is optional
    #[arg(long, value_name = "FILE")]
    pub config: Option<ConfigSource>,
    /// Read files: a file, a folder or a glob (.jsonl, .ndjson, .json, each also with
    /// .gz or .zst, and .parquet); repeatable
    #[arg(long, value_name = "PATH")]
    pub input: Vec<PathBuf>,
    /// What the rows are: auto (by their fields), conversations, turns or copilot_chat
    /// [default: auto]
    #[arg(long, value_name = "NAME")]
    pub schema: Option<String>,
    /// Refuse input that has files of other kinds, instead of naming and skipping them
    #[arg(long)]
    pub strict_input: bool,
    /// Where to create the dataset's folder: a folder, az://ACCOUNT/CONTAINER/PREFIX,
    /// `https://ACCOUNT.blob.core.windows.net/CONTAINER/PREFIX` or
    /// abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PREFIX [default: out]
    #[arg(long, value_name = "DIR|ADDRESS")]
    pub out: Option<String>,
    /// Keep only this split's targets; repeatable
    #[arg(long, value_name = "NAME")]
    pub split: Vec<String>,
    /// Small targets (100 records) and, on Kusto, the test query, where nothing else is set
    #[arg(long)]
    pub test: bool,
    /// With --test on Kusto: without trajectories
    #[arg(long, requires = "test")]
    pub lite: bool,
    /// Take every valid record, whatever targets are set
    #[arg(long, value_name = "all")]
    pub targets: Option<String>,
    /// Convert the dataset for this trainer as well, as `gleaner convert --for` does; repeatable
    #[arg(long = "for", value_name = "PRESET")]
    pub presets: Vec<Preset>,
    /// Leave out the conversations whose ids, or users as userName:NAME, are the lines of this file
    #[arg(long, value_name = "FILE")]
    pub exclude: Option<PathBuf>,
    /// Seed of the sample: any text [default: gleaner]
    #[arg(long, value_name = "TEXT")]
    pub seed: Option<String>,
    /// First instant inside the window (RFC 3339)
    #[arg(long, value_name = "T", conflicts_with = "window_last")]
    pub window_start: Option<String>,
    /// First instant outside the window (RFC 3339)
    #[arg(long, value_name = "T", conflicts_with = "window_last")]
    pub window_end: Option<String>,
    /// A window that ends now and is this long, such as 15d
    #[arg(long, value_name = "DURATION")]
    pub window_last: Option<String>,
    /// Number of chunks: hash chunks, or pieces of files [default: 40]
    #[arg(long, value_name = "N")]
    pub chunks: Option<String>,
    /// Format of the files [default: jsonl]
    #[arg(long, value_name = "json|jsonl")]
    pub format: Option<String>,
    /// Chunks fetched at once [default: 4]
    #[arg(long, value_name = "N")]
    pub fetchers: Option<String>,
    /// Batches validated at once [default: 2]
    #[arg(long, value_name = "N")]
    pub validators: Option<String>,
    /// Files written at once [default: 4]
    #[arg(long, value_name = "N")]
    pub uploaders: Option<String>,
    /// Folder for what a stopped run needs to resume [default: .gleaner/FINGERPRINT]
    #[arg(long, value_name = "DIR")]
    pub work_dir: Option<PathBuf>,
    /// Start over instead of resuming the run in the work directory
    #[arg(long)]
    pub fresh: bool,
    /// Name of the dataset; may contain {total}, {window} and {timestamp}
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Publish although this many hash chunks are missing [default: 0]
    #[arg(long, value_name = "N")]
    pub allow_missing_chunks: Option<String>,
    /// Fail if more rows than this are malformed, in percent of all rows [default: 1]
    #[arg(long, value_name = "PERCENT")]
    pub max_malformed: Option<String>,
    /// Inject faults as the section `[chaos]` of this file says; its other keys are defaults for
    /// --config (needs a build with the feature fault-injection)
    #[arg(long, value_name = "FILE")]
    pub chaos: Option<PathBuf>,
    /// With --chaos: also against a real cluster or storage account
    #[arg(long, requires = "chaos")]
    pub allow_real_services: bool,
    /// The old name of --allow-real-services, for one release
    #[arg(long, requires = "chaos", hide = true)]
    pub i_know: bool,
    /// Show the run on a live page, and its metrics at /metrics; such as 127.0.0.1:8080 (port 0: any
    /// that is free)
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub serve: Option<SocketAddr>,
    /// Write the run's report beside the dataset too, as DATASET.report.html (the work directory
    /// always has it)
    #[arg(long)]
    pub report: bool,
    /// How progress is shown on standard error
    #[arg(long, value_enum, default_value_t = ProgressMode::Auto)]
    pub progress: ProgressMode,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Set any key of the configuration, such as selection.targets.train.short=100; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ProgressMode {
    /// Bars on a terminal, else plain lines
    #[default]
    Auto,
    /// Progress bars
    Bars,
    /// Lines of text
    Plain,
    /// JSON objects, one a line
    Json,
    /// Nothing
    None,
}

/// The arguments of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// Compare lengths and recorded digests only
    #[arg(long)]
    pub quick: bool,
    /// The tokenizer.json by which the dataset's records are not too long
    #[arg(long, value_name = "FILE", conflicts_with = "quick")]
    pub tokenizer: Option<PathBuf>,
    /// Check against the selection of this configuration instead of the dataset's own
    #[arg(long, value_name = "FILE")]
    pub config: Option<ConfigSource>,
    /// Set a key of that configuration; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// A work directory [default: all below .gleaner]
    pub work_dir: Option<PathBuf>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The arguments of `unlock`.
#[derive(Debug, Clone, Args)]
pub struct UnlockArgs {
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// The id of that run, as the refused export printed it
    #[arg(long, value_name = "ID")]
    pub run: String,
    /// Remove the claim; without it nothing is removed
    #[arg(long)]
    pub yes: bool,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The subcommands of `queries`.
#[cfg(feature = "kusto")]
#[derive(Debug, Clone, Subcommand)]
pub enum QueriesCommand {
    /// Check that query files take the values of a run and return the columns it needs
    ///
    /// With Node and Microsoft's language service (npm install @kusto/language-service-next) the
    /// KQL is checked too; GLEANER_KUSTO_NODE names the folder that has its node_modules.
    Check(QueriesCheckArgs),
}

/// The arguments of `queries check`.
#[cfg(feature = "kusto")]
#[derive(Debug, Clone, Args)]
pub struct QueriesCheckArgs {
    /// Query files [default: the shipped ones]
    pub files: Vec<PathBuf>,
    /// Tables and columns of the database, for the language service: {"database": NAME, "tables":
    /// {TABLE: "(column:type, ...)"}} [default: those of the shipped queries]
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// The configuration of the run: its selection.cut decides whether a query must see what the
    /// window cuts
    #[arg(long, value_name = "FILE")]
    pub config: Option<ConfigSource>,
    /// Set a key of that configuration; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The targets of `--test`: about 100 records.
const TEST_TARGETS: [(&str, [(&str, i64); 3]); 3] = [
    ("train", [("short", 34), ("medium", 33), ("long", 17)]),
    ("val", [("short", 3), ("medium", 3), ("long", 2)]),
    ("test", [("short", 3), ("medium", 3), ("long", 2)]),
];

impl ExportArgs {
    /// All layers of the configuration: file, environment, `--set`, flags.
    ///
    /// # Errors
    /// Names the layer and the key that is wrong.
    pub fn layers(&self) -> Result<Layers, CliError> {
        let mut layers = Layers::default();
        if let Some(path) = &self.chaos {
            layers = layers.file(path)?;
        }
        if let Some(config) = &self.config {
            layers = config.onto(layers)?;
        }
        if self.test {
            layers = layers.preset(test_preset(self.lite));
        }
        let layers = layers.env(std::env::vars())?.set(&self.set)?;
        Ok(layers.table("the command line", self.table()?)?)
    }

    /// The flags as a layer.
    fn table(&self) -> Result<Table, CliError> {
        let mut table = Table::new();
        let mut put = |key: &str, value: Option<&String>| {
            if let Some(value) = value {
                insert(&mut table, key, Value::String(value.clone()));
            }
        };
        put("selection.seed", self.seed.as_ref());
        put("selection.targets", self.targets.as_ref());
        put("window.start", self.window_start.as_ref());
        put("window.end", self.window_end.as_ref());
        put("source.schema", self.schema.as_ref());
        put("window.last", self.window_last.as_ref());
        put("chunks.count", self.chunks.as_ref());
        put("chunks.allow_missing", self.allow_missing_chunks.as_ref());
        put("sink.format", self.format.as_ref());
        put("workers.fetchers", self.fetchers.as_ref());
        put("workers.validators", self.validators.as_ref());
        put("workers.uploaders", self.uploaders.as_ref());
        put("name", self.name.as_ref());
        put("limits.max_malformed_percent", self.max_malformed.as_ref());
        let exclude = self.exclude.as_ref().map(|path| path.display().to_string());
        put("selection.exclude", exclude.as_ref());
        if !self.input.is_empty() {
            let paths = self.input.iter().map(|path| path.display().to_string());
            let paths = paths.map(Value::String).collect();
            insert(&mut table, "source.kind", Value::String("files".to_owned()));
            insert(&mut table, "source.files.paths", Value::Array(paths));
        }
        if !self.presets.is_empty() {
            let names = self.presets.iter().map(|preset| preset.name().to_owned());
            let names = names.map(Value::String).collect();
            insert(&mut table, "output.for", Value::Array(names));
        }
        if self.strict_input {
            insert(&mut table, "source.strict_input", Value::Boolean(true));
        }
        if let Some(out) = &self.out {
            insert_sink(&mut table, out)
                .map_err(|wrong| CliError::usage(format!("--out {wrong}"), wrong.hint))?;
        }
        Ok(table)
    }
}

/// What `--test` sets, unless something else was set.
fn test_preset(lite: bool) -> Table {
    let mut table = Table::new();
    let query = match lite {
        true => "queries/sft_test_100_lite.kql",
        false => "queries/sft_test_100_with_trajectory.kql",
    };
    let query = Value::String(query.to_owned());
    insert(&mut table, "source.kusto.query", query);
    for (split, targets) in TEST_TARGETS {
        for (bucket, target) in targets {
            let key = format!("selection.targets.{split}.{bucket}");
            insert(&mut table, &key, Value::Integer(target));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, settings::Source};

    /// The query of `export --test` with more settings.
    fn query(file: Option<&str>, set: &[&str], lite: bool) -> String {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("c.toml");
        std::fs::write(&path, file.unwrap_or_default()).expect("writable");
        let cluster = "source.kusto.cluster=https://c.kusto.windows.net".to_owned();
        let args = ExportArgs {
            config: Some(ConfigSource::File(path)),
            test: true,
            lite,
            set: (set.iter().map(|pair| (*pair).to_owned()))
                .chain([cluster])
                .collect(),
            ..ExportArgs::default()
        };
        let layers = args.layers().expect("layers");
        match config::validate(&layers, &[]).expect("settings").source {
            Source::Kusto(kusto) => kusto.query.path.display().to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_own_query_beats_test_and_a_listed_default_does_not() {
        let full = "queries/sft_candidates_hash_chunked.kql";
        let (test, lite) = (
            "queries/sft_test_100_with_trajectory.kql",
            "queries/sft_test_100_lite.kql",
        );
        let own = format!("[source.kusto]\nquery = '{lite}'\n");
        let listed = format!("[source.kusto]\nquery = '{full}'\n");
        let set = format!("source.kusto.query={full}");
        assert_eq!(query(None, &[], false), test);
        assert_eq!(query(None, &[], true), lite);
        assert_eq!(query(Some(&own), &[], false), lite);
        assert_eq!(query(Some(&listed), &[], false), test);
        assert_eq!(query(Some(&listed), &[&set], false), full);
    }
}
