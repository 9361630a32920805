//! `[source.kusto]`

use std::path::Path;
use std::time::Duration;

use super::super::values::{bad, choice, duration, text};
use crate::azure::Credential;
use crate::config::ConfigError;
use crate::config::raw::{self, Number, Text};
use crate::config::settings::Source;
use crate::domain::record::row::RowShape;
use crate::source::kusto::host_rule::HostRule;
use crate::source::kusto::query_file::QueryFile;
use crate::source::kusto::settings::{CensusMode, Kusto};

/// The client timeout exceeds the server timeout by at least this much.
const MARGIN: Duration = Duration::from_secs(30);

/// Hosts of Azure Monitor, behind which a path names the workspace.
const PROXIES: [&str; 3] = [
    "ade.loganalytics.io",
    "ade.applicationinsights.io",
    "adx.monitor.azure.com",
];

pub(super) fn kusto(kusto: raw::Kusto, schema: Option<RowShape>) -> Result<Kusto, ConfigError> {
    let passes = kusto.passes.map_or(0, |Number(n)| n);
    if !(1..=2).contains(&passes) {
        return Err(bad("source.kusto.passes", passes, "it must be 1 or 2"));
    }
    let cluster = text(kusto.cluster);
    if cluster.is_empty() {
        let reason = "name the cluster, such as \"https://NAME.kusto.windows.net\"; or read files with --input PATH";
        return Err(bad("source.kusto.cluster", "", reason));
    }
    if let Some(reason) = lacks_workspace(&cluster) {
        return Err(bad("source.kusto.cluster", &cluster, reason));
    }
    let timeout = |key, value| duration(key, &text(value));
    let file = |key, value: Option<Text>| {
        let path = text(value);
        QueryFile::read(Path::new(&path))
            .map_err(|error| bad(key, &path, format!("the file cannot be read: {error}")))
    };
    let (query, census) = (
        file("source.kusto.query", kusto.query)?,
        file("source.kusto.census", kusto.census)?,
    );
    let (query, census) = of_schema(query, census, schema)?;
    let census_mode = census_mode(kusto.census_mode, passes, is_telemetry(&query))?;
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
        query,
        census,
        credential: choice("source.kusto.credential", kusto.credential, &credentials)?,
        trusted_hosts: trusted_hosts(kusto.trusted_hosts)?,
        passes,
        census_mode,
        server_timeout,
        client_timeout,
    })
}

/// How much of a census comes here. One of telemetry says of each request what decides about it, for which every
/// property bag is read whatever is asked: it is always full.
fn census_mode(
    mode: Option<Text>,
    passes: u32,
    is_telemetry: bool,
) -> Result<CensusMode, ConfigError> {
    let key = "source.kusto.census_mode";
    let modes = [
        ("auto", CensusMode::Auto),
        ("full", CensusMode::Full),
        ("thresholds", CensusMode::Thresholds),
    ];
    let mode = choice(key, mode, &modes)?;
    let reason = match (passes, is_telemetry) {
        (1, _) => "one pass has no census; set source.kusto.passes = 2, or census_mode = \"auto\"",
        (_, true) => {
            "gleaner itself decides which conversations of AppEvents are whole, so their census cannot be counted by the cluster; set it to \"auto\", or ask a table of one row a turn with --schema turns"
        }
        (_, false) => return Ok(mode),
    };
    match mode {
        CensusMode::Thresholds => Err(bad(key, "thresholds", reason)),
        CensusMode::Auto | CensusMode::Full => Ok(CensusMode::Full),
    }
}

/// A list of exclusions needs to see every conversation that it names: the census is full.
pub(in crate::config) fn see_excluded(source: &mut Source) -> Result<(), ConfigError> {
    let Source::Kusto(kusto) = source else {
        return Ok(());
    };
    if kusto.census_mode == CensusMode::Thresholds {
        let reason = "selection.exclude counts the conversations that it names, which a census of some ranks need not have; set it to \"auto\"";
        return Err(bad("source.kusto.census_mode", "thresholds", reason));
    }
    kusto.census_mode = CensusMode::Full;
    Ok(())
}

fn trusted_hosts(hosts: Option<Vec<Text>>) -> Result<Vec<HostRule>, ConfigError> {
    let rule = |Text(host): Text| {
        let parsed = host.parse::<HostRule>();
        parsed.map_err(|error| bad("source.kusto.trusted_hosts", &host, error.to_string()))
    };
    hosts.unwrap_or_default().into_iter().map(rule).collect()
}

/// What the address of a workspace lacks.
fn lacks_workspace(cluster: &str) -> Option<&'static str> {
    let (_, rest) = cluster.split_once("://")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    if !PROXIES.contains(&host.to_ascii_lowercase().as_str()) {
        return None;
    }
    let path = path.to_ascii_lowercase();
    let has = |part: &str| {
        let name = path.split_once(part)?.1.split('/').next()?;
        (!name.is_empty() && !name.contains(['<', '>'])).then_some(())
    };
    let is_whole = has("subscriptions/").is_some()
        && has("/resourcegroups/").is_some()
        && has("/workspaces/")
            .or_else(|| has("/components/"))
            .is_some();
    (!is_whole).then_some(
        "it names no workspace: write https://ade.loganalytics.io/subscriptions/SUBSCRIPTION/resourcegroups/GROUP/providers/microsoft.operationalinsights/workspaces/NAME there, or set it with --set source.kusto.cluster=ADDRESS; the workspace's page in the Azure portal has the three names",
    )
}

/// The query and the census that `source.schema` asks for. Unless it says something, they are what the
/// query is; a shipped one has its like for the other schema.
fn of_schema(
    query: QueryFile,
    census: QueryFile,
    schema: Option<RowShape>,
) -> Result<(QueryFile, QueryFile), ConfigError> {
    let of_turns = match schema {
        None => !is_telemetry(&query),
        Some(RowShape::CopilotChat) => false,
        Some(RowShape::Turns | RowShape::Conversations) => true,
    };
    let fitting = |file: QueryFile| match of_turns && is_telemetry(&file) {
        true => file.of_turns().unwrap_or(file),
        false => file,
    };
    let (query, census) = (fitting(query), fitting(census));
    match (schema, is_telemetry(&query)) {
        (Some(said), is) if is == of_turns => {
            let (path, asks) = (
                query.path.display(),
                if is { "AppEvents" } else { "another table" },
            );
            let reason = format!(
                "the query {path} asks {asks}; name one of that schema in source.kusto.query, or leave source.schema at \"auto\""
            );
            Err(bad("source.schema", said.name(), reason))
        }
        _ => Ok((query, census)),
    }
}

/// Whether a query asks for Copilot Chat telemetry.
#[cfg(feature = "kusto")]
fn is_telemetry(file: &QueryFile) -> bool {
    crate::source::kusto::query::kind_of(&file.text).is_telemetry()
}

/// A build without Kusto has refused the source before.
#[cfg(not(feature = "kusto"))]
fn is_telemetry(_: &QueryFile) -> bool {
    true
}

/// The schema of the rows of a source: what a cluster gives is known from its query. One that is asked
/// for turns gives whole conversations.
pub(in crate::config) fn schema_of(source: &Source, schema: Option<RowShape>) -> Option<RowShape> {
    match source {
        Source::Kusto(kusto) => is_telemetry(&kusto.query).then_some(RowShape::CopilotChat),
        _ => schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_azure_monitor_names_its_workspace() {
        let proxy = "https://ade.loganalytics.io";
        for whole in [
            format!("{proxy}/subscriptions/s/resourcegroups/g/providers/microsoft.operationalinsights/workspaces/w"),
            "https://ADX.monitor.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/components/c/".to_owned(),
            "https://c.kusto.windows.net".to_owned(),
            "http://127.0.0.1:31600".to_owned(),
            "no address".to_owned(),
        ] {
            assert_eq!(lacks_workspace(&whole), None, "{whole}");
        }
        for part in [
            "",
            "/",
            "/subscriptions/s",
            "/subscriptions/s/resourcegroups/g",
            "/subscriptions/s/resourcegroups/<group>/providers/p/workspaces/<workspace>",
            "/subscriptions/s/resourcegroups/g/providers/p/workspaces/",
        ] {
            assert!(
                lacks_workspace(&format!("{proxy}{part}")).is_some(),
                "{part}"
            );
        }
    }
}
