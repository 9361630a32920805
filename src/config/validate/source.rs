//! `[source]`: where rows come from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::json;

use super::values::{bad, choice, texts};
use crate::config::layers::nearest;
use crate::config::raw::{self, Number, Text};
use crate::config::settings::Source;
use crate::config::{ConfigError, NO_KUSTO};
use crate::domain::record::fields::Field;
use crate::domain::record::rename::{RenameError, Renames};
use crate::domain::record::row::RowShape;
use crate::source::synthetic::settings::Synthetic;

mod kusto;

pub(super) use kusto::{schema_of, see_excluded};

const SCHEMAS: [(&str, RowShape); 2] = [
    ("turns", RowShape::Turns),
    ("conversations", RowShape::Conversations),
];

pub(super) fn source(source: raw::Source, schema: Option<RowShape>) -> Result<Source, ConfigError> {
    #[derive(Clone, Copy)]
    enum Kind {
        Kusto,
        Files,
        Synthetic,
        Table,
    }
    let kinds = [
        ("kusto", Kind::Kusto),
        ("files", Kind::Files),
        ("synthetic", Kind::Synthetic),
        ("table", Kind::Table),
    ];
    Ok(match choice("source.kind", source.kind, &kinds)? {
        Kind::Files => {
            let paths = texts(source.files.unwrap_or_default().paths);
            if paths.is_empty() {
                let reason = "it must name at least one file, folder or glob; or use --input PATH";
                return Err(bad("source.files.paths", "[]", reason));
            }
            Source::Files(paths.into_iter().map(PathBuf::from).collect())
        }
        Kind::Synthetic => {
            let synthetic = source.synthetic.unwrap_or_default();
            Source::Synthetic(Synthetic {
                conversations: synthetic.conversations.map_or(0, |Number(n)| n),
                seed: synthetic.seed.map_or(0, |Number(n)| n),
                schema: choice("source.synthetic.schema", synthetic.schema, &SCHEMAS)?,
            })
        }
        // Whose it is shows when the run is built.
        Kind::Table => Source::Custom(json!({"kind": "table"})),
        Kind::Kusto if cfg!(not(feature = "kusto")) => {
            return Err(bad("source.kind", "kusto", NO_KUSTO));
        }
        Kind::Kusto => Source::Kusto(kusto::kusto(source.kusto.unwrap_or_default(), schema)?),
    })
}

/// `[source.fields]`
pub(super) fn fields(
    written: BTreeMap<String, Text>,
    source: &Source,
) -> Result<Renames, ConfigError> {
    let key = "source.fields";
    if !written.is_empty() && !matches!(source, Source::Files(_) | Source::Custom(_)) {
        let reason = "it renames fields of files and columns of tables; let the query of a cluster give them their names (project-rename)";
        let names: Vec<String> = written.into_keys().collect();
        return Err(bad(key, names.join(", "), reason));
    }
    let pairs = written.into_iter().map(|(name, Text(path))| (name, path));
    Renames::new(pairs).map_err(|error| {
        let known = Field::ALL.map(Field::name);
        let (value, advice) = match &error {
            RenameError::UnknownField(name) => {
                let advice = match nearest(name, &known) {
                    Some(nearest) => format!("; did you mean \"{nearest}\"?"),
                    None => format!("; it reads {}", known.join(", ")),
                };
                (name.clone(), advice)
            }
            RenameError::EmptyPath(name) => (name.clone(), String::new()),
            RenameError::TwoNames { path, .. } => (path.clone(), String::new()),
        };
        bad(key, value, format!("{error}{advice}"))
    })
}
