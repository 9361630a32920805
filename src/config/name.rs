//! The dataset's name: `{total}`, `{window}` and `{timestamp}` filled in.

use jiff::Timestamp;

use super::ConfigError;
use super::settings::{Settings, Span};
use crate::domain::record::timestamp::UtcInstant;

/// The name of a dataset whose run started at an instant.
///
/// # Errors
/// If the pattern has another placeholder, or the name is not one safe folder name.
pub fn dataset_name(settings: &Settings, started: Timestamp) -> Result<String, ConfigError> {
    let total = settings.selection.total();
    let total = match total {
        None => "all".to_owned(),
        Some(total) if total > 0 && total % 1000 == 0 => format!("{}k", total / 1000),
        Some(total) => total.to_string(),
    };
    let window = match settings.window.as_ref().map(|window| &window.span) {
        None => "all".to_owned(),
        Some(Span::Last { text, .. }) => text.replace(char::is_whitespace, ""),
        Some(Span::Between { start, end }) => {
            let side = |at: &Option<UtcInstant>| at.map_or_else(|| "open".to_owned(), compact);
            format!("{}_{}", side(start), side(end))
        }
    };
    let name = settings
        .name
        .replace("{total}", &total)
        .replace("{window}", &window)
        .replace(
            "{timestamp}",
            &started.strftime("%Y%m%d_%H%M%S").to_string(),
        );
    if is_folder_name(&name) {
        return Ok(name);
    }
    let reason = "it must be one folder's name of letters, digits, '.', '_' and '-'; the placeholders are {total}, {window} and {timestamp}";
    Err(ConfigError::Bad {
        key: "name",
        value: settings.name.clone(),
        reason: reason.to_owned(),
    })
}

/// Whether a dataset may be called so.
pub fn is_folder_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    begins_well && name.chars().all(plain) && name.len() <= 200
}

/// Whether every run of these settings has the same name.
pub fn is_fixed(settings: &Settings) -> bool {
    !settings.name.contains("{timestamp}")
}

/// `20250101`, or `20250101T120000Z` if it is not midnight.
fn compact(at: UtcInstant) -> String {
    let text = at.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    // The sign of a year before 0 stays.
    let digits = |text: &str| text.replace(['-', ':'], "");
    let sign = if date.starts_with('-') { "-" } else { "" };
    let date = format!("{sign}{}", digits(date));
    match time.get(..8) {
        None | Some("00:00:00") if !time.contains('.') => date,
        time => format!("{date}T{}Z", digits(time.unwrap_or_default())),
    }
}
