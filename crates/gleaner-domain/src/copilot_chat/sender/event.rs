//! One event, and the row that it becomes.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::units::{self, Units, of_text, write_json};
use crate::copilot_chat::split::{CUT, MOST_PARTS};
use crate::record::timestamp;

/// An event with what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it is sent, in milliseconds since 1970.
    pub at_ms: i64,
    /// How many events it stands for.
    pub item_count: u64,
    name: &'static str,
    properties: Vec<(String, Units)>,
    measurements: Vec<(&'static str, u64)>,
}

/// How a value is split that is too long for a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Splitting {
    /// It is not: the SDK cuts it.
    None,
    /// Into parts with numbers, as many as there may be.
    Numbered,
    /// The beginning stays, all of it comes compressed.
    Compressed,
    /// The same, also if it is short.
    AlwaysCompressed,
}

impl Event {
    /// An event that says nothing yet.
    pub fn new(at_ms: i64, name: &'static str) -> Self {
        Self {
            at_ms,
            item_count: 1,
            name,
            properties: Vec::new(),
            measurements: Vec::new(),
        }
    }

    /// Its name without the prefix.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// With a property.
    #[must_use]
    pub fn with(self, key: &str, text: &str) -> Self {
        self.with_units(key, of_text(text))
    }

    /// With a property of any units.
    #[must_use]
    pub fn with_units(mut self, key: &str, text: Units) -> Self {
        self.properties.push((key.to_owned(), text));
        self
    }

    /// With a property that may be too long for one. The parts of the compressed family are called
    /// after `family`.
    #[must_use]
    pub fn with_long(
        mut self,
        key: &str,
        family: &str,
        text: &[u16],
        splitting: Splitting,
    ) -> Self {
        let is_long = text.len() > CUT;
        match splitting {
            Splitting::Numbered if is_long => {
                for (number, part) in (1..=MOST_PARTS).zip(text.chunks(CUT)) {
                    let key = match number {
                        1 => key.to_owned(),
                        number => format!("{key}_{number:02}"),
                    };
                    self.properties.push((key, part.to_vec()));
                }
                self
            }
            Splitting::AlwaysCompressed => self.with_compressed(key, family, text),
            Splitting::Compressed if is_long => self.with_compressed(key, family, text),
            _ => self.with_units(key, text.to_vec()),
        }
    }

    fn with_compressed(mut self, key: &str, family: &str, text: &[u16]) -> Self {
        let beginning = text[..text.len().min(CUT)].to_vec();
        self.properties.push((key.to_owned(), beginning));
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        // Memory takes whatever is written.
        let _ = encoder.write_all(String::from_utf16_lossy(text).as_bytes());
        let packed = STANDARD.encode(encoder.finish().unwrap_or_default());
        for (number, part) in (1..=MOST_PARTS).zip(packed.as_bytes().chunks(CUT)) {
            let key = match number {
                1 => format!("{family}Chunk"),
                number => format!("{family}Chunk_{number}"),
            };
            let part = part.iter().map(|byte| u16::from(*byte)).collect();
            self.properties.push((key, part));
        }
        self
    }

    /// With a measurement.
    #[must_use]
    pub fn measuring(mut self, key: &'static str, number: u64) -> Self {
        self.measurements.push((key, number));
        self
    }

    /// Replaces the last property whose key begins so; says whether there is one.
    pub fn replace(&mut self, prefix: &str, change: impl FnOnce(&mut Units)) -> bool {
        let mut last = self.properties.iter_mut().rev();
        let found = last.find(|(key, _)| key.starts_with(prefix));
        found.map(|(_, text)| change(text)).is_some()
    }

    /// The row that the event becomes: the SDK trims every value and cuts it.
    #[must_use]
    pub fn row(&self) -> Vec<u8> {
        let at = timestamp::to_text(i128::from(self.at_ms) * 1_000_000);
        let mut out = format!(
            r#"{{"TenantId":"d0c05057-0000-0000-0000-3c932250155e","TimeGenerated":"{at}","UserId":"someValue.machineId","SDKVersion":"javascript:3.3.11","Properties":{{"#
        );
        for (place, (key, text)) in self.properties.iter().enumerate() {
            if place > 0 {
                out.push(',');
            }
            write_json(&of_text(key), &mut out);
            out.push(':');
            let text = units::trim(text);
            write_json(&text[..text.len().min(CUT)], &mut out);
        }
        out.push_str("},\"Measurements\":{");
        for (key, number) in &self.measurements {
            out.push_str(&format!("\"{key}\":{number},"));
        }
        let (name, count) = (self.name, self.item_count);
        out.push_str(&format!(
            r#""common.isVscodeTeamMember":0}},"SourceSystem":"Azure","Name":"GitHub.copilot-chat/{name}","ItemCount":{count},"Type":"AppEvents"}}"#
        ));
        out.into_bytes()
    }
}
