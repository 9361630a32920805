//! `gleaner check`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use clap::Args;

use super::convert;
use super::convert::MappingArgs;
use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start};
use super::outcome::{Outcome, Shown};
use super::place::ReachArgs;
use super::table::TextTable;
use super::words::count;
use crate::check::{Check, CheckReport, TokensReport, check, manifest};
use crate::domain::conversion::Preset;
use crate::domain::conversion::check::Kind;
use crate::runtime::CpuPool;
use crate::tokenizer;

/// Reasons of the template that are named at most.
const MOST_REASONS: usize = 10;

/// Columns that are named at most.
const MOST_COLUMNS: usize = 20;

/// The arguments of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// The trainer: trl, openai, llamafactory, verl, mistral or atif
    #[arg(long = "for", value_name = "PRESET", default_value = "trl")]
    pub preset: Preset,
    /// Count tokens with this tokenizer.json
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Count the tokens of what a chat template makes of the messages, not of the texts alone: a file, the
    /// name of a template that lies beside the tokenizer, or chatml
    #[arg(long, value_name = "NAME|FILE")]
    pub template: Option<String>,
    /// The most tokens of a record that will be trained on
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_length: Option<u64>,
    /// Report each record
    #[arg(long)]
    pub each: bool,
    /// How records are converted.
    #[command(flatten)]
    pub mapping: MappingArgs,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Says what a loader would do to a dataset.
///
/// # Errors
/// If it cannot be read, or the tokenizer or the template cannot be used.
pub fn run(args: &CheckArgs, host: &Host) -> Result<Outcome, CliError> {
    let dataset = args.reach.open(&args.dataset, host)?;
    let tokenizer = args.tokenizer.as_deref().map(tokenizer::load).transpose()?;
    if args.max_length.is_some() && tokenizer.is_none() {
        return Err(CliError::usage(
            "--max-length is a number of tokens, and nothing counts them",
            "name the model's tokenizer.json with --tokenizer",
        ));
    }
    let has_messages = !matches!(args.preset, Preset::LlamaFactory | Preset::Atif);
    if args.template.is_some() && !has_messages {
        return Err(CliError::usage(
            format!("--template renders messages, and {} has none", args.preset),
            "leave it out: the loader has its own",
        ));
    }
    let manifest = manifest(&*dataset)?;
    let template = args.template.as_ref().map(|name| {
        let file = args.tokenizer.as_deref();
        let template = tokenizer::load_template(name, file, &manifest.created_at)?;
        Ok::<_, CliError>((name.clone(), template))
    });
    let wanted = Check {
        preset: args.preset,
        options: convert::options(&args.mapping)?,
        tokenizer,
        template: template.transpose()?,
        max_length: args.max_length,
        each_record: args.each,
    };
    let pool = CpuPool::of_machine().map_err(cannot_start)?;
    let runtime = host.runtime()?;
    let (dataset, manifest) = (Arc::new(Mutex::new(dataset)), Arc::new(manifest));
    let report = runtime.block_on(check(&dataset, &manifest, &Arc::new(wanted), &pool))??;
    let exit = match report.is_loss() {
        true => Exit::Shortfall,
        false => Exit::Success,
    };
    let value = || serde_json::json!(report);
    let shown = Shown::either(args.json, value, || text(&report));
    Ok(Outcome::new(shown, exit))
}

fn text(report: &CheckReport) -> String {
    let kinds = [
        Kind::Dropped,
        Kind::Truncated,
        Kind::DoubleEncoded,
        Kind::Changed,
        Kind::Noted,
    ];
    let names = kinds.map(Kind::name);
    let mut table = TextTable::new(&[&["stratum", "records"][..], &names].concat());
    for stratum in &report.strata {
        let name = format!("{}/{}", stratum.split, stratum.bucket);
        let worst = names.map(|kind| stratum.worst.get(kind).copied().unwrap_or(0));
        let numbers = [stratum.records].into_iter().chain(worst);
        table.row([name].into_iter().chain(numbers.map(|n| n.to_string())));
    }
    let mut out = table.for_stdout();
    out.push('\n');
    for rule in &report.rules {
        let records = count(rule.records, "record");
        let times = count(rule.times, "time");
        out.push_str(&format!(
            "\n{}: {} ({records}, {times})",
            rule.kind, rule.rule
        ));
    }
    for why in report.template_fails.iter().take(MOST_REASONS) {
        let records = count(why.records, "record");
        out.push_str(&format!("\ntemplate: {} ({records})", why.reason));
    }
    if let Some(tokens) = &report.tokens {
        out.push_str(&lengths(report, tokens));
    }
    mixed(report, &mut out);
    for record in report.each_record.iter().flatten() {
        let rules: Vec<_> = record.rules.keys().copied().collect();
        let worst = record.worst.unwrap_or("unchanged");
        let tokens = record.tokens.map(|n| format!(", {n} tokens"));
        out.push_str(&format!(
            "\n{} {}: {worst}{} {}",
            record.split,
            super::terminal::one_line(&record.conversation_id),
            tokens.unwrap_or_default(),
            rules.join(" ")
        ));
    }
    out.push_str(&format!(
        "\n\n{}: of {} {} would drop {} and truncate {}",
        report.location,
        count(report.records, "record"),
        report.preset,
        report.dropped,
        report.truncated
    ));
    out
}

/// Columns that mix kinds of values.
fn mixed(report: &CheckReport, out: &mut String) {
    for column in report.mixed_columns.iter().take(MOST_COLUMNS) {
        let kinds = column.kinds.join(", ");
        out.push_str(&format!("\nmixed column {}: {kinds}", column.column));
    }
    let unnamed = report.mixed_columns.len().saturating_sub(MOST_COLUMNS);
    if unnamed > 0 {
        out.push_str(&format!("\n... and {unnamed} more, see --json"));
    }
}

fn lengths(report: &CheckReport, all: &TokensReport) -> String {
    let header = [
        "tokens",
        "min",
        "median",
        "p95",
        "max",
        "total",
        "lost",
        "of the model",
    ];
    let mut table = TextTable::new(&header);
    let mut row = |name: String, tokens: &TokensReport| {
        let lengths = &tokens.lengths;
        let (min, median, p95) = (lengths.min, lengths.median, lengths.p95);
        let numbers = [min, median, p95, lengths.max, lengths.total, tokens.lost];
        let numbers = numbers.into_iter().chain([tokens.model_lost]);
        table.row([name].into_iter().chain(numbers.map(|n| n.to_string())));
    };
    for stratum in &report.strata {
        if let Some(tokens) = &stratum.tokens {
            row(format!("{}/{}", stratum.split, stratum.bucket), tokens);
        }
    }
    row("all".to_owned(), all);
    let mut out = format!("\n\n{}\n", table.for_stdout());
    if all.unmarked > 0 {
        let records = count(all.unmarked, "record");
        out.push_str(&format!(
            "\nof {records} the tokens of the model cannot be told apart: mark them in the template with generation"
        ));
    }
    out
}
