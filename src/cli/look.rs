//! `gleaner look`.

use std::cell::{Cell, RefCell};
use std::fs;
use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;

use super::exit::{CliError, Exit};
use super::host::Host;
use super::is_dumb;
use super::outcome::{Outcome, Shown};
use super::place::ReachArgs;
use super::table::stdout_width;
use super::words::count;
use crate::check::manifest;
use crate::convert::ConvertError;
use crate::convert::records::{BATCH_BYTES, Line, Lines, Records};
use crate::domain::conversion::id_of;
use crate::domain::conversion::view::{Page, Section, Terminal, View};
use crate::domain::dataset::manifest::Manifest;
use crate::runtime::buffers::Buffers;
use crate::sink::reader::DatasetReader;

/// Records of a stratum that are shown on a page, unless told.
const ON_A_PAGE: u64 = 20;

/// The arguments of `look`.
#[derive(Debug, Clone, Args)]
pub struct LookArgs {
    /// The dataset's folder, or its address in a container
    pub dataset: String,
    /// A conversation's id
    #[arg(conflicts_with = "sample")]
    pub id: Option<String>,
    /// The first N by rank of every stratum [default: 1, or 20 on a page]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub sample: Option<u64>,
    /// Only this stratum
    #[arg(long, value_name = "SPLIT/BUCKET", conflicts_with = "id")]
    pub stratum: Option<String>,
    /// Write a page instead: one file, which loads nothing and runs nothing
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// How to reach it.
    #[command(flatten)]
    pub reach: ReachArgs,
}

/// Shows conversations. It reads no further than it must, so a file that was damaged may be shown: `verify` finds it.
///
/// # Errors
/// If the dataset cannot be read, or does not have what is asked for.
pub fn run(args: &LookArgs, host: &Host) -> Result<Outcome, CliError> {
    let dataset = args.reach.open(&args.dataset, host)?;
    let manifest = manifest(&*dataset)?;
    let sections = match &args.id {
        Some(id) => vec![find(&*dataset, &manifest, id)?],
        None => {
            let usual = if args.html.is_some() { ON_A_PAGE } else { 1 };
            let most = args.sample.unwrap_or(usual);
            sample(&*dataset, &manifest, args.stratum.as_deref(), most)?
        }
    };
    let shown = match &args.html {
        Some(file) => {
            let title = manifest.dataset.clone();
            let page = Page { title, sections }.html();
            fs::write(file, page).map_err(|error| {
                CliError::failure(
                    format!("cannot write {}: {error}", file.display()),
                    "name a file in a folder that is there and can be written",
                )
            })?;
            Shown::Text(format!("written: {}", file.display()))
        }
        None => {
            let width = stdout_width();
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colours = std::io::stdout().is_terminal() && !no_color && !is_dumb();
            let terminal = Terminal { width, colours };
            let mut out = String::new();
            for section in &sections {
                for view in &section.views {
                    terminal.write(view, &section.stratum, &mut out);
                }
            }
            Shown::Styled(out.trim_end().to_owned())
        }
    };
    Ok(Outcome::new(shown, Exit::Success))
}

/// The conversation with an id, wherever it is.
fn find(dataset: &dyn DatasetReader, manifest: &Manifest, id: &str) -> Result<Section, CliError> {
    let found = RefCell::new(None);
    let seen = Cell::new(0);
    let buffers = Buffers::new(2 * BATCH_BYTES);
    for split in &manifest.selection.splits {
        Records::new(manifest, &split.name, &buffers)?.read(dataset, |lines: Lines| {
            seen.set(seen.get() + lines.len());
            let line = lines.iter().find(|line| id_of(line.text) == id);
            let section = line.map(|line| section(manifest, &line));
            let is_found = section.is_some();
            found.replace(section);
            !is_found
        })?;
        if let Some(section) = found.take() {
            return Ok(section?);
        }
    }
    let files = manifest
        .strata
        .iter()
        .filter(|stratum| stratum.file.is_some());
    Err(CliError::usage(
        format!("there is no conversation {id:?} in {}", dataset.location()),
        format!(
            "looked through {} in {}; ids are compared to the letter",
            count(seen.get(), "record"),
            count(files.count() as u64, "file")
        ),
    ))
}

/// A conversation alone in its stratum.
fn section(manifest: &Manifest, line: &Line<'_>) -> Result<Section, ConvertError> {
    let (records, stratum) = stratum_of(manifest, line);
    let view = View::of(line.text).map_err(|source| ConvertError::Record {
        path: line.path.to_owned(),
        line: line.number,
        source,
    })?;
    Ok(Section {
        stratum,
        records,
        views: vec![view],
    })
}

/// The records of a line's stratum, and its name.
fn stratum_of(manifest: &Manifest, line: &Line<'_>) -> (u64, String) {
    let stratum = manifest.stratum_of_file(line.path);
    let stratum = &manifest.strata[stratum.expect("the file of a stratum")];
    (
        stratum.records,
        format!("{}/{}", stratum.split, stratum.bucket),
    )
}

/// The first ones by rank of every stratum, or of one.
fn sample(
    dataset: &dyn DatasetReader,
    manifest: &Manifest,
    only: Option<&str>,
    most: u64,
) -> Result<Vec<Section>, CliError> {
    let mut wanted = manifest.clone();
    let name = |split: &str, bucket: &str| format!("{split}/{bucket}");
    wanted.strata.retain(|stratum| {
        let is_wanted = only.is_none_or(|only| only == name(&stratum.split, &stratum.bucket));
        is_wanted && stratum.records > 0
    });
    if wanted.strata.is_empty() {
        let known = manifest.strata.iter().filter(|stratum| stratum.records > 0);
        let known: Vec<_> = known.map(|one| name(&one.split, &one.bucket)).collect();
        return Err(CliError::usage(
            format!("there are no records in {}", only.unwrap_or("any stratum")),
            format!("strata with records: {}", known.join(", ")),
        ));
    }
    let mut sections: Vec<Section> = Vec::new();
    let buffers = Buffers::new(2 * BATCH_BYTES);
    for split in &manifest.selection.splits {
        let shown = RefCell::new(Vec::<Section>::new());
        let failed = RefCell::new(None);
        let strata = wanted.strata.iter().filter(|one| one.split == split.name);
        let left: u64 = strata.map(|stratum| stratum.records.min(most)).sum();
        let left = Cell::new(left);
        if left.get() == 0 {
            continue;
        }
        Records::new(&wanted, &split.name, &buffers)?.read(dataset, |lines: Lines| {
            for line in lines.iter() {
                let mut shown = shown.borrow_mut();
                let name = stratum_of(&wanted, &line).1;
                let old = shown.iter_mut().find(|old| old.stratum == name);
                if old
                    .as_ref()
                    .is_some_and(|old| old.views.len() as u64 >= most)
                {
                    continue;
                }
                match (section(&wanted, &line), old) {
                    (Err(error), _) => {
                        failed.replace(Some(error));
                        return false;
                    }
                    (Ok(new), Some(old)) => old.views.extend(new.views),
                    (Ok(new), None) => shown.push(new),
                }
                left.set(left.get() - 1);
            }
            left.get() > 0
        })?;
        if let Some(error) = failed.take() {
            return Err(error.into());
        }
        sections.append(&mut shown.into_inner());
    }
    let place = |section: &Section| {
        let mut strata = wanted.strata.iter();
        strata.position(|one| name(&one.split, &one.bucket) == section.stratum)
    };
    sections.sort_by_key(place);
    Ok(sections)
}
