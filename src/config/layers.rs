//! Layers: defaults, file, environment, `--set`, flags. A later one beats an earlier one, key by
//! key; lists are replaced as a whole; the two forms of a window replace each other.

use std::path::{Path, PathBuf};

use figment::error::Kind;
use figment::providers::Serialized;
use figment::value::{Dict, Map};
use figment::{Figment, Metadata, Profile, Provider};
use toml::{Table, Value};

use super::ConfigError;
use super::raw;
use super::renamed::{self, find, take};

/// Environment variables that are keys: `GLEANER__SELECTION__SEED`.
const PREFIX: &str = "GLEANER__";

/// The places where settings are written.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    layers: Vec<Layer>,
    /// What `--test` sets: stronger than the defaults, weaker than what the user sets.
    preset: Table,
}

#[derive(Debug, Clone)]
struct Layer {
    /// As an error names it.
    name: String,
    table: Table,
    /// Whether it is a file. Only the error of a file names the key itself.
    is_file: bool,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Serialized::defaults(&self.table).data()
    }
}

impl Layers {
    /// Adds a configuration file.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or has a key that is not known.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Unreadable {
            path: path.to_owned(),
            source: error,
        })?;
        let before = self.layers.len();
        let mut layers = self.text(&path.display().to_string(), &text)?;
        for layer in layers.layers.iter_mut().skip(before) {
            layer.is_file = true;
        }
        Ok(layers)
    }

    /// Adds a configuration text.
    ///
    /// # Errors
    /// As for a file.
    pub fn text(self, name: &str, text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| ConfigError::Toml {
            path: PathBuf::from(name),
            reason: error.to_string().trim_end().to_owned(),
        })?;
        self.table(name, table)
    }

    /// Adds environment variables; those without the prefix are not ours.
    ///
    /// # Errors
    /// If one names a key that is not known.
    pub fn env(
        self,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut ours: Vec<_> = variables
            .filter(|(name, _)| name.starts_with(PREFIX))
            .collect();
        ours.sort();
        // One layer: two forms of a window in the environment are as wrong as in a file.
        let mut table = Table::new();
        for (name, value) in ours {
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            let variable = format!("environment variable {name}");
            merge(&mut table, &one_key(&variable, &key, &value)?);
        }
        self.table("the environment", table)
    }

    /// Adds `--set KEY=VALUE`s: one layer.
    ///
    /// # Errors
    /// If one is no pair or names a key that is not known.
    pub fn set(self, pairs: &[String]) -> Result<Self, ConfigError> {
        let mut table = Table::new();
        for pair in pairs {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| ConfigError::NoPair(pair.clone()))?;
            let one = one_key(&format!("--set {pair}"), key.trim(), value)?;
            merge(&mut table, &one);
        }
        self.table("--set", table)
    }

    /// Adds a table and checks it.
    ///
    /// # Errors
    /// If it has a key that is not known, or both forms of a window.
    pub fn table(mut self, name: &str, table: Table) -> Result<Self, ConfigError> {
        let (layer, warnings) = checked(name, table)?;
        for warning in warnings {
            tracing::warn!("{warning}");
        }
        let (last, between) = window_forms(&layer.table);
        if last && between {
            return Err(ConfigError::TwoWindows(layer.name));
        }
        for weaker in &mut self.layers {
            drop_window(&mut weaker.table, between, last);
        }
        if !layer.table.is_empty() {
            self.layers.push(layer);
        }
        Ok(self)
    }

    /// Sets values that everything else beats but the defaults. A value in a file that is the
    /// default does not: files often list every key.
    #[must_use]
    pub fn preset(mut self, preset: Table) -> Self {
        self.preset = preset;
        self
    }

    /// The defaults with the preset above, and these layers without what files say that is the
    /// default anyway where the preset says something else.
    pub(super) fn over(&self, defaults: Table) -> Result<(Self, Self), ConfigError> {
        let mut above = self.clone();
        let files = above.layers.iter_mut().filter(|layer| layer.is_file);
        for layer in files {
            for key in leaves(&self.preset, "") {
                if find(&layer.table, &key)
                    .is_some_and(|value| Some(value) == find(&defaults, &key))
                {
                    take(&mut layer.table, &key);
                }
            }
        }
        let below = Self::default()
            .table("defaults", defaults)?
            .table("--test", self.preset.clone())?;
        Ok((below, above))
    }

    /// Puts stronger layers above these.
    pub(super) fn extend(&mut self, stronger: &Self) {
        self.layers.extend(stronger.layers.iter().cloned());
    }

    /// All layers together.
    ///
    /// # Errors
    /// If the values of two layers do not fit together.
    pub fn merged(&self) -> Result<raw::Config, ConfigError> {
        extract(&self.layers.iter().fold(Figment::new(), Figment::merge))
    }
}

/// A table as a layer, with the warnings about old names in it.
fn checked(name: &str, mut table: Table) -> Result<(Layer, Vec<String>), ConfigError> {
    datetimes_to_text(&mut table);
    let warnings = renamed::rename(name, &mut table)?;
    let layer = Layer {
        name: name.to_owned(),
        table,
        is_file: false,
    };
    extract(&Figment::from(&layer))?;
    Ok((layer, warnings))
}

/// A table with one key, checked by itself so that an error names where it was written; as it was
/// written, because an old and a new name of one key must not both be in the layer that it becomes
/// part of.
fn one_key(name: &str, key: &str, value: &str) -> Result<Table, ConfigError> {
    let mut table = Table::new();
    insert(&mut table, key, scalar(name, value)?);
    checked(name, table.clone())?;
    Ok(table)
}

fn extract(figment: &Figment) -> Result<raw::Config, ConfigError> {
    figment.extract().map_err(|error| {
        let layer = error
            .metadata
            .as_ref()
            .map_or_else(String::new, |m| m.name.to_string());
        let mut path = error.path.clone();
        if let Kind::UnknownField(name, known) = &error.kind {
            if path.last() != Some(name) {
                path.push(name.clone());
            }
            return ConfigError::UnknownKey {
                layer,
                key: path.join("."),
                nearest: nearest(name, known),
                known: known.join(", "),
            };
        }
        ConfigError::Value {
            layer,
            key: path.join("."),
            reason: error.kind.to_string(),
        }
    })
}

/// The known name that is written most alike, if any is alike.
pub(super) fn nearest(name: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min()
        .map(|(_, candidate)| (*candidate).to_owned())
}

/// A value as a person types it: a list, a table or a quoted text is TOML, all else is text.
fn scalar(name: &str, value: &str) -> Result<Value, ConfigError> {
    if !value.starts_with(['[', '{', '"']) {
        return Ok(Value::String(value.to_owned()));
    }
    let table = format!("value = {value}").parse::<Table>();
    let parsed = table.ok().and_then(|mut table| table.remove("value"));
    parsed.ok_or_else(|| ConfigError::Toml {
        path: PathBuf::from(name),
        reason: "the value begins like a TOML list, table or text, but is none".to_owned(),
    })
}

/// Sets a dotted key.
pub(crate) fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = table
                .entry(first)
                .or_insert_with(|| Value::Table(Table::new()));
            if !inner.is_table() {
                *inner = Value::Table(Table::new());
            }
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// The dotted keys of all values.
fn leaves(table: &Table, path: &str) -> Vec<String> {
    let of_key = |(key, value): (&String, &Value)| match value {
        Value::Table(inner) => leaves(inner, &format!("{path}{key}.")),
        _ => vec![format!("{path}{key}")],
    };
    table.iter().flat_map(of_key).collect()
}

fn merge(into: &mut Table, from: &Table) {
    for (key, value) in from {
        match (into.get_mut(key), value) {
            (Some(Value::Table(into)), Value::Table(from)) => merge(into, from),
            _ => {
                into.insert(key.clone(), value.clone());
            }
        }
    }
}

/// TOML has dates of its own; for us they are text.
fn datetimes_to_text(table: &mut Table) {
    for (_, value) in table.iter_mut() {
        match value {
            Value::Datetime(at) => *value = Value::String(at.to_string()),
            Value::Table(inner) => datetimes_to_text(inner),
            _ => {}
        }
    }
}

fn window(table: &Table) -> Option<&Table> {
    table.get("window").and_then(Value::as_table)
}

/// Whether a layer has `last`, and whether it has `start` or `end`.
fn window_forms(table: &Table) -> (bool, bool) {
    let has = |key: &str| window(table).is_some_and(|window| window.contains_key(key));
    (has("last"), has("start") || has("end"))
}

fn drop_window(table: &mut Table, last: bool, between: bool) {
    if let Some(Value::Table(window)) = table.get_mut("window") {
        if last {
            window.remove("last");
        }
        if between {
            window.remove("start");
            window.remove("end");
        }
    }
}
