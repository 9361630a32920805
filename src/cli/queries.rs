//! `gleaner queries check`: do query files fit into a run?

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::args::QueriesCheckArgs;
use super::exit::{CliError, Exit};
use super::outcome::{Outcome, Shown};
use crate::config::{self, Layers};
use crate::domain::selection::cut::Cut;
use crate::source::kusto::query::{Template, missing_columns};
use crate::source::kusto::query_file::{QueryFile, SHIPPED};

/// Talks to Microsoft's language service.
const SCRIPT: &str = include_str!("../../queries/check.mjs");

/// The folder whose `node_modules` has the language service.
const NODE: &str = "GLEANER_KUSTO_NODE";

/// Where it is looked for first.
const PACKAGE: &str = "node_modules/@kusto/language-service-next";

/// What the shipped queries run over.
const SCHEMA: &str = include_str!("../../queries/schema.json");

/// What was found in a file.
#[derive(Debug, Serialize)]
struct Finding {
    file: PathBuf,
    errors: Vec<String>,
    /// By name, with their types where the language service knows them.
    columns: BTreeMap<String, Option<String>>,
}

#[derive(Debug, Deserialize)]
struct Analysis {
    errors: Vec<Diagnostic>,
    columns: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    line: u64,
    column: u64,
    message: String,
}

/// Checks query files.
///
/// # Errors
/// If a file cannot be read, or the language service fails.
pub fn check(args: &QueriesCheckArgs) -> Result<Outcome, CliError> {
    let files = files(args)?;
    let schema = schema(args)?;
    let (analyses, note) = match language_service() {
        Ok(folder) => (Some(analyse(&folder, &schema, &files)?), None),
        Err(note) => (None, Some(note)),
    };
    let cut = cut(args)?;
    let mut findings = Vec::new();
    for (at, file) in files.iter().enumerate() {
        let analysis = analyses.as_ref().and_then(|all| all.get(at));
        findings.push(look_at(file, analysis, cut));
    }
    let good = findings.iter().all(|finding| finding.errors.is_empty());
    let shown = Shown::either(
        args.json,
        || json!({"good": good, "language_service": note.is_none(), "files": findings}),
        || text(&findings, note.as_deref()),
    );
    let exit = match good {
        true => Exit::Success,
        false => Exit::Failure,
    };
    Ok(Outcome::new(shown, exit))
}

/// What the run does with conversations that are cut.
fn cut(args: &QueriesCheckArgs) -> Result<Cut, CliError> {
    let layers = args
        .config
        .iter()
        .try_fold(Layers::default(), |layers, config| config.onto(layers))?
        .env(std::env::vars())?
        .set(&args.set)?;
    Ok(config::cut(&layers)?)
}

fn files(args: &QueriesCheckArgs) -> Result<Vec<QueryFile>, CliError> {
    let shipped = SHIPPED.iter().map(|(path, _)| PathBuf::from(path));
    let paths: Vec<PathBuf> = match args.files.is_empty() {
        true => shipped.collect(),
        false => args.files.clone(),
    };
    let read = |path: PathBuf| {
        QueryFile::read(&path).map_err(|error| {
            CliError::usage(
                format!("cannot read {}: {error}", path.display()),
                "check the path",
            )
        })
    };
    paths.into_iter().map(read).collect()
}

fn schema(args: &QueriesCheckArgs) -> Result<Value, CliError> {
    let Some(path) = &args.schema else {
        return parse_schema("the shipped schema", SCHEMA);
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        CliError::usage(
            format!("cannot read {}: {error}", path.display()),
            "check the path given with --schema",
        )
    })?;
    parse_schema(&path.display().to_string(), &text)
}

fn parse_schema(name: &str, text: &str) -> Result<Value, CliError> {
    let hint = "write {\"database\": \"NAME\", \"tables\": {\"TABLE\": \"(column:type, ...)\"}}";
    let bad = |what: String| CliError::usage(format!("{name} is no schema: {what}"), hint);
    let value: Value = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    match (value["database"].is_string(), value["tables"].is_object()) {
        (true, true) => Ok(value),
        _ => Err(bad("database or tables are missing".to_owned())),
    }
}

/// Holds a file against what a run needs of it.
fn look_at(file: &QueryFile, analysis: Option<&Analysis>, cut: Cut) -> Finding {
    let mut errors = Vec::new();
    let mut columns = BTreeMap::new();
    for found in analysis.iter().flat_map(|analysis| &analysis.errors) {
        errors.push(format!(
            "{}:{}: {}",
            found.line, found.column, found.message
        ));
    }
    match Template::new(&file.text) {
        Err(error) => errors.push(error.to_string()),
        Ok(template) => {
            errors.extend(template.handles(cut).err().map(|error| error.to_string()));
            let known = analysis.and_then(|analysis| analysis.columns.clone());
            columns = match known {
                Some(known) => known.into_iter().map(|(n, kind)| (n, Some(kind))).collect(),
                None => template
                    .projected()
                    .into_iter()
                    .flatten()
                    .map(|name| (name, None))
                    .collect(),
            };
            match columns.is_empty() {
                true => errors.push(
                    "its columns are not known: end it with `| project ...`, the columns by name"
                        .to_owned(),
                ),
                false => errors.extend(missing_columns(template.kind, &columns)),
            }
            if columns.contains_key("turnsArray") && !template.selects() {
                errors.push(
                    "it does not use _selected: it can only run with source.kusto.passes = 1"
                        .to_owned(),
                );
            }
        }
    }
    Finding {
        file: file.path.clone(),
        errors,
        columns,
    }
}

/// The folder that has the language service, or why it is not used.
fn language_service() -> Result<PathBuf, String> {
    let folder = match std::env::var_os(NODE) {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().map_err(|error| error.to_string())?,
    };
    if !folder.join(PACKAGE).is_dir() {
        return Err(format!(
            "the KQL itself was not checked: run `npm install @kusto/language-service-next` here, or name its folder in {NODE}"
        ));
    }
    let node = Command::new("node")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    match node {
        Ok(status) if status.success() => Ok(folder),
        _ => Err("the KQL itself was not checked: there is no node to run".to_owned()),
    }
}

fn analyse(folder: &Path, schema: &Value, files: &[QueryFile]) -> Result<Vec<Analysis>, CliError> {
    let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
    let asked = json!({"schema": schema, "queries": texts}).to_string();
    let failed = |error: &dyn std::fmt::Display| {
        CliError::failure(
            format!("the language service failed: {error}"),
            "install it anew with `npm install @kusto/language-service-next`",
        )
    };
    let run = || -> io::Result<std::process::Output> {
        let folder = folder.canonicalize()?;
        let mut node = Command::new("node")
            .args(["--input-type=module", "--eval", SCRIPT])
            .env(NODE, folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut input) = node.stdin.take() {
            input.write_all(asked.as_bytes())?;
        }
        node.wait_with_output()
    };
    let output = run().map_err(|error| failed(&error))?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let reported = String::from_utf8_lossy(&output.stderr);
        failed(
            &reported
                .lines()
                .find(|line| line.contains("Error"))
                .unwrap_or("no answer"),
        )
    })
}

fn text(findings: &[Finding], note: Option<&str>) -> String {
    let mut lines = Vec::new();
    for finding in findings {
        let file = finding.file.display();
        if finding.errors.is_empty() {
            let names: Vec<String> = finding
                .columns
                .iter()
                .map(|(name, kind)| match kind {
                    Some(kind) => format!("{name}:{kind}"),
                    None => name.clone(),
                })
                .collect();
            lines.push(format!(
                "{file}: good; its columns are {}",
                names.join(", ")
            ));
        }
        for error in &finding.errors {
            lines.push(format!("{file}: {error}"));
        }
    }
    lines.extend(note.map(str::to_owned));
    lines.join("\n")
}
