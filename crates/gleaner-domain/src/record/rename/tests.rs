use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::*;

fn renames(pairs: &[(&str, &str)]) -> Result<Renames, RenameError> {
    let owned = |&(name, path): &(&str, &str)| (name.to_owned(), path.to_owned());
    Renames::new(pairs.iter().map(owned))
}

fn applied(pairs: &[(&str, &str)], row: &str) -> String {
    let mut out = b"before".to_vec();
    renames(pairs)
        .expect("good")
        .apply(row.as_bytes(), &mut out);
    String::from_utf8(out.split_off(6)).expect("UTF-8")
}

const SNAKE: [(&str, &str); 4] = [
    ("Timestamp", "timestamp"),
    ("conversationId", "meta.session.id"),
    ("turnIndex", "turn_index"),
    ("userMessage", "user.text"),
];

#[test]
fn fields_are_moved_to_their_names() {
    for (row, expected) in [
        (
            r#"{"timestamp" : "t", "x":[1, 2] , "turn\u005findex":3}"#,
            r#"{"Timestamp":"t","x":[1, 2],"turnIndex":3}"#,
        ),
        // An object that nothing is left in goes; what else is in it stays.
        (
            r#"{"meta":{"session":{"id":"a"}},"user":{"name":"n","text":"u"}}"#,
            r#"{"conversationId":"a","userMessage":"u","user":{"name":"n"}}"#,
        ),
        (
            r#"{"meta":{"session":{"id":"a","k": 1},"v":{}}}"#,
            r#"{"conversationId":"a","meta":{"session":{"k":1},"v":{}}}"#,
        ),
        // What is no object, or was empty before, is left alone.
        (
            r#"{"meta":{"session":{}},"user":{}}"#,
            r#"{"meta":{"session":{}},"user":{}}"#,
        ),
        (
            r#"{"meta":[{"session":1}],"user":null}"#,
            r#"{"meta":[{"session":1}],"user":null}"#,
        ),
        // A name with dots is a name, too.
        (r#"{"meta.session.id":"a"}"#, r#"{"conversationId":"a"}"#),
        (
            r#"{"meta":{"session.id":"a"}}"#,
            r#"{"conversationId":"a"}"#,
        ),
        // Both names: a field twice, which makes the row malformed.
        (
            r#"{"Timestamp":1,"timestamp":2}"#,
            r#"{"Timestamp":1,"Timestamp":2}"#,
        ),
        ("{}", "{}"),
    ] {
        assert_eq!(applied(&SNAKE, row), expected, "{row}");
    }
}

#[test]
fn fields_of_turns_are_renamed_in_turns_too() {
    let pairs = [
        ("turnsArray", "history"),
        ("turnIndex", "index"),
        ("userMessage", "body.user"),
        ("userName", "user"),
    ];
    assert_eq!(
        applied(
            &pairs,
            r#"{"user":"n","history":[{"index":1,"body":{"user":"u"},"user":"x"}, 7]}"#
        ),
        r#"{"userName":"n","turnsArray":[{"turnIndex":1,"userMessage":"u","user":"x"},7]}"#
    );
    assert_eq!(
        applied(
            &pairs[1..],
            r#"{"turnsArray":[ {"index":1} ],"history":[{"index":1}]}"#
        ),
        r#"{"turnsArray":[{"turnIndex":1}],"history":[{"index":1}]}"#
    );
}

#[test]
fn names_can_be_exchanged() {
    let pairs = [
        ("userMessage", "modelMessage"),
        ("modelMessage", "userMessage"),
    ];
    assert_eq!(
        applied(&pairs, r#"{"userMessage":"a","modelMessage":"b"}"#),
        r#"{"modelMessage":"a","userMessage":"b"}"#
    );
}

#[test]
fn what_is_wrong_with_a_row_stays_wrong_with_it() {
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let deep_row = format!(r#"{{"timestamp":1,"x":{deep}}}"#);
    let deep_expected = format!(r#"{{"Timestamp":1,"x":{deep}}}"#);
    for (row, expected) in [
        ("", ""),
        ("[1]", "[1]"),
        ("nul", "nul"),
        ("{", "{"),
        // Up to where it breaks off it is renamed: its id can be read.
        (
            r#"{"meta":{"session":{"id":"a"}}, "user":{"text":"u"#,
            r#"{"conversationId":"a", "user":{"text":"u"#,
        ),
        (r#"{"timestamp":"t" "x":1}"#, r#"{"Timestamp":"t" "x":1}"#),
        (r#"{"timestamp":"t"} x"#, r#"{"Timestamp":"t"} x"#),
        (r#"{"timestamp":"t",}"#, r#"{"Timestamp":"t",}"#),
        (&deep_row, &deep_expected),
    ] {
        assert_eq!(applied(&SNAKE, row), expected, "{row}");
    }
}

#[test]
fn names_that_cannot_be_used_are_refused() {
    let error = |pairs: &[(&str, &str)]| renames(pairs).expect_err("wrong").to_string();
    assert_eq!(
        error(&[("conversationID", "id")]),
        r#""conversationID" is no field that gleaner reads"#
    );
    for path in ["", ".", "a.", ".a", "a..b"] {
        let said = error(&[("mode", path)]);
        assert!(
            said.starts_with(r#""mode" has no name in the input"#),
            "{said}"
        );
    }
    assert_eq!(
        error(&[("mode", "a"), ("userName", "a")]),
        r#""mode" and "userName" are both taken from "a""#
    );
    assert_eq!(
        error(&[("mode", "a.b"), ("userName", "a")]),
        r#""mode" and "userName" are both taken from "a""#
    );
    assert!(renames(&[("mode", "a.b"), ("userName", "a.c"), ("bucket", "ab")]).is_ok());
    assert!(renames(&[("mode", "mode")]).expect("good").is_empty());
}

/// Renames the members of a value, the plain way.
fn renamed(value: &Value, pairs: &[(&str, &str)], is_turn: bool) -> Value {
    let mut out = Map::new();
    for (key, value) in value.as_object().expect("an object") {
        let pair = pairs.iter().find(|(name, path)| {
            path == key && (!is_turn || Field::of(name.as_bytes()).is_some_and(Field::is_of_turn))
        });
        let name = pair.map_or(key.as_str(), |(name, _)| name);
        let value = match value {
            Value::Array(turns) if name == "turnsArray" && !is_turn => {
                let each = turns.iter().map(|turn| match turn {
                    Value::Object(_) => renamed(turn, pairs, true),
                    other => other.clone(),
                });
                each.collect()
            }
            other => other.clone(),
        };
        out.insert(name.to_owned(), value);
    }
    Value::Object(out)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i32>().prop_map(Value::from),
        "[a-z\"\\\\\n]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "ts",
        "id",
        "idx",
        "q",
        "turns",
        "turnsArray",
        "x",
        "mode",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn renaming_a_row_is_renaming_its_text_first(
        members in prop::collection::vec((key(), value()), 0..6),
        pretty in any::<bool>(),
    ) {
        let mut row = Value::Object(members.into_iter().collect());
        let pairs = [
            ("Timestamp", "ts"), ("conversationId", "id"), ("turnIndex", "idx"),
            ("userMessage", "q"), ("turnsArray", "turns"),
        ];
        // Of both names only one.
        if row.get("turns").is_some() {
            row.as_object_mut().expect("an object").remove("turnsArray");
        }
        let text = match pretty {
            true => serde_json::to_string_pretty(&row).expect("JSON"),
            false => row.to_string(),
        };
        let found: Value = serde_json::from_str(&applied(&pairs, &text)).expect("JSON");
        prop_assert_eq!(found, renamed(&row, &pairs, false));
    }

    #[test]
    fn a_row_that_breaks_off_has_what_came_before(cut in 0usize..90) {
        let row = r#"{"ts":"2025","id":"a","body":{"q":"hello","y":[1,2]},"turns":[{"idx":1,"q":"u"}]}"#;
        let row = &row[..cut.min(row.len() - 1)];
        let pairs = [("conversationId", "id"), ("userMessage", "body.q"), ("turnsArray", "turns")];
        let out = applied(&pairs, row);
        prop_assert!(serde_json::from_str::<Value>(&out).is_err(), "{out}");
        prop_assert_eq!(out.contains(r#""conversationId":"a""#), cut >= 21, "{}", out);
    }
}

#[test]
fn the_paths_are_known() {
    let renames = renames(&SNAKE).expect("good");
    assert_eq!(json!(renames.paths())["conversationId"], "meta.session.id");
    assert_eq!(renames.name_of("turn_index"), "turnIndex");
    assert_eq!(renames.name_of("meta"), "meta");
}

#[test]
fn the_id_of_a_row_that_is_cut_is_found_under_its_name() {
    let row = br#"{"session":"a\u0062","text":"abc"#;
    let renamed = renames(&[("conversationId", "session")]).expect("good");
    assert_eq!(renamed.readable_id(row).as_deref(), Some(&b"ab"[..]));
    assert_eq!(Renames::default().readable_id(row), None);
    let own = br#"{"conversationId":"a","text":"abc"#;
    assert_eq!(
        Renames::default().readable_id(own).as_deref(),
        Some(&b"a"[..])
    );
    assert_eq!(renamed.readable_id(own).as_deref(), Some(&b"a"[..]));
}
