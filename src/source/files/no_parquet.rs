//! Stands in for `parquet` in a build without that feature: every Parquet file is refused.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::{BlockReader, SourceError};
use super::Cuts;
use crate::domain::record::rename::Renames;
use crate::domain::scheduling::chunk::Piece;

fn refused(path: &Path) -> SourceError {
    SourceError::Unsupported {
        path: path.to_owned(),
        what: "Parquet, and this build has no Parquet support".to_owned(),
        hint: "build with --features parquet".to_owned(),
    }
}

#[derive(Debug, Clone, Default)]
pub struct Footers {}

pub(super) fn cuts(
    _: &Footers,
    path: &Path,
    _bytes: u64,
    _piece: u64,
) -> Result<Cuts, SourceError> {
    Err(refused(path))
}

pub fn reader(
    _: &Footers,
    path: PathBuf,
    _piece: Piece,
    _max_record: u64,
    _fields: Arc<Renames>,
) -> Result<Box<dyn BlockReader>, SourceError> {
    Err(refused(&path))
}

#[cfg(test)]
mod tests {
    use crate::source::ConversationSource;
    use crate::source::files::FilesSource;

    #[test]
    fn a_build_without_parquet_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows.parquet");
        std::fs::write(&path, "PAR1").expect("writable");
        let source = FilesSource::new(vec![path], std::num::NonZeroU32::MIN, 1 << 20);
        let survey = tokio::runtime::Builder::new_current_thread()
            .build()
            .expect("a runtime")
            .block_on(source.survey());
        let refused = survey.expect_err("refused");
        assert!(
            refused
                .to_string()
                .ends_with("it uses Parquet, and this build has no Parquet support"),
            "{refused}"
        );
    }
}
