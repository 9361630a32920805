//! What columns the Parquet files of a conversion have.

use super::batch::{Batch, Body};
use super::shards::Format;
use super::{Context, ConvertError};
use crate::domain::conversion::shape::{Clash, Shape};

/// Columns that a file may have at most: a member of a tool's parameters is one.
const MOST_COLUMNS: usize = 5_000;

impl Context<'_> {
    /// The columns of the Parquet files; none where there are no such files. If the members of tools are
    /// columns, the records are read once before they are written.
    ///
    /// # Errors
    /// If a record cannot be read, or the tools of two records have no columns together.
    pub(super) async fn shapes(
        &self,
        splits: &[(String, String)],
    ) -> Result<Vec<(&'static str, Shape)>, ConvertError> {
        let preset = self.conversion.preset;
        if self.conversion.format != Format::Parquet {
            return Ok(Vec::new());
        }
        let mut tools = Tools::default();
        if preset.is_nested() {
            for (split, _) in splits {
                let merge = async |batch: Batch| {
                    let reason = |clash: Clash| clash.to_string();
                    let merged = tools.merge(&batch).map_err(reason);
                    merged.map_err(|reason| ConvertError::Columns { preset, reason })
                };
                self.each_batch(split, merge).await?;
            }
        }
        let columns = tools.shape.leaves();
        if columns > MOST_COLUMNS {
            let reason = format!("they take {columns} columns, the most are {MOST_COLUMNS}");
            return Err(ConvertError::Columns { preset, reason });
        }
        Ok(preset.shapes(tools.shape))
    }
}

/// The tools that were seen.
#[derive(Default)]
struct Tools {
    shape: Shape,
    /// Those of the record before: most often they are those of the next.
    last: Vec<u8>,
}

impl Tools {
    fn merge(&mut self, batch: &Batch) -> Result<(), Clash> {
        let Body::Rows(rows) = &batch.body else {
            return Ok(());
        };
        for row in rows {
            let cell = row.cells().find(|cell| cell.column.name == "tools");
            if let Some(cell) = cell.filter(|cell| cell.json != self.last) {
                self.shape.merge(Shape::of_json(cell.json)?)?;
                cell.json.clone_into(&mut self.last);
            }
        }
        Ok(())
    }
}
