//! `[source]`: where rows come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::values::{bad, choice, duration, text, texts};
use crate::azure::Credential;
use crate::config::layers::nearest;
use crate::config::raw::{self, Number, Text};
use crate::config::settings::Source;
use crate::config::{ConfigError, NO_KUSTO};
use crate::domain::record::fields::Field;
use crate::domain::record::rename::{RenameError, Renames};
use crate::domain::record::row::RowShape;
use crate::source::kusto::host_rule::HostRule;
use crate::source::kusto::query_file::QueryFile;
use crate::source::kusto::settings::Kusto;
use crate::source::synthetic::settings::Synthetic;

/// The client timeout exceeds the server timeout by at least this much.
const MARGIN: Duration = Duration::from_secs(30);

const SCHEMAS: [(&str, RowShape); 2] = [
    ("turns", RowShape::Turns),
    ("conversations", RowShape::Conversations),
];

pub(super) fn source(source: raw::Source) -> Result<Source, ConfigError> {
    #[derive(Clone, Copy)]
    enum Kind {
        Kusto,
        Files,
        Synthetic,
    }
    let kinds = [
        ("kusto", Kind::Kusto),
        ("files", Kind::Files),
        ("synthetic", Kind::Synthetic),
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
        Kind::Kusto if cfg!(not(feature = "kusto")) => {
            return Err(bad("source.kind", "kusto", NO_KUSTO));
        }
        Kind::Kusto => Source::Kusto(kusto(source.kusto.unwrap_or_default())?),
    })
}

fn kusto(kusto: raw::Kusto) -> Result<Kusto, ConfigError> {
    let passes = kusto.passes.map_or(0, |Number(n)| n);
    if !(1..=2).contains(&passes) {
        return Err(bad("source.kusto.passes", passes, "it must be 1 or 2"));
    }
    let cluster = text(kusto.cluster);
    if cluster.is_empty() {
        let reason = "name the cluster, such as \"https://NAME.kusto.windows.net\"; or read files with --input PATH";
        return Err(bad("source.kusto.cluster", "", reason));
    }
    let timeout = |key, value| duration(key, &text(value));
    let file = |key, value: Option<Text>| {
        let path = text(value);
        QueryFile::read(Path::new(&path))
            .map_err(|error| bad(key, &path, format!("the file cannot be read: {error}")))
    };
    let credentials = [
        ("developer_tools", Credential::DeveloperTools),
        ("managed_identity", Credential::ManagedIdentity),
        ("workload_identity", Credential::WorkloadIdentity),
        ("client_secret", Credential::ClientSecret),
        ("none", Credential::None),
    ];
    let server_timeout = timeout("source.kusto.server_timeout", kusto.server_timeout)?;
    let client_timeout = timeout("source.kusto.client_timeout", kusto.client_timeout)?;
    if client_timeout < server_timeout + MARGIN {
        return Err(bad(
            "source.kusto.client_timeout",
            format!("{} s", client_timeout.as_secs()),
            "it must be at least 30 s longer than source.kusto.server_timeout, so that the server's own answer arrives",
        ));
    }
    Ok(Kusto {
        cluster,
        database: text(kusto.database),
        query: file("source.kusto.query", kusto.query)?,
        census: file("source.kusto.census", kusto.census)?,
        credential: choice("source.kusto.credential", kusto.credential, &credentials)?,
        trusted_hosts: trusted_hosts(kusto.trusted_hosts)?,
        passes,
        server_timeout,
        client_timeout,
    })
}

fn trusted_hosts(hosts: Option<Vec<Text>>) -> Result<Vec<HostRule>, ConfigError> {
    let rule = |Text(host): Text| {
        let parsed = host.parse::<HostRule>();
        parsed.map_err(|error| bad("source.kusto.trusted_hosts", &host, error.to_string()))
    };
    hosts.unwrap_or_default().into_iter().map(rule).collect()
}

/// `[source.fields]`
pub(super) fn fields(
    written: BTreeMap<String, Text>,
    source: &Source,
) -> Result<Renames, ConfigError> {
    let key = "source.fields";
    if !written.is_empty() && !matches!(source, Source::Files(_)) {
        let reason = "it renames fields of files; let the query of a cluster give them their names (project-rename)";
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
