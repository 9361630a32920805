//! `selection.targets` as it is written: numbers by split and bucket, or `all`.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::domain::selection::stratum::ALL;

/// Records wanted, by split and bucket.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// `"all"`: all that is valid, in every stratum.
    All,
    /// So many of each; a stratum that is not named has the default.
    Each(BTreeMap<String, BTreeMap<String, Target>>),
}

/// Records wanted in a stratum: a number, or all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target(pub u64);

impl Default for Targets {
    fn default() -> Self {
        Self::Each(BTreeMap::new())
    }
}

struct TargetsVisitor;

impl<'de> Visitor<'de> for TargetsVisitor {
    type Value = Targets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table by split and bucket, or \"all\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Targets, E> {
        match text {
            "all" => Ok(Targets::All),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Targets, A::Error> {
        Deserialize::deserialize(de::value::MapAccessDeserializer::new(map)).map(Targets::Each)
    }
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetsVisitor)
    }
}

struct TargetVisitor;

impl Visitor<'_> for TargetVisitor {
    type Value = Target;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number that is not negative, or \"all\"")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Target, E> {
        match text.trim() {
            "all" => Ok(Target(ALL)),
            number => number
                .parse()
                .map(Target)
                .map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self)),
        }
    }

    fn visit_i64<E: de::Error>(self, n: i64) -> Result<Target, E> {
        self.visit_str(&n.to_string())
    }

    fn visit_u64<E: de::Error>(self, n: u64) -> Result<Target, E> {
        self.visit_str(&n.to_string())
    }
}

impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TargetVisitor)
    }
}
