//! What `plan` says of groups (`selection.split_by`): how uneven they make the splits.

use serde_json::{Value, json};

use super::table::TextTable;
use super::words::count;
use crate::domain::dataset::groups::Spread;
use crate::domain::selection::group::GroupField;

/// For a program.
pub fn record(field: &GroupField, spread: &Spread) -> Value {
    let splits = spread.splits.iter().map(|split| {
        json!({
            "split": split.name,
            "percent": split.percent,
            "groups": split.groups,
            "conversations": split.conversations,
            "share_percent": share(split.conversations, spread.conversations()),
            "largest_group": split.largest,
        })
    });
    json!({
        "split_by": field.name(),
        "groups": spread.groups(),
        "conversations": spread.conversations(),
        "without_group": spread.without,
        "splits": splits.collect::<Vec<_>>(),
    })
}

/// The same for a person.
pub fn text(field: &GroupField, spread: &Spread) -> String {
    let all = spread.conversations();
    let mut table = TextTable::new(&[
        "split",
        "asked",
        "groups",
        "conversations",
        "share",
        "largest group",
    ]);
    let or_unknown = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
    for split in &spread.splits {
        table.row([
            split.name.clone(),
            format!("{} %", split.percent),
            or_unknown(split.groups),
            split.conversations.to_string(),
            format!("{} %", share(split.conversations, all)),
            match split.largest {
                None => "unknown".to_owned(),
                Some(largest) => format!("{largest} ({} %)", share(largest, all)),
            },
        ]);
    }
    let groups = match spread.groups() {
        None => String::new(),
        Some(groups) => format!(" in {}", count(groups, "group")),
    };
    let without = match spread.without {
        0 => String::new(),
        without => format!(", {without} of them without a group, which are invalid"),
    };
    format!(
        "split by {field}: {}{groups}{without}; whole groups make splits uneven:\n{}\n\n",
        count(all, "conversation"),
        table.for_stdout()
    )
}

/// In percent, with one decimal.
fn share(part: u64, of: u64) -> f64 {
    match of {
        0 => 0.0,
        of => (part as f64 * 1000.0 / of as f64).round() / 10.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_one_decimal() {
        assert_eq!(share(1, 3), 33.3);
        assert_eq!(share(0, 0), 0.0);
        assert_eq!(share(5, 5), 100.0);
    }
}
