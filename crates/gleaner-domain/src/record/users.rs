//! The users that a row names.

use super::fields::{Field, key_text};
use crate::json::{JsonError, Kind, Scanner};

/// Visits the `userName` of the row of a turn or a conversation, and of each turn in it.
///
/// # Errors
/// If the row is not one that could be read.
pub fn of_row(row: &[u8], mut visit: impl FnMut(&[u8])) -> Result<(), JsonError> {
    members(&mut Scanner::new(row), true, &mut visit)
}

fn members(
    scanner: &mut Scanner<'_>,
    is_row: bool,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<(), JsonError> {
    scanner.each_member(|key, scanner| {
        let field = Field::named(key);
        if is_row && field == Some(Field::TurnsArray) && scanner.kind()? == Kind::Array {
            return scanner.each_element(|turn| match turn.kind()? {
                Kind::Object => members(turn, false, visit),
                _ => turn.value().map(drop),
            });
        }
        let value = scanner.value()?;
        if field == Some(Field::UserName) && value.kind == Kind::String {
            visit(&key_text(&value));
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_users_of_a_row_are_its_own_and_those_of_its_turns() {
        let row = r#"{"userName":"ann","turnsArray":[{"userName":"b\u006fb","trajectory":[{"userName":"x"}]},3,{"userName":null}],"other":{"userName":"y"}}"#;
        let mut users = Vec::new();
        of_row(row.as_bytes(), |name| {
            users.push(String::from_utf8_lossy(name).into_owned());
        })
        .expect("JSON");
        assert_eq!(users, ["ann", "bob"]);
    }
}
