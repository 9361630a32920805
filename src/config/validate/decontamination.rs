//! `[decontaminate]`: which benchmarks there are.

use std::path::PathBuf;
use std::sync::Arc;

use super::values::{bad, text};
use crate::config::ConfigError;
use crate::config::benchmarks::{BenchmarkFile, Decontamination};
use crate::config::raw;
use crate::domain::describe_error;

const FILES: &str = "decontaminate.files";

/// Reads the benchmarks that a table names; `None` if it names none.
pub(super) fn read(
    written: raw::Decontaminate,
) -> Result<Option<Arc<Decontamination>>, ConfigError> {
    let mut all = Decontamination::default();
    let mut names = Vec::new();
    for file in written.files.unwrap_or_default() {
        let file = benchmark(file)?;
        let place = file.path.display();
        if names.contains(&file.name) {
            let reason = format!(
                "two benchmarks are called {:?}: give one another name",
                file.name
            );
            return Err(bad(FILES, place, reason));
        }
        all.read(&file)
            .map_err(|error| bad(FILES, place, describe_error(&error)))?;
        names.push(file.name);
        if names.len() > usize::from(u16::MAX) {
            return Err(bad(FILES, names.len(), "there are more than 65,535"));
        }
    }
    Ok((!names.is_empty()).then(|| Arc::new(all)))
}

fn benchmark(written: raw::Benchmark) -> Result<BenchmarkFile, ConfigError> {
    let (path, field, name) = (text(written.path), text(written.field), text(written.name));
    if path.is_empty() || field.is_empty() {
        let reason = "each file has a path and the field of its texts, such as {path = \"gsm8k.jsonl\", field = \"question\"}";
        return Err(bad(FILES, path, reason));
    }
    let path = PathBuf::from(path);
    let stem = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = stem.split('.').next().unwrap_or_default().to_owned();
    let name = if name.is_empty() { stem } else { name };
    Ok(BenchmarkFile { path, field, name })
}
