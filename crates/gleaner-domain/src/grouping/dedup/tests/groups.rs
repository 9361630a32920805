//! The groups of conversations that come out of the index.

use super::*;
use crate::selection::group::{Group, GroupField, GroupMark};

/// What a row says of its user.
pub(super) fn user_of(row: &str) -> GroupMark {
    let field = GroupField::new("userName").expect("a field");
    let group = field.of_record(row.as_bytes()).expect("JSON");
    group.mark()
}

/// The groups of whole conversations, by id, with their turns.
fn groups(rows: &[&str]) -> BTreeMap<String, (u64, GroupMark)> {
    let selection = selection(1);
    let rows = rows.iter().map(|row| (*row).to_owned()).collect::<Vec<_>>();
    let mut index = Index::default();
    index.observe(&Given::new(&rows).batch(&selection));
    let closing = Closing {
        assembler: Assembler::new(&selection, Nested::AsIs),
        selection: &selection,
        max_record: u64::MAX,
        keep_cut: false,
        trusts_checksums: false,
    };
    let mut read = |at: &Position, out: &mut Vec<u8>| -> Result<(), JsonError> {
        out.extend_from_slice(rows[at.offset as usize].as_bytes());
        Ok(())
    };
    let mut found = BTreeMap::new();
    let all = 0..index.conversations();
    let closed = index.close(all, &closing, &mut read, &mut |whole| {
        let id = String::from_utf8_lossy(whole.id).into_owned();
        found.insert(id, (whole.turns, whole.group));
    });
    closed.expect("they can be read");
    found
}

#[test]
fn a_conversation_has_the_group_of_its_record() {
    let turn = |id: &str, turn: u32, second: u32, user: &str| {
        format!(
            r#"{{"conversationId":"{id}","turnIndex":{turn},"Timestamp":"2026-01-01T00:00:{second:02}Z","mode":"agent","userMessage":"u","userName":{user}}}"#
        )
    };
    let rows = [
        turn("late", 2, 2, r#""bob""#),
        turn("late", 1, 1, r#"" ""#),
        turn("again", 1, 1, r#""old""#),
        turn("again", 1, 2, r#""new""#),
        turn("number", 1, 1, "7"),
        turn("number", 2, 2, r#""bob""#),
        turn("nobody", 1, 1, "null"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let mark = |user: &str| Group::of_text(user).mark();
    let expected = [
        ("again", (1, mark("new"))),
        ("late", (2, mark("bob"))),
        ("nobody", (1, GroupMark::ABSENT)),
        ("number", (2, GroupMark::NO_TEXT)),
    ];
    let expected = expected.map(|(id, of)| (id.to_owned(), of));
    assert_eq!(groups(&rows), BTreeMap::from(expected.clone()));
    let mut backwards = rows;
    backwards.reverse();
    assert_eq!(groups(&backwards), BTreeMap::from(expected));
    let whole = |id: &str, turns: &str, user: &str| {
        format!(r#"{{"conversationId":"{id}","turnsArray":[{turns}],"userName":{user}}}"#)
    };
    let rows = [
        whole("a", "{}", r#""loser""#),
        whole("a", "{},{}", r#""ann""#),
        whole("b", "{}", "null"),
    ];
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let expected = [("a", (2, mark("ann"))), ("b", (1, GroupMark::ABSENT))];
    let expected = expected.map(|(id, of)| (id.to_owned(), of));
    assert_eq!(groups(&rows), BTreeMap::from(expected));
}
