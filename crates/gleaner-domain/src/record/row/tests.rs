use super::super::validation::validate;
use super::*;
use crate::selection::stratum::fixtures::selection;

fn read(row: &[u8]) -> Result<Row<'_>, MalformedReason> {
    super::read(row, &selection(1)).map_err(|malformed| malformed.reason)
}

/// The id of a row that must be malformed, as both ways to it find it.
#[track_caller]
fn id_of(row: &[u8]) -> Option<String> {
    let malformed = super::read(row, &selection(1)).expect_err("malformed");
    assert_eq!(malformed.id, readable_id(row));
    let id = malformed.id?;
    Some(String::from_utf8(id.into_owned()).expect("UTF-8"))
}

#[test]
fn a_malformed_row_names_its_conversation() {
    let a = Some("a".to_owned());
    for text in [
        turn_row(r#","turnIndex":"3""#),
        turn_row(r#","turnIndex":1"#).replace("2025-01-01T", "1 January "),
        turn_row(r#","turnIndex":1,"turnIndex":1"#),
        turn_row(r#","turnsArray":[1]"#),
        turn_row(r#","turnIndex":1"#) + "x",
        turn_row("").replace(r#""a""#, r#""\u0061""#),
        r#"{"conversation\u0049d":"a","turnIndex":1,"userMess"#.to_owned(),
        r#"{"conversationId":"a""#.to_owned(),
        r#"{"conversationId" : "a" , "x":[{"conversationId":"b"}],"y":nul"#.to_owned(),
        format!(r#"{{"conversationId":"a","x":{}"#, "[".repeat(200)),
    ] {
        assert_eq!(id_of(text.as_bytes()), a, "{text}");
    }
    let bytes = b"{\"userName\":\"\xff\",\"conversationId\":\"a\"}";
    assert_eq!(readable_id(bytes).as_deref(), Some(&b"a"[..]));
}

#[test]
fn a_row_whose_id_is_cut_doubled_nested_or_unusable_names_none() {
    for text in [
        "",
        "nul",
        r#"["conversationId","a"]"#,
        r#"{"conversationId":"a"#,
        r#"{"conversationId":5,"turnIndex":1}"#,
        r#"{"conversationId":"","turnIndex":1}"#,
        r#"{"conversationId":"\ud83d","turnIndex":1}"#,
        r#"{"conversationId":"a","conversationId":"a"}"#,
        r#"{"conversationId":"a","turnIndex":1,"conversationId":"b"#,
        r#"{"conversationid":"a","x":{"conversationId":"b"}}"#,
        r#"{"x":nul,"conversationId":"a"}"#,
    ] {
        assert_eq!(id_of(text.as_bytes()), None, "{text}");
    }
    let bytes = b"{\"conversationId\":\"\xff\",\"x\":1}";
    assert_eq!(readable_id(bytes), None, "an id is UTF-8");
}

fn turn_row(rest: &str) -> String {
    format!(r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"a","mode":"agent"{rest}}}"#)
}

#[test]
fn a_turn_row_is_read() {
    let text = turn_row(r#","turnIndex":3.0,"trajectory":[{"turnIndex":"x"}]"#);
    let row = read(text.as_bytes()).expect("good");
    assert_eq!(&*row.id, b"a");
    let at = 1_735_689_600 * timestamp::TICKS_PER_SECOND;
    assert_eq!(
        row.kind,
        RowKind::Turn {
            turn: 3,
            at,
            agent: true
        }
    );
}

#[test]
fn a_conversation_is_recognized_by_its_turns() {
    let text = turn_row(r#","turnIndex":"no matter","turnsArray":[{},{"turnIndex":1}]"#);
    let row = read(text.as_bytes()).expect("good");
    assert_eq!(
        row.kind,
        RowKind::Conversation {
            turns: 2,
            prevalidated: false
        }
    );
}

#[test]
fn every_malformed_row_has_its_reason() {
    use MalformedReason::*;
    for (text, reason) in [
        ("".to_owned(), NotJson),
        ("nul".to_owned(), NotJson),
        ("[1]".to_owned(), NotAnObject),
        (turn_row(r#","turnIndex":1"#) + "x", NotJson),
        (turn_row(r#","turnIndex":1"#).replace('}', ""), NotJson),
        (turn_row(""), NoSchema),
        (turn_row(r#","turnIndex":1,"mode":"edit""#), DuplicateField),
        (
            turn_row(r#","turnIndex":1,"turn\u0049ndex":1"#),
            DuplicateField,
        ),
        (
            turn_row(r#","turnsArray":[{"userMessage":1,"userMessage":2}]"#),
            DuplicateField,
        ),
        (turn_row(r#","turnIndex":"3""#), TurnIndex),
        (turn_row(r#","turnIndex":3.5"#), TurnIndex),
        (turn_row(r#","turnIndex":null"#), TurnIndex),
        (turn_row(r#","turnsArray":null"#), TurnsArray),
        (turn_row(r#","turnsArray":{}"#), TurnsArray),
        (turn_row(r#","turnsArray":[{},1]"#), TurnNotObject),
        (
            turn_row(r#","turnIndex":1"#).replace(r#""a""#, r#""""#),
            ConversationId,
        ),
        (
            turn_row(r#","turnIndex":1"#).replace(r#""a""#, "5"),
            ConversationId,
        ),
        (
            turn_row(r#","turnIndex":1"#).replace(r#""a""#, r#""\ud83d""#),
            ConversationId,
        ),
        (
            turn_row(r#","turnIndex":1"#).replace("2025-01-01T", "1 January "),
            Timestamp,
        ),
        (
            turn_row(&format!(
                r#","turnIndex":1,"x":{}1{}"#,
                "[".repeat(200),
                "]".repeat(200)
            )),
            TooDeep,
        ),
    ] {
        assert_eq!(read(text.as_bytes()).map(|_| ()), Err(reason), "{text}");
    }
}

#[test]
fn other_modes_are_not_agent() {
    for mode in [r#""Agent""#, r#""edit""#, "null", "1", r#""agent ""#] {
        let text = turn_row(r#","turnIndex":1"#).replace(r#""agent""#, mode);
        let row = read(text.as_bytes()).expect("good");
        assert!(
            matches!(row.kind, RowKind::Turn { agent: false, .. }),
            "{mode}"
        );
    }
    let text = turn_row(r#","turnIndex":1"#).replace(r#""agent""#, r#""\u0061gent""#);
    assert!(matches!(
        read(text.as_bytes()).expect("good").kind,
        RowKind::Turn { agent: true, .. }
    ));
}

#[test]
fn a_flawless_row_is_one_that_the_rules_find_nothing_in() {
    let good = r#"{"conversationId":"World","userName":"n","turnCount":3,"bucket":"short","turnsArray":[{"turnIndex":1,"userMessage":"u","modelMessage":"m"},{"turnIndex":2,"userMessage":"u","modelMessage":"m"},{"turnIndex":3,"userMessage":"u","modelMessage":"m"}],"promptTokens":1,"completionTokens":0}"#;
    let changes = [
        ("", ""),
        ("World", " "),
        ("\"n\"", "\" \""),
        ("\"n\"", "null"),
        ("\"turnCount\":3", "\"turnCount\":4"),
        ("short", "long"),
        ("\"short\"", "null"),
        ("short", "short_3_to_5_turns"),
        ("\"turnIndex\":1", "\"turnIndex\":0"),
        ("\"turnIndex\":2", "\"turnIndex\":3"),
        ("\"turnIndex\":2", "\"turnIndex\":2.0"),
        ("\"u\"", "\" \""),
        ("\"m\"", "\"\""),
        ("\"promptTokens\":1", "\"promptTokens\":0"),
        ("\"completionTokens\":0", "\"completionTokens\":-1"),
        ("\"u\"", "\"\\ud83d\""),
    ];
    for (from, to) in changes {
        let row = good.replacen(from, to, 1);
        let kind = read(row.as_bytes()).expect("good").kind;
        let id = if to == " " { " " } else { "World" };
        let split = &selection(1).split_of(id.as_bytes()).name.clone();
        let verdict = validate(row.as_bytes(), split, &selection(1)).expect("an object");
        let nothing = verdict.is_valid() && verdict.warnings.is_empty();
        let prevalidated = matches!(
            kind,
            RowKind::Conversation {
                prevalidated: true,
                ..
            }
        );
        assert_eq!(prevalidated, nothing, "{from} -> {to}");
    }
    let paired = good.replacen("\"u\"", "\"\\ud83d\\ude42\"", 1);
    let kind = read(paired.as_bytes()).expect("good").kind;
    assert!(
        matches!(
            kind,
            RowKind::Conversation {
                prevalidated: false,
                ..
            }
        ),
        "in doubt it is judged again"
    );
}

#[test]
fn a_census_row_is_read() {
    let row = |id: &str, turns: &str, last: &str| {
        format!(r#"{{"conversationId":{id},"turnCount":{turns},"lastTimestamp":{last},"x":0}}"#)
    };
    let read = |text: &str| {
        let row = read_census(text.as_bytes()).map_err(|malformed| malformed.reason)?;
        Ok((row.id.into_owned(), row.kind))
    };
    let (id, last) = (r#""\u0061""#, r#""1970-01-01T00:00:01Z""#);
    for (turns, expected) in [
        ("3", 3),
        ("3.0", 3),
        ("0", 0),
        ("-5", 0),
        ("2147483647", i32::MAX as u32),
        ("9000000000", i32::MAX as u32),
    ] {
        let kind = RowKind::Census {
            turns: expected,
            last: timestamp::TICKS_PER_SECOND,
            group: GroupMark::ABSENT,
        };
        assert_eq!(read(&row(id, turns, last)), Ok((b"a".to_vec(), kind)));
    }
    for (residue, expected) in [("51", Some(51)), ("100", None), ("null", None)] {
        let row = row(id, "3", last).replace('}', &format!(",\"groupResidue\":{residue}}}"));
        match read(&row) {
            Ok((_, RowKind::Census { group, .. })) => assert_eq!(group.residue(), expected),
            other => panic!("{other:?}"),
        }
    }
    for (text, reason) in [
        (row("\"\"", "3", last), MalformedReason::ConversationId),
        (row("7", "3", last), MalformedReason::ConversationId),
        (row(id, "null", last), MalformedReason::TurnIndex),
        (row(id, "\"3\"", last), MalformedReason::TurnIndex),
        (row(id, "3", "null"), MalformedReason::Timestamp),
        (row(id, "3", "\"today\""), MalformedReason::Timestamp),
        ("[]".to_owned(), MalformedReason::NotJson),
    ] {
        assert_eq!(read(&text), Err(reason), "{text}");
    }
}

#[test]
fn white_space_is_cut_off_around_a_line_and_not_within() {
    for (line, text) in [
        ("", ""),
        (" \t\r\n", ""),
        ("a", "a"),
        (" a", "a"),
        ("a\r\n", "a"),
        ("\t a  b \n", "a  b"),
        // Space, but not to JSON.
        ("\u{a0}a\u{b}", "\u{a0}a\u{b}"),
    ] {
        assert_eq!(trim(line.as_bytes()), text.as_bytes(), "{line:?}");
    }
}
