//! How a run went: a table for a person, an object for a machine.

use std::fmt::Write as _;

use bytesize::ByteSize;
use comfy_table::{CellAlignment, Table, presets};
use serde_json::{Value, json};

use crate::pipeline::RunReport;
use crate::pipeline::rows_report::reason_name;

/// A table with a header, numbers to the right.
pub fn new_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_HORIZONTAL_ONLY);
    table.set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The closing table of an export, and what to do next.
pub fn table(report: &RunReport) -> String {
    let manifest = &report.manifest;
    let mut table = new_table(&[
        "stratum",
        "target",
        "population",
        "valid",
        "invalid",
        "written",
        "short by",
        "size",
    ]);
    for s in &manifest.strata {
        table.add_row([
            format!("{}/{}", s.split, s.bucket),
            s.target.map_or_else(|| "all".to_owned(), |n| n.to_string()),
            s.population.to_string(),
            s.records.to_string(),
            s.invalid.to_string(),
            s.records.to_string(),
            s.shortfall.to_string(),
            ByteSize::b(s.bytes).display().si().to_string(),
        ]);
    }
    let mut out = table.to_string();
    // Writing to a string cannot fail.
    let _ = write!(out, "\n\n{}", counts(report));
    for note in &report.notes {
        let _ = write!(out, "\nnote: {note}");
    }
    for s in manifest.strata.iter().filter(|s| s.shortfall > 0) {
        let _ = write!(
            out,
            "\nshortfall: {}/{} has {} of {} records, {} are missing (population {}, {} invalid)",
            s.split,
            s.bucket,
            s.records,
            s.records + s.shortfall,
            s.shortfall,
            s.population,
            s.invalid
        );
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

fn counts(report: &RunReport) -> String {
    let p = &report.manifest.population;
    let n = |count: Option<u64>| count.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let mut out = format!(
        "rows {} = malformed {} + filtered {} + duplicate turns {} + duplicate conversations {} + kept {}\n\
         conversations {} = incomplete {} + out of range {} + without target {} + in strata {}",
        n(p.rows_read),
        n(p.malformed),
        n(p.filtered),
        n(p.duplicate_turns),
        n(p.duplicate_conversations),
        n(p.kept_rows),
        p.conversations,
        n(p.incomplete),
        p.out_of_range,
        p.no_target,
        report
            .manifest
            .strata
            .iter()
            .map(|s| s.population)
            .sum::<u64>(),
    );
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

/// The result of an export for a machine.
pub fn json(report: &RunReport) -> Value {
    let manifest = &report.manifest;
    json!({
        "dataset": manifest.dataset,
        "location": report.location,
        "run_id": manifest.run_id,
        "fingerprint": manifest.fingerprint,
        "content_sha256": manifest.content_sha256,
        "population": manifest.population,
        "strata": manifest.strata,
        "warnings": manifest.warnings,
        "shortfall": manifest.shortfall(),
        "elapsed_seconds": report.elapsed.as_secs_f64(),
        "resumed": report.resumed,
        "chunks_replayed": report.chunks_replayed,
        "notes": report.notes,
    })
}
