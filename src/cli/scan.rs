//! `gleaner scan`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clap::{Args, ValueEnum};

use super::exit::{CliError, Exit};
use super::host::{Host, cannot_start};
use super::outcome::{Outcome, Shown};
use super::place::ReachArgs;
use super::table::TextTable;
use super::terminal::one_line;
use super::words::count;
use crate::check::manifest;
use crate::config;
use crate::runtime::CpuPool;
use crate::scan::{RuleReport, Scan, ScanError, ScanReport};
use crate::sink::MANIFEST;
use crate::sink::address::Address;

/// Bytes of a row of a file that are looked at: no less than `limits.max_record` allows by default.
const MAX_RECORD: u64 = 64 << 20;

/// Places of a rule that are named.
const MOST_PLACES: usize = 5;

/// The arguments of `scan`.
#[derive(Debug, Clone, Args)]
pub struct ScanArgs {
    /// A dataset's folder or its address in a container, or a file, a folder or a glob as for --input
    #[arg(value_name = "FILE|DATASET")]
    pub target: String,
    /// Look for one kind alone
    #[arg(long, value_name = "KIND")]
    pub only: Option<Only>,
    /// A file of your own rules for secrets, in gitleaks' format
    #[arg(long, value_name = "FILE")]
    pub rules: Option<PathBuf>,
    /// List every finding, not the first hundred
    #[arg(long)]
    pub each: bool,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Only {
    /// Keys, tokens and passwords.
    Secrets,
    /// What names a person or a place.
    Personal,
}

/// Says which secrets and personal data there are, without their text.
///
/// # Errors
/// If the input cannot be read.
pub fn run(args: &ScanArgs, host: &Host) -> Result<Outcome, CliError> {
    let (secrets, personal) = (
        args.only != Some(Only::Personal),
        args.only != Some(Only::Secrets),
    );
    let own = config::own_rules("--rules", args.rules.as_deref().unwrap_or(Path::new("")))?;
    let scan = Arc::new(Scan::new(secrets, personal, &own, args.each));
    let pool = CpuPool::of_machine().map_err(cannot_start)?;
    let runtime = host.runtime()?;
    let report = if is_dataset(&args.target) {
        let dataset = args.reach.open(&args.target, host)?;
        let manifest = manifest(&*dataset)?;
        let dataset = Arc::new(Mutex::new(dataset));
        runtime.block_on(scan.dataset(&dataset, &manifest, &pool))
    } else {
        let paths = vec![PathBuf::from(&args.target)];
        runtime.block_on(scan.files(paths, MAX_RECORD, &pool))
    };
    let report = report??;
    let exit = match report.is_clean() {
        true => Exit::Success,
        false => Exit::Shortfall,
    };
    let value = || serde_json::json!(report);
    let shown = Shown::either(args.json, value, || text(&report, args.each));
    Ok(Outcome::new(shown, exit))
}

/// Whether a target is a dataset in a container, or a folder with a manifest.
fn is_dataset(target: &str) -> bool {
    match Address::parse(target) {
        Ok(Address::Folder(folder)) => folder.join(MANIFEST).is_file(),
        // What is wrong with an address is said when it is opened.
        _ => target.contains("://"),
    }
}

impl From<ScanError> for CliError {
    fn from(error: ScanError) -> Self {
        match error {
            ScanError::Dataset(error) => error.into(),
            ScanError::Input(error) => crate::pipeline::RunError::Source(error).into(),
        }
    }
}

fn text(report: &ScanReport, lists_all: bool) -> String {
    let mut table = TextTable::new(&["rule", "kind", "records", "times"]);
    for rule in &report.rules {
        let numbers = [rule.records.to_string(), rule.times.to_string()];
        table.row(
            [rule.rule.to_owned(), rule.class.to_owned()]
                .into_iter()
                .chain(numbers),
        );
    }
    let mut out = String::new();
    if !report.rules.is_empty() {
        out = table.for_stdout() + "\n\n";
    }
    report.rules.iter().for_each(|rule| places(rule, &mut out));
    if lists_all {
        for found in &report.findings {
            let id = found
                .conversation_id
                .as_deref()
                .map(|id| format!(" {}", one_line(id)));
            let (file, line, id) = (one_line(&found.file), found.line, id.unwrap_or_default());
            out.push_str(&format!(
                "{file}:{line}{id}: {} in {}, {}\n",
                found.rule,
                shown(&found.place),
                count(found.times, "time")
            ));
        }
    }
    for (rows, what) in [
        (report.not_json, "no JSON, looked at as text"),
        (report.not_read, "too large, not looked at"),
    ] {
        if rows > 0 {
            out.push_str(&format!("{}: {what}\n", count(rows, "row")));
        }
    }
    out.push_str(&format!(
        "{}: {} of {} with {} and {} (rules version {})",
        one_line(&report.location),
        report.with_findings,
        count(report.records, "record"),
        count(report.secrets, "secret"),
        count(report.personal, "personal item"),
        report.rules_version
    ));
    out
}

/// Where a rule found something, the most frequent places first.
fn places(rule: &RuleReport, out: &mut String) {
    let mut places: Vec<_> = rule.places.iter().collect();
    places.sort_by_key(|place| std::cmp::Reverse(place.times));
    for place in places.iter().take(MOST_PLACES) {
        out.push_str(&format!(
            "{} in {}: {}\n",
            rule.rule,
            shown(&place.place),
            place.times
        ));
    }
    let unnamed = places.len().saturating_sub(MOST_PLACES);
    if unnamed > 0 {
        out.push_str(&format!(
            "{}: {} more, see --json\n",
            rule.rule,
            count(unnamed as u64, "place")
        ));
    }
}

fn shown(place: &str) -> &str {
    if place.is_empty() { "the text" } else { place }
}
