//! `croissant.json`: the files and their columns, for search engines and loaders.
//!
//! Source: <https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html>. A set of records has the
//! columns of one file: a loader refuses a column that its file does not have, and reads no objects, so of
//! lists of objects in JSON lines some members are described.

use serde_json::{Value, json};

use super::shards::Format;
use crate::domain::conversion::{Column, ColumnKind, Preset};
use crate::domain::dataset::converted::{ConvertedManifest, Shard};
use crate::domain::json::canonical::sorted;

/// Members of the objects of a list, by its column: name and JSONPath.
const MEMBERS: [(&str, &[(&str, &str)]); 3] = [
    ("messages", &[("role", "$.role"), ("content", "$.content")]),
    ("tools", &[("name", "$.function.name")]),
    ("steps", &[("source", "$.source"), ("message", "$.message")]),
];

/// The file; `columns` are those of each file of records, in their order. `None` for a format whose columns
/// loaders cannot name.
pub fn text(
    manifest: &ConvertedManifest,
    format: Format,
    columns: &[Vec<Column>],
) -> Option<Vec<u8>> {
    let encoding = match format {
        Format::Json => return None,
        Format::Jsonl => "application/jsonlines",
        Format::Parquet => "application/x-parquet",
    };
    let preset = manifest.preset.parse::<Preset>();
    let is_nested = preset.is_ok_and(Preset::is_nested);
    let splits = manifest.splits.iter();
    let names = splits.flat_map(|split| {
        let files = split.files.len();
        (0..files).map(move |number| match files {
            1 => split.name.clone(),
            _ => format!("{}-{number:05}", split.name),
        })
    });
    let files = manifest.shards().map(|shard| file(shard, encoding));
    let sets = names.zip(manifest.shards()).zip(columns);
    let sets = sets.map(|((name, shard), columns)| {
        let columns = columns.iter();
        let fields = columns.filter_map(|column| field(&name, shard, (format, is_nested), column));
        json!({
            "@type": "cr:RecordSet",
            "@id": name,
            "name": name,
            "field": fields.collect::<Vec<_>>(),
        })
    });
    let text = json!({
        "@context": context(),
        "@type": "sc:Dataset",
        "name": manifest.dataset,
        "description": format!(
            "Conversations for supervised fine-tuning, for the preset {} of gleaner. README.md says more.",
            manifest.preset
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "datePublished": manifest.created_at,
        "license": "other",
        "version": "1.0.0",
        "distribution": files.collect::<Vec<_>>(),
        "recordSet": sets.collect::<Vec<_>>(),
    });
    let mut text = serde_json::to_vec_pretty(&sorted(text)).unwrap_or_default();
    text.push(b'\n');
    Some(text)
}

fn file(shard: &Shard, encoding: &str) -> Value {
    let path = &shard.file.path;
    json!({
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "contentSize": format!("{} B", shard.file.bytes),
        "encodingFormat": encoding,
        "sha256": shard.file.sha256,
    })
}

/// A column; `None` if it holds objects.
fn field(
    set: &str,
    shard: &Shard,
    (format, is_nested): (Format, bool),
    column: &Column,
) -> Option<Value> {
    let name = column.name;
    let id = format!("{set}/{name}");
    let source = |path: Option<&str>| {
        let mut source = json!({
            "fileObject": {"@id": shard.file.path},
            "extract": {"column": name},
        });
        if let Some(path) = path {
            source["transform"] = json!({"jsonPath": path});
        }
        source
    };
    let of_type = |data_type: &str| {
        json!({
            "@type": "cr:Field",
            "@id": id,
            "name": name,
            "dataType": data_type,
            "source": source(None),
        })
    };
    match (column.kind, format) {
        (ColumnKind::Text, _) => Some(of_type("sc:Text")),
        (ColumnKind::Integer, _) => Some(of_type("sc:Integer")),
        // There they are texts.
        (ColumnKind::Json, Format::Parquet) => Some(of_type("sc:Text")),
        (ColumnKind::JsonList, Format::Parquet) => {
            // Columns of members hold objects.
            if is_nested {
                return None;
            }
            let mut field = of_type("sc:Text");
            field["repeated"] = true.into();
            Some(field)
        }
        (ColumnKind::Json, _) => None,
        (ColumnKind::JsonList, _) => {
            let (_, members) = MEMBERS.iter().find(|(of, _)| *of == name)?;
            let members = members.iter().map(|(member, path)| {
                json!({
                    "@type": "cr:Field",
                    "@id": format!("{id}/{member}"),
                    "name": member,
                    "dataType": "sc:Text",
                    "source": source(Some(path)),
                })
            });
            Some(json!({
                "@type": "cr:Field",
                "@id": id,
                "name": name,
                "repeated": true,
                "subField": members.collect::<Vec<_>>(),
            }))
        }
    }
}

/// As the specification has it.
fn context() -> Value {
    let mut context = json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "description": {"@container": "@language"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "name": {"@container": "@language"},
        "rai": "http://mlcommons.org/croissant/RAI/",
        "sc": "https://schema.org/",
    });
    for term in [
        "arrayShape",
        "citeAs",
        "column",
        "containedIn",
        "equivalentProperty",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isArray",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
    ] {
        context[term] = format!("cr:{term}").into();
    }
    context
}
