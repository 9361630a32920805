//! The configuration as it is written: every key may be absent, nothing is checked but names and
//! kinds of values.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::targets::Targets;

/// A text that may be written without quotes: `seed = 42` is the text `42`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(pub String);

/// A number that may be written as a text, as environment variables are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number<T>(pub T);

struct TextVisitor;

impl Visitor<'_> for TextVisitor {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(Text(text.to_owned()))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Text, E> {
        Ok(Text(n.to_string()))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

struct NumberVisitor<T>(PhantomData<T>);

impl<T: FromStr> Visitor<'_> for NumberVisitor<T> {
    type Value = Number<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not negative")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Number<T>, E> {
        text.trim()
            .parse()
            .map(Number)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Number<T>, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Number<T>, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_f64<E: de::Error>(self, n: f64) -> Result<Number<T>, E> {
        self.visit_str(&n.to_string())
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor(PhantomData))
    }
}

/// Yes or no, which may be written as a text, as environment variables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag(pub bool);

struct FlagVisitor;

impl Visitor<'_> for FlagVisitor {
    type Value = Flag;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true or false")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
        Ok(Flag(flag))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Flag, E> {
        let flag = text.trim().parse();
        flag.map(Flag)
            .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FlagVisitor)
    }
}

/// Declares the tables of the configuration: every key optional, unknown keys refused.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs, reason = "the keys are documented where they mean something: in `settings`")]
        pub struct $name {
            $(pub $field: Option<$type>,)*
        }
    )*};
}

tables! {
    /// The whole file.
    Config {
        name: Text,
        source: Source,
        window: Window,
        chunks: Chunks,
        selection: Selection,
        sink: Sink,
        privacy: Privacy,
        decontaminate: Decontaminate,
        near_duplicates: NearDuplicates,
        workers: Workers,
        limits: Limits,
        output: Output,
        chaos: Chaos,
    }
    /// `[source]`
    Source {
        kind: Text,
        schema: Text,
        mode_unknown: Text,
        allow_sampled: Flag,
        ignore_ids: Vec<Text>,
        strict_input: Flag,
        fields: BTreeMap<String, Text>,
        kusto: Kusto,
        files: Files,
        synthetic: Synthetic,
    }
    /// `[source.kusto]`
    Kusto {
        cluster: Text,
        database: Text,
        query: Text,
        census: Text,
        credential: Text,
        trusted_hosts: Vec<Text>,
        passes: Number<u32>,
        census_mode: Text,
        server_timeout: Text,
        client_timeout: Text,
    }
    /// `[source.files]`
    Files {
        paths: Vec<Text>,
    }
    /// `[source.synthetic]`
    Synthetic {
        conversations: Number<u64>,
        seed: Number<u64>,
        schema: Text,
    }
    /// `[window]`
    Window {
        last: Text,
        start: Text,
        end: Text,
        ingestion_lag: Text,
        slack: Text,
    }
    /// `[chunks]`
    Chunks {
        count: Number<u32>,
        max_attempts: Number<u32>,
        allow_missing: Number<u32>,
    }
    /// `[selection]`
    Selection {
        seed: Text,
        spare_percent: Number<f64>,
        split_by: Text,
        cut: Text,
        reject_quality: Vec<Text>,
        valid_for: Vec<Text>,
        max_tokens: Number<u64>,
        tokenizer: Text,
        exclude: Text,
        splits: Vec<Split>,
        buckets: Vec<Bucket>,
        targets: Targets,
    }
    /// `[[selection.splits]]`
    Split {
        name: Text,
        percent: Number<u32>,
    }
    /// `[[selection.buckets]]`
    Bucket {
        name: Text,
        turns: Vec<Number<u64>>,
        file: Text,
    }
    /// `[sink]`
    Sink {
        kind: Text,
        format: Text,
        sort_keys: Text,
        local: Local,
        azure_blob: AzureBlob,
    }
    /// `[sink.local]`
    Local {
        path: Text,
    }
    /// `[sink.azure_blob]`
    AzureBlob {
        account: Text,
        container: Text,
        prefix: Text,
        endpoint: Text,
        credential: Text,
        sas_file: Text,
        block: Text,
        checksum: Text,
        timeout: Text,
        retry_timeout: Text,
    }
    /// `[privacy]`
    Privacy {
        secrets: Text,
        personal: Text,
        users: Text,
        rules: Text,
        key_file: Text,
    }
    /// `[decontaminate]`
    Decontaminate {
        files: Vec<Benchmark>,
    }
    /// `[[decontaminate.files]]`
    Benchmark {
        path: Text,
        field: Text,
        name: Text,
    }
    /// `[near_duplicates]`
    NearDuplicates {
        scope: Text,
        threshold: Number<f64>,
    }
    /// `[workers]`
    Workers {
        fetchers: Number<usize>,
        validators: Number<usize>,
        uploaders: Number<usize>,
        restarts: Number<usize>,
        restart_window: Text,
        stall_timeout: Text,
    }
    /// `[chaos]`
    Chaos {
        seed: Number<u64>,
        faults: Number<usize>,
        max_hits: Number<u64>,
        stages: Vec<Text>,
        kinds: Vec<Text>,
        plan: Text,
    }
    /// `[output]`
    Output {
        r#for: Vec<Text>,
    }
    /// `[limits]`
    Limits {
        in_flight: Text,
        spool: Text,
        max_record: Text,
        max_malformed_percent: Number<f64>,
    }
}
