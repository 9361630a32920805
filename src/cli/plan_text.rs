//! What a plan says to a person.

use serde_json::Value;

use super::plan::{Looked, strata};
use super::plan_trust;
use super::table::TextTable;
use super::terminal::one_line;
use super::words::{count, size};
use crate::config::settings::{Settings, Source};
use crate::domain::dataset::accounting::Malformed;
use crate::domain::describe_error;
use crate::pipeline::RunError;
use crate::pipeline::ingest::first_rows::FirstRows;
use crate::pipeline::ingest::rows_report::reason_name;
use crate::source::kusto::estimate::KustoPlan;
use crate::source::{SourceError, Survey};

/// Malformed rows that a person is shown of each reason.
const SHOWN_ROWS: usize = 3;

/// The plan as text; `of_machine` is what [`super::plan_machine`] says of the machine.
pub(super) fn text(settings: &Settings, plan: &Value, looked: &Looked, of_machine: &str) -> String {
    let first_rows = looked.first_rows.as_ref();
    let word = |value: &Value| value.as_str().unwrap_or("open").to_owned();
    let input = match &looked.counted {
        Some(counted) => fetching_text(counted),
        None => input(&settings.source, &looked.survey),
    };
    let skipped = skipped(&plan["source"]["skipped"]);
    let files = looked.survey.input_fingerprints.len();
    let seen = first_rows.map(|first| seen_text(first, files));
    let seen = seen.unwrap_or_default();
    let chunks = match plan["chunks"].as_u64() {
        Some(chunks) => format!(" in {}", count(chunks, "chunk")),
        None => String::new(),
    };
    format!(
        "{}\n\n\
         input    {input}{chunks}\n{skipped}{seen}\
         window   {}\n\
         output   {} into {}/{}\n\
         {}disk     {}\n\
         {of_machine}work     {}: {}\n\
         next     the same with `export`",
        strata_table(settings, looked.counted.as_ref()).for_stdout(),
        window(&plan["window"]),
        match settings.selection.total() {
            Some(total) => count(total, "record"),
            None => "all valid records".to_owned(),
        },
        word(&plan["location"]),
        word(&plan["dataset"]),
        plan_trust::text(settings),
        spool_text(settings, plan, first_rows.is_some()),
        word(&plan["work_dir"]),
        word(&plan["work"]),
    )
}

fn strata_table(settings: &Settings, counted: Option<&KustoPlan>) -> TextTable {
    let mut table = TextTable::new(&["stratum", "target", "candidates held", "population"]);
    for stratum in strata(settings, counted) {
        let name = |key: &str| stratum[key].as_str().unwrap_or_default().to_owned();
        table.row([
            format!("{}/{}", name("split"), name("bucket")),
            or_all(&stratum["target"]),
            or_all(&stratum["candidates"]),
            match &stratum["population"] {
                Value::Null => "not known yet".to_owned(),
                population => population.to_string(),
            },
        ]);
    }
    table
}

fn fetching_text(counted: &KustoPlan) -> String {
    let or_unknown = |bytes: Option<u64>| bytes.map_or("unknown".to_owned(), size);
    let census = match counted.census() {
        "full" => String::new(),
        _ => format!(" (a census of about {} conversations)", counted.census_rows),
    };
    format!(
        "{} complete conversations of about {}; one pass would fetch {}, two fetch {}{census}",
        counted.conversations,
        or_unknown(counted.bytes_each),
        or_unknown(counted.one_pass_bytes),
        or_unknown(counted.two_pass_bytes),
    )
}

/// What is kept on disk until the dataset is published.
fn spool_text(settings: &Settings, plan: &Value, are_files: bool) -> String {
    match (&settings.source, plan["spooled_input_bytes"].as_u64()) {
        (Source::Synthetic(_) | Source::Kusto(_), _) => {
            "all rows are kept in sealed chunks until published".to_owned()
        }
        (_, None) if are_files => "not known: a file cannot be read".to_owned(),
        (_, Some(0)) | (_, None) => {
            "nothing is copied: rows are read again where they lie".to_owned()
        }
        (_, Some(bytes)) => format!(
            "{} of input (compressed, arrays, Parquet) are kept decoded in sealed chunks until published (limit {})",
            size(bytes),
            size(settings.limits.spool)
        ),
    }
}

/// The files that are not read, a line each.
fn skipped(skipped: &Value) -> String {
    let files = skipped["files"].as_array().map_or(&[][..], Vec::as_slice);
    let mut lines = String::new();
    for (index, file) in files.iter().enumerate() {
        let word = if index == 0 { "not read" } else { "" };
        let text = |key: &str| file[key].as_str().unwrap_or_default().to_owned();
        let path = one_line(&text("path"));
        lines += &format!("{word:<8} {path} ({})\n", text("reason"));
    }
    let more = skipped["count"].as_u64().unwrap_or(0) - files.len() as u64;
    if more > 0 {
        lines += &format!("         and {more} more\n");
    }
    lines
}

/// A number, or `all` where there is no limit.
fn or_all(number: &Value) -> String {
    match number {
        Value::Null => "all".to_owned(),
        number => number.to_string(),
    }
}

/// A window for a person.
fn window(window: &Value) -> String {
    match (window["start"].as_str(), window["end"].as_str()) {
        (None, None) => "no time window: all rows count".to_owned(),
        (Some(start), None) => format!("from {start}"),
        (None, Some(end)) => format!("before {end}"),
        (Some(start), Some(end)) => format!("{start} to {end}"),
    }
}

fn input(source: &Source, survey: &Survey) -> String {
    match source {
        Source::Synthetic(synthetic) => count(synthetic.conversations, "synthetic conversation"),
        Source::Files(_) | Source::Kusto(_) | Source::Custom(_) => format!(
            "{}, {}",
            count(survey.input_fingerprints.len() as u64, "file"),
            size(survey.bytes.unwrap_or(0))
        ),
    }
}

/// What the first rows of files show, lines of their own.
fn seen_text(first: &FirstRows, files: usize) -> String {
    let of_files = match first.files {
        all if all == files => count(files as u64, "file"),
        some => format!("{some} of {files} files"),
    };
    let rows = count(first.rows, "row");
    let mut lines = vec![("rows", format!("looked at the first {rows} of {of_files}"))];
    let unreadable = first.unreadable.iter().map(|error| match error {
        SourceError::Unsupported { hint, .. } => format!("{error}; {hint}"),
        error => describe_error(error),
    });
    let refusal = first.refusal.iter().map(|refusal| match refusal {
        // The rows are listed below.
        RunError::TooManyMalformed {
            malformed,
            rows,
            percent,
            ..
        } => format!("{malformed} of these {rows} rows are malformed, more than {percent}%"),
        refusal => describe_error(refusal),
    });
    let refused = unreadable.chain(refusal).map(|text| ("refused", text));
    lines.extend(refused);
    for (reason, Malformed { count, examples }) in &first.malformed {
        for place in examples.iter().take(SHOWN_ROWS) {
            lines.push(("bad row", format!("{}: {place}", reason_name(*reason))));
        }
        let more = count - (examples.len().min(SHOWN_ROWS)) as u64;
        if more > 0 {
            lines.push(("bad row", format!("{}: {more} more", reason_name(*reason))));
        }
    }
    let odd = first.oddities.iter().map(|text| ("note", text.clone()));
    lines.extend(odd);
    let line = |(word, text): (&str, String)| format!("{word:<8} {}\n", one_line(&text));
    lines.into_iter().map(line).collect()
}
