//! How a run went: a table for a person, an object for a machine.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::table::TextTable;
use super::words::{count, size};
use crate::domain::conversion::tokens::Distribution;
use crate::domain::dataset::accounting::FilterReason;
use crate::domain::dataset::manifest::Manifest;
use crate::domain::decontamination::BenchmarkRecord;
use crate::domain::privacy::policy::PrivacyRecord;
use crate::domain::record::validation::CONTAMINATED;
use crate::pipeline::RunReport;
use crate::pipeline::ingest::rows_report::reason_name;

/// How long the records of strata are.
pub fn lengths(strata: &[(String, Distribution)]) -> String {
    let mut table = TextTable::new(&["tokens", "min", "median", "p95", "max", "total"]);
    for (name, lengths) in strata {
        let (min, median, p95) = (lengths.min, lengths.median, lengths.p95);
        let numbers = [min, median, p95, lengths.max, lengths.total];
        let cells = numbers.map(|n| n.to_string());
        table.row([name.clone()].into_iter().chain(cells));
    }
    table.for_stdout()
}

/// The closing table of an export, and what to do next. `default_targets`: none were set.
pub fn table(report: &RunReport, default_targets: bool) -> String {
    let manifest = &report.manifest;
    let mut out = strata(manifest).for_stdout();
    let tokens = manifest.strata.iter();
    let tokens = tokens.filter_map(|s| Some((format!("{}/{}", s.split, s.bucket), s.tokens?)));
    let tokens: Vec<_> = tokens.collect();
    if !tokens.is_empty() {
        out.push_str("\n\n");
        out.push_str(&lengths(&tokens));
    }
    // Writing to a string cannot fail.
    let _ = write!(out, "\n\n{}", counts(report));
    left_out(report, &mut out);
    for note in &report.notes {
        let _ = write!(out, "\nnote: {note}");
    }
    match default_targets {
        true => out.push_str(&less_than_default(manifest)),
        false => out.push_str(&shortfalls(manifest)),
    }
    let _ = write!(
        out,
        "\npublished {} in {:.1} s\ncontent_sha256 {}\nnext: gleaner verify {}",
        report.location,
        report.elapsed.as_secs_f64(),
        manifest.content_sha256,
        report.location
    );
    out
}

/// A line for each stratum; what repeats something has a column only if it was looked for.
fn strata(manifest: &Manifest) -> TextTable {
    let repeats = manifest.near_duplicates.is_some() || manifest.decontamination.is_some();
    let mut titles = vec!["stratum", "target", "written", "short by", "invalid"];
    titles.extend(repeats.then_some("repeats"));
    titles.extend(["population", "size"]);
    let mut table = TextTable::new(&titles);
    for s in &manifest.strata {
        let mut row = vec![
            format!("{}/{}", s.split, s.bucket),
            s.target.map_or_else(|| "all".to_owned(), |n| n.to_string()),
            s.records.to_string(),
            s.shortfall.to_string(),
            s.invalid.to_string(),
        ];
        row.extend(repeats.then(|| (s.near_duplicates + s.contaminated).to_string()));
        row.push(s.population.to_string());
        row.push(size(s.bytes));
        table.row(row);
    }
    table
}

/// What was left out and warned about, and what was done with secrets, a line each.
fn left_out(report: &RunReport, out: &mut String) {
    let manifest = &report.manifest;
    let codes = report.invalid_codes.iter();
    for (code, records) in codes.filter(|(code, _)| *code != CONTAMINATED) {
        let _ = write!(out, "\ninvalid: {} {code}", count(*records, "record"));
    }
    for (code, records) in manifest
        .warnings
        .iter()
        .filter(|(_, records)| **records > 0)
    {
        let _ = write!(out, "\nwarning: {} {code}", count(*records, "record"));
    }
    let benchmarks = manifest.decontamination.iter();
    for benchmark in benchmarks.flat_map(|all| &all.benchmarks) {
        let _ = write!(out, "\nbenchmark: {}", repeated(benchmark));
    }
    let _ = write!(out, "\n{}", privacy(manifest.privacy.as_ref()));
    out.push_str(&groups(manifest));
    out.push_str(&near_duplicates(manifest));
}

/// How many groups each split has, in a line; nothing if the id splits.
fn groups(manifest: &Manifest) -> String {
    let Some((field, groups)) = manifest.groups_by_split() else {
        return String::new();
    };
    let counts = groups.map(|(split, groups)| format!("{split} {}", count(groups, "group")));
    let counts = counts.collect::<Vec<_>>().join(", ");
    format!("\nsplit by {field}: {counts}, none in two splits")
}

/// How many records repeat a benchmark, and what of it none can repeat.
fn repeated(benchmark: &BenchmarkRecord) -> String {
    let left_out = count(benchmark.contaminated, "record");
    let texts = format!(
        "{} in {}",
        count(benchmark.texts, "text"),
        count(benchmark.rows, "row")
    );
    let short = match benchmark.short_texts {
        0 => String::new(),
        short => format!(", {short} of them too short to be looked for"),
    };
    format!(
        "{left_out} left out that repeat {} ({texts}{short})",
        benchmark.name
    )
}

/// What was done with secrets and personal data, in a line.
pub(super) fn privacy(privacy: Option<&PrivacyRecord>) -> String {
    let users = match privacy.map_or("keep", |privacy| &privacy.users) {
        "keep" => String::new(),
        users => format!("users {users}, "),
    };
    let Some(privacy) = privacy.filter(|privacy| privacy.is_scan()) else {
        return format!(
            "privacy: {users}not scanned for secrets and personal data (privacy.secrets, privacy.personal)"
        );
    };
    let found = privacy.found.iter();
    let found: Vec<_> = found
        .map(|(rule, count)| {
            format!(
                "{rule} {} in {}",
                count.times,
                self::count(count.records, "record")
            )
        })
        .collect();
    let found = if found.is_empty() {
        "nothing found in what was written".to_owned()
    } else {
        found.join(", ")
    };
    format!(
        "privacy: {users}secrets {}, personal {}: {found}",
        privacy.secrets, privacy.personal
    )
}

/// How many conversations were left out as near-duplicates, in a line; nothing if they were not looked for.
fn near_duplicates(manifest: &Manifest) -> String {
    let Some(found) = &manifest.near_duplicates else {
        return String::new();
    };
    let largest = found.clusters.keys().last().copied().unwrap_or(0);
    let repeated = match found.clusters.values().sum() {
        0 => String::new(),
        records => format!(
            ", of {}, at most {largest} of one",
            count(records, "record")
        ),
    };
    format!(
        "\nnear-duplicates ({}, {}): {} left out{repeated}",
        found.scope,
        found.threshold,
        count(found.left_out, "conversation")
    )
}

/// What only the default targets ask for, and is not there.
fn less_than_default(manifest: &Manifest) -> String {
    let short = manifest.strata.iter().filter(|s| s.shortfall > 0).count() as u64;
    if short == 0 {
        return String::new();
    }
    let written: u64 = manifest.strata.iter().map(|s| s.records).sum();
    format!(
        "\nno targets were set: the input has fewer valid records than the default targets want in {} of {}; {} written. \
         Ask for all that is valid with --targets all, or for so many with --set selection.targets.train.short=100",
        short,
        count(manifest.strata.len() as u64, "stratum"),
        count(written, "record"),
    )
}

fn shortfalls(manifest: &Manifest) -> String {
    let mut out = String::new();
    for s in manifest.strata.iter().filter(|s| s.shortfall > 0) {
        let _ = write!(
            out,
            "\nshortfall: {}/{} has {} of {} records, {} missing (population {}, {} invalid)",
            s.split,
            s.bucket,
            s.records,
            s.records + s.shortfall,
            s.shortfall,
            s.population,
            s.invalid
        );
    }
    out
}

fn counts(report: &RunReport) -> String {
    let p = &report.manifest.population;
    let strata = report.manifest.strata.iter().map(|s| s.population).sum();
    let mut out = format!(
        "{}\n{}",
        sum(
            "rows",
            p.rows_read,
            &[
                ("malformed", p.malformed),
                ("filtered", p.filtered),
                ("duplicate turns", p.duplicate_turns),
                ("duplicate conversations", p.duplicate_conversations),
                ("duplicate rows", p.duplicate_rows),
                ("shared", p.shared_rows),
                ("kept", p.kept_rows),
            ]
        ),
        sum(
            "conversations",
            Some(p.conversations),
            &[
                ("excluded", p.excluded),
                ("damaged by malformed rows", p.damaged),
                ("cut by mode", p.cut_by_mode),
                ("cut by window", p.cut_by_window),
                ("incomplete", p.incomplete),
                ("out of range", Some(p.out_of_range)),
                ("without target", Some(p.no_target)),
                ("in strata", Some(strata)),
            ]
        ),
    );
    for (reason, rows) in &p.filtered_by {
        // Writing to a string cannot fail.
        let _ = write!(out, "\nfiltered: {rows} {}", filtered_as(*reason));
    }
    for (reason, malformed) in &report.manifest.malformed {
        let first = malformed.examples.first();
        let first = first.map_or_else(String::new, |place| format!(", first at {place}"));
        // Writing to a string cannot fail.
        let _ = write!(
            out,
            "\nmalformed: {} {}{first}",
            malformed.count,
            reason_name(*reason)
        );
    }
    out
}

/// A sum with its parts, without those that are zero; `?` for what the source cannot know.
fn sum(name: &str, total: Option<u64>, parts: &[(&str, Option<u64>)]) -> String {
    let n = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let parts = parts.iter().filter(|(_, count)| *count != Some(0));
    let parts: Vec<String> = parts
        .map(|(part, count)| format!("{part} {}", n(*count)))
        .collect();
    match parts[..] {
        [] => format!("{name} {}", n(total)),
        _ => format!("{name} {} = {}", n(total), parts.join(" + ")),
    }
}

/// What rows that are left out have in common, after their number.
fn filtered_as(reason: FilterReason) -> &'static str {
    match reason {
        FilterReason::Mode => "of another mode than \"agent\"",
        FilterReason::Window => "outside the window",
        FilterReason::IgnoredIds => "with an id in source.ignore_ids",
        FilterReason::OtherEvents => "of other events",
        FilterReason::Excluded => "named by selection.exclude",
    }
}

/// The result of an export for a machine.
pub fn json(report: &RunReport) -> Value {
    let manifest = &report.manifest;
    let mut json = json!({
        "dataset": manifest.dataset,
        "location": report.location,
        "run_id": manifest.run_id,
        "fingerprint": manifest.fingerprint,
        "content_sha256": manifest.content_sha256,
        "population": manifest.population,
        "strata": manifest.strata,
        "invalid_codes": report.invalid_codes,
        "warnings": manifest.warnings,
        "privacy": manifest.privacy,
        "decontamination": manifest.decontamination,
        "near_duplicates": manifest.near_duplicates,
        "shortfall": manifest.shortfall(),
        "elapsed_seconds": report.elapsed.as_secs_f64(),
        "resumed": report.resumed,
        "already_published": report.already_published,
        "chunks_replayed": report.chunks_replayed,
        "notes": report.notes,
    });
    if let Some(groups) = &manifest.groups {
        json["split_by"] = json!(manifest.selection.split_by);
        json["groups"] = json!(groups);
    }
    json
}
