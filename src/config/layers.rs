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

/// Environment variables that are keys: `GLEANER__SELECTION__SEED`.
const PREFIX: &str = "GLEANER__";

/// Where the settings of a run are written.
#[derive(Debug, Clone, Default)]
pub struct Layers {
    layers: Vec<Layer>,
}

#[derive(Debug, Clone)]
struct Layer {
    /// As an error names it.
    name: String,
    table: Table,
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
            error,
        })?;
        self.text(&path.display().to_string(), &text)
    }

    /// Adds a configuration text.
    ///
    /// # Errors
    /// As for a file.
    pub fn text(self, name: &str, text: &str) -> Result<Self, ConfigError> {
        let table = text.parse::<Table>().map_err(|error| ConfigError::Toml {
            path: PathBuf::from(name),
            error: error.to_string().trim_end().to_owned(),
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
        let mut merged = Self::default();
        for (name, value) in ours {
            let key = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            merged = merged.key(&format!("environment variable {name}"), &key, &value)?;
        }
        // One layer: two forms of a window in the environment are as wrong as in a file.
        let mut table = Table::new();
        for layer in &merged.layers {
            merge(&mut table, &layer.table);
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
            let one = Self::default().key(&format!("--set {pair}"), key.trim(), value)?;
            for layer in &one.layers {
                merge(&mut table, &layer.table);
            }
        }
        self.table("--set", table)
    }

    fn key(self, name: &str, key: &str, value: &str) -> Result<Self, ConfigError> {
        let mut table = Table::new();
        insert(&mut table, key, scalar(name, value)?);
        self.table(name, table)
    }

    /// Adds a table and checks it.
    ///
    /// # Errors
    /// If it has a key that is not known, or both forms of a window.
    pub fn table(mut self, name: &str, mut table: Table) -> Result<Self, ConfigError> {
        datetimes_to_text(&mut table);
        let layer = Layer {
            name: name.to_owned(),
            table,
        };
        extract(&Figment::from(&layer))?;
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
        error: "the value begins like a TOML list, table or text, but is none".to_owned(),
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
