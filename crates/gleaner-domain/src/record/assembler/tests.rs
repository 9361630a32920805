use super::super::validation::validate;
use super::*;
use crate::json::MAX_DEPTH;
use crate::selection::kusto_hash;
use crate::selection::stratum::fixtures::selection;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn a_record_is_flawless_if_and_only_if_the_rules_find_nothing(
        id in prop_oneof![9 => Just("a"), 1 => Just(" ")],
        turns in prop::collection::vec(
            (
                prop_oneof![20 => Just(0), 1 => Just(1)],
                prop::sample::select(vec![r#""u""#, r#""u\"""#, r#"" ""#, "null", "5", r#""\u0020""#]),
                prop::sample::select(vec![r#""m""#, r#""m""#, r#""""#, "null", r#""\ude42""#]),
                prop::sample::select(vec!["1", "1", "0", "-9", "null"]),
                prop::sample::select(vec![r#""n""#, "null", r#"" ""#]),
            ),
            2..8,
        ),
        good in any::<bool>(),
    ) {
        let row = |(place, &(skip, user, model, tokens, name)): (i64, &(i64, _, _, _, _))| {
            let (user, model) = if good { (r#""u""#, r#""m""#) } else { (user, model) };
            let index = place + skip;
            format!(
                r#"{{"turnIndex":{index},"userName":{name},"userMessage":{user},"modelMessage":{model},"promptTokens":{tokens},"completionTokens":{tokens}}}"#
            )
        };
        let rows: Vec<String> = (1..).zip(&turns).map(row).collect();
        let rows = rows.iter().map(|row| row.as_bytes());
        let selection = selection(1);
        let mut record = Vec::new();
        let prevalidated = Assembler::new(&selection, Nested::AsIs)
            .from_turns(id, rows, &mut record)
            .expect("checked rows");
        let split = &selection.split_of(id.as_bytes()).name;
        let verdict = validate(&record, split, &selection).expect("an object");
        prop_assert_eq!(prevalidated, verdict.is_valid() && verdict.warnings.is_empty());
    }
}

#[test]
fn a_row_of_columns_is_flawless_only_if_the_rules_find_nothing() {
    let selection = selection(1);
    let assembler = Assembler::new(&selection, Nested::AsIs);
    let turn = |n: usize, more: &str| {
        format!(r#"{{"turnIndex":{n},"userMessage":"u","modelMessage":"m"{more}}}"#)
    };
    let turns = |n: usize| (1..=n).map(|n| turn(n, "")).collect::<Vec<_>>().join(",");
    let good = |turns: &str| {
        format!(
            r#"{{"conversationId":"c","userName":"n","turnCount":3,"bucket":"short","turnsArray":[{turns}],"promptTokens":1,"completionTokens":0}}"#
        )
    };
    let flawless = good(&turns(3));
    let changed = |from: &str, to: &str| {
        assert!(flawless.contains(from), "{from}");
        flawless.replacen(from, to, 1)
    };
    let cases = [
        (flawless.clone(), true),
        (changed(r#""turnCount":3,"bucket":"short","#, ""), true),
        (changed(r#""turnCount":3"#, r#""turnCount":4"#), false),
        (changed(r#""turnCount":3"#, r#""turnCount":null"#), false),
        (changed(r#""bucket":"short""#, r#""bucket":"long""#), false),
        (changed(r#""userName":"n""#, r#""userName":" ""#), false),
        (
            changed(r#""conversationId":"c""#, r#""conversationId":" ""#),
            false,
        ),
        (changed(r#""promptTokens":1"#, r#""promptTokens":0"#), false),
        (
            changed(r#""completionTokens":0"#, r#""completionTokens":null"#),
            false,
        ),
        (
            changed(r#""userMessage":"u""#, r#""userMessage":"\n""#),
            false,
        ),
        (
            changed(r#""modelMessage":"m""#, r#""modelMessage":null"#),
            false,
        ),
        (changed(r#""turnIndex":2"#, r#""turnIndex":4"#), false),
        (
            changed(r#""modelMessage":"m""#, r#""modelMessage":"\ude42""#),
            false,
        ),
        (changed("}]", r#","x":"\ude42"}]"#), false),
        (good(&turns(2)), false),
        (good(""), false),
    ];
    for (row, expected) in cases {
        let mut record = Vec::new();
        let found = assembler.from_columns(row.as_bytes(), &mut record);
        assert_eq!(found, Ok(expected), "{row}");
        let split = selection.split_of(b"c").name.clone();
        let verdict = validate(&record, &split, &selection).expect("an object");
        let is_flawless = verdict.is_valid() && verdict.warnings.is_empty();
        assert_eq!(is_flawless, expected, "{row}");
    }
}

fn assembled(nested: Nested, rows: &[&str]) -> String {
    let selection = selection(1);
    let rows = rows.iter().map(|row| row.as_bytes());
    let mut out = Vec::new();
    Assembler::new(&selection, nested)
        .from_turns("a\"b", rows, &mut out)
        .expect("checked rows");
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn turns_become_the_canonical_record() {
    let rows = [
        r#"{"turnIndex":1.0,"userName":" ","userMessage":"\u00e9\/","zz":1.50,"aa":{"b": 1,"a":2},"n":null,"promptTokens":3.0}"#,
        r#"{"turnIndex":2,"userName":"n","modelMessage":"m","trajectory":[ 1 ],"promptTokens":4,"completionTokens":"x","mode":"agent"}"#,
        r#"{"turnIndex":3,"userName":"late","trajectory":null,"Timestamp":"t","conversationId":"c"}"#,
    ];
    assert_eq!(
        assembled(Nested::AsIs, &rows),
        concat!(
            r#"{"conversationId":"a\"b","userName":"n","turnCount":3,"bucket":"short","turnsArray":["#,
            r#"{"turnIndex":1,"userMessage":"é/","modelMessage":null,"promptTokens":3.0,"completionTokens":null,"llmCallCount":null,"aa":{"b": 1,"a":2},"zz":1.50},"#,
            r#"{"turnIndex":2,"userMessage":null,"modelMessage":"m","promptTokens":4,"completionTokens":"x","llmCallCount":null,"trajectory":[ 1 ]},"#,
            r#"{"turnIndex":3,"userMessage":null,"modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null}],"#,
            r#""promptTokens":7,"completionTokens":null,"llmCallCount":null}"#
        )
    );
}

#[test]
fn the_length_is_known_without_the_record() {
    let selection = selection(1);
    let rows: [&[u8]; 2] = [
        br#"{"turnIndex":1,"userName":"\u00e9","promptTokens":5,"x":[1]}"#,
        br#"{"turnIndex":2,"userMessage":"\/"}"#,
    ];
    let assembler = Assembler::new(&selection, Nested::AsIs);
    for rows in [&rows[..], &rows[..1], &[]] {
        let mut record = Vec::new();
        assembler
            .from_turns("id", rows.iter().copied(), &mut record)
            .expect("checked");
        let each = rows
            .iter()
            .map(|row| Ok::<_, JsonError>(Cow::Borrowed(*row)));
        assert_eq!(
            assembler.length_of_turns("id", each),
            Ok(record.len() as u64)
        );
    }
}

#[test]
fn sorted_values_are_compact_and_sorted_at_every_level() {
    let row = r#"{"turnIndex":1,"trajectory":[ {"b": [1.0 ,{"z":1,"y":"\u0041\/"}], "a":null} ]}"#;
    assert!(
        assembled(Nested::Sorted, &[row])
            .contains(r#""trajectory":[{"a":null,"b":[1.0,{"y":"A/","z":1}]}]"#)
    );
}

#[test]
fn of_an_unknown_field_given_twice_the_last_one_counts() {
    let record = assembled(Nested::AsIs, &[r#"{"turnIndex":1,"x":1,"w":0,"x":2}"#]);
    assert!(record.contains(r#""w":0,"x":2}"#), "{record}");
}

#[test]
fn a_turn_of_many_unknown_fields_is_written_as_one_of_few() {
    let names = (0..5000).rev().map(|i| format!(r#","x{i:04}":1"#));
    let again = (0..5000).step_by(2).map(|i| format!(r#","x{i:04}":2"#));
    let row = format!(
        r#"{{"turnIndex":1{}}}"#,
        names.chain(again).collect::<String>()
    );
    let expected: String = (0..5000)
        .map(|i| format!(r#","x{i:04}":{}"#, 2 - i % 2))
        .collect();
    let record = assembled(Nested::AsIs, &[&row, r#"{"turnIndex":2,"x":1}"#]);
    assert!(record.contains(&format!(
        r#""llmCallCount":null{expected}}},{{"turnIndex":2"#
    )));
    let turn = members::turn_row_members(row.as_bytes()).expect("good");
    assert!(turn.unknown.is_empty(), "they are not held");
}

#[test]
fn column_rows_are_written_in_order() {
    let selection = selection(1);
    let row = r#"{"extra":null,"turnsArray":[{"turnIndex":2},{"userMessage":"u","turnIndex":1}],"conversationId":"c","bucket":"short"}"#;
    let mut out = Vec::new();
    Assembler::new(&selection, Nested::AsIs)
        .from_columns(row.as_bytes(), &mut out)
        .expect("good");
    assert_eq!(
        String::from_utf8(out).expect("UTF-8"),
        concat!(
            r#"{"conversationId":"c","userName":null,"turnCount":2,"bucket":"short","turnsArray":["#,
            r#"{"turnIndex":1,"userMessage":"u","modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null},"#,
            r#"{"turnIndex":2,"userMessage":null,"modelMessage":null,"promptTokens":null,"completionTokens":null,"llmCallCount":null}],"#,
            r#""promptTokens":null,"completionTokens":null,"llmCallCount":null,"extra":null}"#
        )
    );
}

#[test]
fn what_a_conversation_row_lacks_stands_before_its_closing_brace() {
    let selection = selection(1);
    let assembler = Assembler::new(&selection, Nested::AsIs);
    let filled = |row: &str| {
        let mut record = b"[\n".to_vec();
        record.extend_from_slice(row.as_bytes());
        assembler.fill(&mut record, 2).expect("a row");
        String::from_utf8(record.split_off(2)).expect("UTF-8")
    };
    let turns = r#""turnsArray": [{"bucket":"x"}, {},{ "turnCount":1}]"#;
    for (row, rest) in [
        (
            format!(r#"{{"conversationId":"c",{turns} "#),
            r#","turnCount":3,"bucket":"short"}"#,
        ),
        (
            format!(r#"{{"turnCount" : null,{turns}"#),
            r#","bucket":"short"}"#,
        ),
        (
            format!(r#"{{"buck\u0065t":"",{turns}"#),
            r#","turnCount":3}"#,
        ),
        (format!(r#"{{"bucket":"","turnCount":"3",{turns} "#), "}"),
        (
            r#"{"turnsArray":[ ]"#.to_owned(),
            r#","turnCount":0,"bucket":null}"#,
        ),
    ] {
        assert_eq!(filled(&(row.clone() + "}")), row + rest);
    }
}

#[test]
fn ties_look_at_a_user_name_that_is_no_text_as_it_stands() {
    let digest = |name: &str| {
        let row = format!(r#"{{"turnIndex":1,"userName":{name}}}"#);
        let key = TurnTieKey::of_row(row.as_bytes(), &selection(1));
        key.expect("good").digest
    };
    assert_eq!(digest("7"), digest(r#""7""#));
    assert_ne!(digest("7"), digest("null"));
    assert_eq!(digest("null"), digest(r#""""#));
}

#[test]
fn ties_look_at_messages_first_and_at_everything_else_then() {
    let key = |row: &str| TurnTieKey::of_row(row.as_bytes(), &selection(1)).expect("good");
    let base = key(r#"{"turnIndex":1,"userMessage":"a","modelMessage":"b"}"#);
    assert_eq!(base.messages, kusto_hash::hash("a\u{1f}b".as_bytes()));
    let other_tokens =
        key(r#"{"turnIndex":1,"userMessage":"a","modelMessage":"b","promptTokens":1}"#);
    assert_eq!(base.messages, other_tokens.messages);
    assert_ne!(base.digest, other_tokens.digest);
    let other_user = key(r#"{"turnIndex":1,"userMessage":"a","modelMessage":"b","userName":"u"}"#);
    assert_ne!(base.digest, other_user.digest);
    let reordered = key(r#"{"modelMessage":"\u0062","turnIndex":1.0,"userMessage":"a"}"#);
    assert_eq!(base, reordered);
}

#[test]
fn a_field_that_has_no_place_in_a_turn_is_an_unknown_one() {
    let row = r#"{"turnIndex":1,"turnCount":9,"bucket":"b","turnsArray":[],"mode":"agent"}"#;
    let record = assembled(Nested::AsIs, &[row]);
    let unknown = r#""llmCallCount":null,"bucket":"b","turnCount":9,"turnsArray":[]}],"#;
    assert!(record.contains(unknown), "{record}");
}

#[test]
fn the_deepest_value_that_a_row_may_have_is_sorted_too() {
    // The row itself is one level, the innermost object another.
    let around = MAX_DEPTH as usize - 2;
    let nested = |inner| {
        format!(
            "\"trajectory\":{}{inner}{}",
            "[".repeat(around),
            "]".repeat(around)
        )
    };
    let row = format!("{{\"turnIndex\":1,{}}}", nested(r#"{"b":1,"a":2}"#));
    assert!(Scanner::new(row.as_bytes()).value().is_ok());
    let record = assembled(Nested::Sorted, &[&row]);
    assert!(record.contains(&nested(r#"{"a":2,"b":1}"#)), "{record}");
}
