//! Footers: where the columns of a file are.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use parquet::file::metadata::{
    ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};

use super::super::super::SourceError;
use super::damaged;

/// Readers of one file share its footer: that of thousands of row groups takes 20 MB and a second.
#[derive(Debug, Clone, Default)]
pub struct Footers {
    /// That of the file that was opened last, while it is being read.
    last: Arc<Mutex<(PathBuf, Weak<ParquetMetaData>)>>,
}

impl Footers {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// If it cannot be read, or is no Parquet file.
    pub fn open(&self, path: &Path) -> Result<(File, Arc<ParquetMetaData>), SourceError> {
        let file = File::open(path).map_err(|error| SourceError::Io {
            path: path.to_owned(),
            source: error,
        })?;
        // What is guarded is whole after every statement.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let (of, footer) = &*last
            && of == path
            && let Some(footer) = footer.upgrade()
        {
            return Ok((file, footer));
        }
        let footer = Arc::new(read(path, &file)?);
        *last = (path.to_owned(), Arc::downgrade(&footer));
        Ok((file, footer))
    }
}

fn read(path: &Path, file: &File) -> Result<ParquetMetaData, SourceError> {
    // Statistics take more room than all else, and are not asked for.
    let none = || ParquetStatisticsPolicy::SkipAll;
    let options = ParquetMetaDataOptions::new()
        .with_column_stats_policy(none())
        .with_size_stats_policy(none())
        .with_encoding_stats_policy(none());
    ParquetMetaDataReader::new()
        .with_metadata_options(Some(options))
        .parse_and_finish(file)
        .map_err(|error| damaged(path, &error))
}

/// Whether rows of a file are so large that one file should be read at a time: more than 1 MB on the average of a row
/// group.
pub fn has_large_rows(footer: &ParquetMetaData) -> bool {
    const LARGE: i64 = 1_000_000;
    let groups = footer.row_groups().iter();
    groups
        .map(|group| group.total_byte_size() / group.num_rows().max(1))
        .any(|bytes| bytes > LARGE)
}
