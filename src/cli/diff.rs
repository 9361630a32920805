//! `gleaner diff`.

use clap::Args;

use super::exit::{CliError, Exit};
use super::host::Host;
use super::outcome::{Outcome, Shown};
use super::place::ReachArgs;
use super::table::TextTable;
use super::terminal::one_line;
use super::words::count;
use crate::check::manifest;
use crate::difference::{Change, DiffReport, Side, compare};

/// The arguments of `diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// A dataset's folder, or its address in a container
    pub a: String,
    /// The other dataset's
    pub b: String,
    /// List every record that differs, not the first hundred of each kind
    #[arg(long)]
    pub each: bool,
    /// How to reach them.
    #[command(flatten)]
    pub reach: ReachArgs,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Says what changed between two datasets.
///
/// # Errors
/// If one of them cannot be read.
pub fn run(args: &DiffArgs, host: &Host) -> Result<Outcome, CliError> {
    let open = |dataset: &str| args.reach.open(dataset, host);
    let (a, b) = (open(&args.a)?, open(&args.b)?);
    let manifests = (manifest(&*a)?, manifest(&*b)?);
    let side = |dataset, manifest| Side { dataset, manifest };
    let report = compare(
        &side(&*a, &manifests.0),
        &side(&*b, &manifests.1),
        args.each,
    )?;
    let exit = match report.same {
        true => Exit::Success,
        false => Exit::Failure,
    };
    let value = || serde_json::json!(report);
    let shown = Shown::either(args.json, value, || text(&report));
    Ok(Outcome::new(shown, exit))
}

const KINDS: [(Change, &str); 4] = [
    (Change::OnlyInA, "only in A"),
    (Change::OnlyInB, "only in B"),
    (Change::Changed, "other bytes"),
    (Change::Moved, "moved"),
];

fn text(report: &DiffReport) -> String {
    let (a, b) = (one_line(&report.a), one_line(&report.b));
    if report.same {
        return format!("A: {a}\nB: {b}\nthe same records, settings and counts");
    }
    let mut table = TextTable::new(&[
        "stratum",
        "in A",
        "in B",
        "only in A",
        "only in B",
        "other bytes",
        "moved away",
        "moved here",
    ]);
    for one in &report.strata {
        let [in_a, in_b] = one.records;
        let numbers = [
            in_a,
            in_b,
            one.only_in_a,
            one.only_in_b,
            one.changed,
            one.moved_away,
            one.moved_here,
        ];
        let name = format!("{}/{}", one.split, one.bucket);
        let numbers = numbers.iter().map(ToString::to_string);
        table.row([name].into_iter().chain(numbers));
    }
    let mut out = format!("A: {a}\nB: {b}\n\n{}\n", table.for_stdout());
    for (what, lines) in [
        ("settings", &report.configuration),
        ("counts", &report.counts),
    ] {
        if !lines.is_empty() {
            out += &format!("\n{what}, A -> B:\n");
            lines
                .iter()
                .for_each(|line| out += &format!("  {}\n", one_line(line)));
        }
    }
    records(report, &mut out);
    if report.not_listed > 0 {
        out += &format!(
            "  {} more, see --each\n",
            count(report.not_listed, "record")
        );
    }
    let counts = KINDS.map(|(change, what)| format!("{} {what}", report.count(change)));
    out + &format!("\nrecords: {}", counts.join(", "))
}

/// The records that differ, by kind.
fn records(report: &DiffReport, out: &mut String) {
    for (change, what) in KINDS {
        let records = report
            .records
            .iter()
            .filter(|record| record.change == change);
        for (place, record) in records.enumerate() {
            if place == 0 {
                out.push_str(&format!("\n{what}:\n"));
            }
            let places = [&record.in_a, &record.in_b].map(|place| place.as_deref());
            let place = match places {
                [Some(a), Some(b)] if a != b => format!("{a} -> {b}"),
                [a, b] => a.or(b).unwrap_or_default().to_owned(),
            };
            out.push_str(&format!(
                "  {} {place}\n",
                one_line(&record.conversation_id)
            ));
        }
    }
}
