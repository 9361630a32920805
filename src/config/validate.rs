//! From what is written to what it means.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::SpanRelativeTo;

use super::layers::nearest;
use super::raw::{self, Flag, Number, Text};
use super::settings::{
    Chaos, Chunks, Format, Limits, ModeUnknown, Settings, Sink, SinkTarget, SortKeys, Source, Span,
    Window, Workers,
};
use super::targets::{Target, Targets};
use super::{ConfigError, DEFAULTS, Layers, NO_AZURE, NO_KUSTO};
use crate::azure::Credential;
use crate::domain::record::fields::Field;
use crate::domain::record::rename::{RenameError, Renames};
use crate::domain::record::row::RowShape;
use crate::domain::record::timestamp::{self, UtcInstant};
use crate::domain::scheduling::fault_names::{Kind, Stage};
use crate::domain::selection::cut::Cut;
use crate::domain::selection::quality::{QualityCode, QualityCodes};
use crate::domain::selection::stratum::{ALL, Bucket, Selection, Split};
use crate::sink::address::Address;
use crate::sink::azure_blob::settings::{AzureBlob, BlobCredential, Checksum};
use crate::source::kusto::host_rule::HostRule;
use crate::source::kusto::query_file::QueryFile;
use crate::source::kusto::settings::Kusto;
use crate::source::synthetic::settings::Synthetic;

/// What a configuration without a window means for Kusto.
const KUSTO_WINDOW: &str = "15d";

/// What a client waits longer than the server.
const MARGIN: Duration = Duration::from_secs(30);

/// Records are addressed with 32 bits.
const LARGEST_RECORD: u64 = u32::MAX as u64;

/// The settings that layers (without the defaults) mean. `splits` names the only splits that are
/// wanted, if it is not empty.
///
/// # Errors
/// Names the key, the value, and what would be right.
pub fn validate(layers: &Layers, splits: &[String]) -> Result<Settings, ConfigError> {
    let defaults = DEFAULTS.parse().map_err(|error| ConfigError::Toml {
        path: PathBuf::from("defaults"),
        reason: format!("{error}"),
    })?;
    let (defaults, layers) = layers.over(defaults)?;
    let written = layers.merged()?;
    let config = defaults.below(&layers).merged()?;
    let default_targets = defaults.merged()?.selection.and_then(|s| s.targets);
    let source_table = config.source.unwrap_or_default();
    let ignore_ids = texts(source_table.ignore_ids.clone());
    let schema = choice(
        "source.schema",
        source_table.schema.clone(),
        &SOURCE_SCHEMAS,
    )?;
    let mode_unknown = source_table.mode_unknown.clone();
    let mode_unknown = choice("source.mode_unknown", mode_unknown, &MODES_UNKNOWN)?;
    let allow_sampled = source_table.allow_sampled.is_some_and(|Flag(is)| is);
    let strict_input = source_table.strict_input.is_some_and(|Flag(is)| is);
    let written_fields = source_table.fields.clone().unwrap_or_default();
    let source = source(source_table)?;
    let fields = fields(written_fields, &source)?;
    let limits = config.limits.unwrap_or_default();
    let chunks = config.chunks.unwrap_or_default();
    let workers = config.workers.unwrap_or_default();
    let selection_table = config.selection.unwrap_or_default();
    let cut = choice("selection.cut", selection_table.cut.clone(), &CUTS)?;
    let reject_quality = quality_codes(selection_table.reject_quality.clone())?;
    let selection = selection(
        selection_table,
        default_targets.unwrap_or_default(),
        written
            .selection
            .and_then(|s| s.targets)
            .unwrap_or_default(),
        splits,
    )?;
    Ok(Settings {
        name: text(config.name),
        window: window(config.window.unwrap_or_default(), &source)?,
        schema,
        mode_unknown,
        allow_sampled,
        ignore_ids,
        strict_input,
        fields,
        chunks: Chunks {
            count: at_least_one("chunks.count", chunks.count)?,
            max_attempts: at_least_one("chunks.max_attempts", chunks.max_attempts)?,
            allow_missing: allow_missing(chunks.allow_missing, &source)?,
        },
        selection: selection.rejecting(reject_quality),
        cut,
        sink: sink(config.sink.unwrap_or_default())?,
        workers: Workers {
            fetchers: workers_of("workers.fetchers", workers.fetchers)?,
            validators: workers_of("workers.validators", workers.validators)?,
            uploaders: workers_of("workers.uploaders", workers.uploaders)?,
            restarts: workers.restarts.map_or(0, |Number(n)| n),
            restart_window: duration("workers.restart_window", &text(workers.restart_window))?,
            stall_timeout: stall_timeout(workers.stall_timeout)?,
        },
        limits: Limits {
            in_flight: bytes("limits.in_flight", limits.in_flight)?,
            spool: bytes("limits.spool", limits.spool)?,
            max_record: bytes("limits.max_record", limits.max_record)?.min(LARGEST_RECORD),
            max_malformed_percent: percent(limits.max_malformed_percent)?,
        },
        chaos: chaos(config.chaos.unwrap_or_default())?,
        source,
    })
}

fn chaos(chaos: raw::Chaos) -> Result<Chaos, ConfigError> {
    let stages = names(Stage::ALL.iter().copied(), |stage| stage.name());
    let kinds = names(Kind::ALL.iter().copied(), |kind| kind.name());
    let each = |key, values: Option<Vec<Text>>| texts(values).into_iter().map(move |v| (key, v));
    Ok(Chaos {
        seed: chaos.seed.map_or(0, |Number(n)| n),
        faults: chaos.faults.map_or(0, |Number(n)| n),
        max_hits: chaos.max_hits.map_or(1, |Number(n)| n),
        stages: each("chaos.stages", chaos.stages)
            .map(|(key, value)| choice(key, Some(Text(value)), &stages))
            .collect::<Result<_, _>>()?,
        kinds: each("chaos.kinds", chaos.kinds)
            .map(|(key, value)| choice(key, Some(Text(value)), &kinds))
            .collect::<Result<_, _>>()?,
        plan: text(chaos.plan),
    })
}

fn names<T: Copy>(
    all: impl IntoIterator<Item = T>,
    name: impl Fn(T) -> &'static str,
) -> Vec<(&'static str, T)> {
    all.into_iter().map(|one| (name(one), one)).collect()
}

impl Layers {
    /// These layers with stronger ones above.
    fn below(&self, stronger: &Self) -> Self {
        let mut all = self.clone();
        all.extend(stronger);
        all
    }
}

/// `selection.cut` alone, of layers that need not be a whole configuration.
///
/// # Errors
/// Names the key and what would be right.
pub fn cut(layers: &Layers) -> Result<Cut, ConfigError> {
    let defaults = Layers::default().text("defaults", DEFAULTS)?;
    let config = defaults.below(layers).merged()?;
    let written = config.selection.unwrap_or_default().cut;
    choice("selection.cut", written, &CUTS)
}

/// `selection.reject_quality`
fn quality_codes(codes: Option<Vec<Text>>) -> Result<QualityCodes, ConfigError> {
    let known = names(QualityCode::ALL, QualityCode::name);
    let codes = codes.unwrap_or_default().into_iter();
    codes
        .map(|code| choice("selection.reject_quality", Some(code), &known))
        .collect()
}

const SOURCE_SCHEMAS: [(&str, Option<RowShape>); 4] = [
    ("auto", None),
    ("conversations", Some(RowShape::Conversations)),
    ("turns", Some(RowShape::Turns)),
    ("copilot_chat", Some(RowShape::CopilotChat)),
];

const MODES_UNKNOWN: [(&str, ModeUnknown); 2] =
    [("drop", ModeUnknown::Drop), ("agent", ModeUnknown::Agent)];

const CUTS: [(&str, Cut); 2] = [("drop", Cut::Drop), ("keep", Cut::Keep)];

fn bad(key: &'static str, value: impl ToString, reason: impl Into<String>) -> ConfigError {
    ConfigError::Bad {
        key,
        value: value.to_string(),
        reason: reason.into(),
    }
}

/// The defaults have every text.
fn text(value: Option<Text>) -> String {
    value.map(|Text(text)| text).unwrap_or_default()
}

fn texts(values: Option<Vec<Text>>) -> Vec<String> {
    let values = values.unwrap_or_default();
    values.into_iter().map(|Text(text)| text).collect()
}

fn choice<T: Clone>(
    key: &'static str,
    value: Option<Text>,
    choices: &[(&str, T)],
) -> Result<T, ConfigError> {
    let value = text(value);
    let found = choices.iter().find(|(name, _)| *name == value);
    found.map(|(_, choice)| choice.clone()).ok_or_else(|| {
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        bad(
            key,
            &value,
            format!("it must be one of {}", names.join(", ")),
        )
    })
}

fn at_least_one(key: &'static str, value: Option<Number<u32>>) -> Result<NonZeroU32, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    NonZeroU32::new(value)
        .filter(|n| n.get() <= 100_000)
        .ok_or_else(|| bad(key, value, "it must be between 1 and 100000"))
}

fn workers_of(
    key: &'static str,
    value: Option<Number<usize>>,
) -> Result<NonZeroUsize, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    NonZeroUsize::new(value)
        .filter(|n| n.get() <= 256)
        .ok_or_else(|| bad(key, value, "it must be between 1 and 256"))
}

/// Pulses are looked at four times in it.
fn stall_timeout(value: Option<Text>) -> Result<Duration, ConfigError> {
    let value = text(value);
    let timeout = duration("workers.stall_timeout", &value)?;
    if timeout < Duration::from_secs(1) {
        return Err(bad(
            "workers.stall_timeout",
            value,
            "it must be at least 1 s",
        ));
    }
    Ok(timeout)
}

/// Every piece of a file is needed; only hash chunks can be missing.
fn allow_missing(value: Option<Number<u32>>, source: &Source) -> Result<u32, ConfigError> {
    let value = value.map_or(0, |Number(n)| n);
    if value > 0 && matches!(source, Source::Files(_)) {
        let reason = "it does not go with files: every piece of a file is needed; leave it out, or leave the damaged file out of the input";
        return Err(bad("chunks.allow_missing", value, reason));
    }
    Ok(value)
}

fn percent(value: Option<Number<f64>>) -> Result<f64, ConfigError> {
    let value = value.map_or(0.0, |Number(n)| n);
    if (0.0..=100.0).contains(&value) {
        return Ok(value);
    }
    let key = "limits.max_malformed_percent";
    Err(bad(key, value, "it must be between 0 and 100"))
}

fn bytes(key: &'static str, value: Option<Text>) -> Result<u64, ConfigError> {
    let value = text(value);
    ByteSize::from_str(&value)
        .ok()
        .map(|size| size.as_u64())
        .filter(|&size| size > 0)
        .ok_or_else(|| {
            bad(
                key,
                &value,
                "it must be a size above zero, such as \"64MB\" or \"1GiB\"",
            )
        })
}

/// A duration such as `15d`, `1h` or `30m`; a day has 24 hours.
fn duration(key: &'static str, value: &str) -> Result<Duration, ConfigError> {
    exact_duration(value)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            bad(
                key,
                value,
                "it must be a duration above zero, such as \"15d\", \"1h\" or \"30m\"",
            )
        })
}

/// The same, and `0s`.
fn duration_or_zero(key: &'static str, value: &str) -> Result<Duration, ConfigError> {
    let reason = "it must be a duration such as \"1d\", \"1h\" or \"0s\"";
    exact_duration(value).ok_or_else(|| bad(key, value, reason))
}

fn exact_duration(value: &str) -> Option<Duration> {
    let span = value.parse::<jiff::Span>().ok()?;
    let exact = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(exact).ok()
}

fn instant(key: &'static str, value: Option<Text>) -> Result<Option<UtcInstant>, ConfigError> {
    let Some(Text(value)) = value else {
        return Ok(None);
    };
    let at = timestamp::parse(value.as_bytes()).and_then(UtcInstant::from_ticks);
    let reason =
        "it must be an instant such as \"2025-01-01T00:00:00Z\" (RFC 3339), before the year 10000";
    at.map(Some).ok_or_else(|| bad(key, value, reason))
}

fn window(window: raw::Window, source: &Source) -> Result<Option<Window>, ConfigError> {
    let ingestion_lag = duration("window.ingestion_lag", &text(window.ingestion_lag))?;
    let slack = duration_or_zero("window.slack", &text(window.slack))?;
    let of_span = |span| {
        Some(Window {
            span,
            ingestion_lag,
            slack,
        })
    };
    let start = instant("window.start", window.start)?;
    let end = instant("window.end", window.end)?;
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        return Err(bad(
            "window.end",
            end,
            format!("it must be after window.start, {start}"),
        ));
    }
    if start.is_some() || end.is_some() {
        return Ok(of_span(Span::Between { start, end }));
    }
    let last = match (window.last, source) {
        (Some(Text(last)), _) => last,
        (None, Source::Kusto(_)) => KUSTO_WINDOW.to_owned(),
        (None, _) => return Ok(None),
    };
    Ok(of_span(Span::Last {
        length: duration("window.last", &last)?,
        text: last,
    }))
}

fn source(source: raw::Source) -> Result<Source, ConfigError> {
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
        Kind::Kusto => {
            let kusto = source.kusto.unwrap_or_default();
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
            Source::Kusto(Kusto {
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
fn fields(written: BTreeMap<String, Text>, source: &Source) -> Result<Renames, ConfigError> {
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

const SCHEMAS: [(&str, RowShape); 2] = [
    ("turns", RowShape::Turns),
    ("conversations", RowShape::Conversations),
];

fn sink(sink: raw::Sink) -> Result<Sink, ConfigError> {
    let format = [("json", Format::Json), ("jsonl", Format::Jsonl)];
    let sort_keys = [("auto", SortKeys::Auto), ("always", SortKeys::Always)];
    let local = choice(
        "sink.kind",
        sink.kind,
        &[("local", true), ("azure_blob", false)],
    )?;
    let target = if local {
        let path = text(sink.local.unwrap_or_default().path);
        match Address::parse(&path)? {
            Address::Folder(folder) => SinkTarget::Local(folder),
            Address::Blob(_) => {
                let reason =
                    "it must be a folder; for a container set sink.azure_blob, or use --out";
                return Err(bad("sink.local.path", path, reason));
            }
        }
    } else if cfg!(not(feature = "azure")) {
        return Err(bad("sink.kind", "azure_blob", NO_AZURE));
    } else {
        SinkTarget::AzureBlob(azure_blob(sink.azure_blob.unwrap_or_default())?)
    };
    Ok(Sink {
        target,
        format: choice("sink.format", sink.format, &format)?,
        sort_keys: choice("sink.sort_keys", sink.sort_keys, &sort_keys)?,
    })
}

/// The longest block that the service takes is larger; this many are in memory at once for each
/// uploader, and a file has at most 50,000 of them.
const BLOCK_BYTES: std::ops::RangeInclusive<u64> = 64 << 10..=100 << 20;

fn azure_blob(blob: raw::AzureBlob) -> Result<AzureBlob, ConfigError> {
    let login = |kind| BlobCredential::Login(kind);
    let sas_file = text(blob.sas_file);
    let sas = BlobCredential::Sas((!sas_file.is_empty()).then(|| PathBuf::from(sas_file)));
    let credentials = [
        ("developer_tools", login(Credential::DeveloperTools)),
        ("managed_identity", login(Credential::ManagedIdentity)),
        ("workload_identity", login(Credential::WorkloadIdentity)),
        ("client_secret", login(Credential::ClientSecret)),
        ("sas", sas),
    ];
    let (account, container) = (text(blob.account), text(blob.container));
    let is_name = |name: &str, dash: bool| {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || dash && c == '-';
        (3..=63).contains(&name.len()) && name.chars().all(fits)
    };
    if !is_name(&account, false) || account.len() > 24 {
        let reason = "an account's name has 3 to 24 lower-case letters and digits; write --out az://ACCOUNT/CONTAINER/PREFIX";
        return Err(bad("sink.azure_blob.account", account, reason));
    }
    let odd = container.starts_with('-') || container.ends_with('-') || container.contains("--");
    if !is_name(&container, true) || odd {
        let reason = "a container's name has 3 to 63 lower-case letters, digits and single dashes between them";
        return Err(bad("sink.azure_blob.container", container, reason));
    }
    let prefix = text(blob.prefix).trim_matches('/').to_owned();
    let odd =
        |part: &str| part.is_empty() || part.ends_with('.') || part.contains(['?', '#', '\\']);
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        let reason =
            "its parts between '/' must not be empty, end with a dot or have ? # \\ in them";
        // What stands behind a ? may be a signature.
        let shown = prefix.split(['?', '#']).next().unwrap_or_default();
        return Err(bad("sink.azure_blob.prefix", shown, reason));
    }
    let block = bytes("sink.azure_blob.block", blob.block)?;
    if !BLOCK_BYTES.contains(&block) {
        let reason = "it must be between 64 KiB and 100 MiB";
        return Err(bad("sink.azure_blob.block", block, reason));
    }
    let checksums = [("crc64", Checksum::Crc64), ("md5", Checksum::Md5)];
    Ok(AzureBlob {
        account,
        container,
        prefix,
        endpoint: text(blob.endpoint),
        credential: choice("sink.azure_blob.credential", blob.credential, &credentials)?,
        block: block as usize,
        checksum: choice("sink.azure_blob.checksum", blob.checksum, &checksums)?,
        timeout: duration("sink.azure_blob.timeout", &text(blob.timeout))?,
        retry_timeout: duration("sink.azure_blob.retry_timeout", &text(blob.retry_timeout))?,
    })
}

fn selection(
    selection: raw::Selection,
    defaults: Targets,
    written: Targets,
    only: &[String],
) -> Result<Selection, ConfigError> {
    let splits: Vec<Split> = selection
        .splits
        .unwrap_or_default()
        .into_iter()
        .map(|split| Split {
            name: text(split.name),
            percent: split.percent.map_or(0, |Number(n)| n),
        })
        .collect();
    let mut buckets = Vec::new();
    for bucket in selection.buckets.unwrap_or_default() {
        let name = text(bucket.name);
        let turns: Vec<u64> = bucket
            .turns
            .unwrap_or_default()
            .iter()
            .map(|n| n.0)
            .collect();
        let Ok(turns) = <[u64; 2]>::try_from(turns) else {
            return Err(bad(
                "selection.buckets.turns",
                &name,
                "it must be the first and the last number of turns, such as [3, 5]",
            ));
        };
        let file = bucket.file.map_or_else(|| name.clone(), |Text(file)| file);
        buckets.push(Bucket { name, turns, file });
    }
    let split_is_known = |name: &String| splits.iter().any(|split| split.name == *name);
    let bucket_is_known = |name: &String| buckets.iter().any(|bucket| bucket.name == *name);
    if let Some(unknown) = only.iter().find(|name| !split_is_known(name)) {
        let known: Vec<&str> = splits.iter().map(|split| split.name.as_str()).collect();
        return Err(bad(
            "--split",
            unknown,
            format!("known splits are {}", known.join(", ")),
        ));
    }
    // Default targets of names that are not there any more are not meant.
    let meant = |split: &String, bucket: &String| split_is_known(split) && bucket_is_known(bucket);
    let flat = |targets: Targets| -> Vec<(String, String, u64)> {
        let each = match targets {
            Targets::Each(each) => each,
            Targets::All => {
                let buckets: BTreeMap<_, _> = (buckets.iter())
                    .map(|bucket| (bucket.name.clone(), Target(ALL)))
                    .collect();
                let all = splits.iter().filter(|split| split.percent > 0);
                all.map(|split| (split.name.clone(), buckets.clone()))
                    .collect()
            }
        };
        let of_split = |(split, of_split): (String, BTreeMap<String, Target>)| {
            of_split
                .into_iter()
                .map(move |(bucket, Target(target))| (split.clone(), bucket, target))
        };
        each.into_iter().flat_map(of_split).collect()
    };
    let mut targets: Vec<_> = flat(defaults)
        .into_iter()
        .filter(|(s, b, _)| meant(s, b))
        .collect();
    targets.extend(flat(written));
    if !only.is_empty() {
        targets.retain(|(split, bucket, _)| only.contains(split) || !meant(split, bucket));
        for split in splits.iter().filter(|split| !only.contains(&split.name)) {
            targets.retain(|(name, ..)| *name != split.name);
        }
    }
    let seed = text(selection.seed);
    let spares = selection.spare_percent.map_or(0.0, |Number(n)| n);
    Ok(Selection::new(&seed, spares, splits, buckets, &targets)?)
}
