//! `selection.split_by`, from SPEC Step 3: the text of a record's field decides the split. A record in which it is
//! absent, blank or no text is invalid, and counted where its id belongs.

use super::json::{Object, as_text, has_lone_surrogate};
use super::{Asked, split_of};

/// The text that names a record's group.
fn group(record: &str, asked: &Asked) -> Option<String> {
    let mut object: Object = serde_json::from_str(record).expect("checked");
    let mut names = asked.split_by.as_deref()?.split('.').peekable();
    loop {
        let name = names.next().expect("a path has a name");
        let value = object.get(name)?;
        if names.peek().is_none() {
            let text = as_text(Some(value)).filter(|_| !has_lone_surrogate(value.get()));
            return text.filter(|text| !text.chars().all(char::is_whitespace));
        }
        object = serde_json::from_str(value.get()).ok()?;
    }
}

/// Whether a record has no group, where it must have one.
pub fn is_missing(record: &str, asked: &Asked) -> bool {
    asked.split_by.is_some() && group(record, asked).is_none()
}

/// The split of a record.
pub fn split_of_record(id: &str, record: &str, asked: &Asked) -> &'static str {
    match group(record, asked) {
        Some(group) => split_of(&group),
        None => split_of(id),
    }
}
