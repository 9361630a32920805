//! Held against `serde_json`.

use super::*;
use proptest::prelude::*;
use serde::Deserialize;

fn serde_accepts(text: &[u8]) -> bool {
    let mut de = serde_json::Deserializer::from_slice(text);
    de.disable_recursion_limit();
    let value = serde::de::IgnoredAny::deserialize(&mut de);
    value.is_ok() && de.end().is_ok() && std::str::from_utf8(text).is_ok()
}

/// Text that is often JSON and otherwise nearly so.
fn nearly_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("tru".to_owned()),
        Just("true".to_owned()),
        Just("false ".to_owned()),
        "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        "\"([a-z ]|\\\\[\"\\\\/bfnrtux]|\\\\u[0-9a-fA-F]{3,4}|é|🙂|\t){0,60}\"?",
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            (
                prop::collection::vec(inner.clone(), 0..6),
                "[ \n]?",
                "[,\\]]?"
            )
                .prop_map(|(items, space, end)| format!("[{space}{}{end}]", items.join(","))),
            prop::collection::vec(("\"[a-z\\\\]{0,3}\"", "[:;]", inner), 0..6).prop_map(
                |members: Vec<(String, String, String)>| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(k, c, v)| format!("{k}{c} {v}"))
                        .collect();
                    format!("{{{}}}", members.join(" ,"))
                }
            ),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn accepts_exactly_what_serde_json_accepts(text in nearly_json(), cut in 0usize..200) {
        for candidate in [text.as_bytes(), &text.as_bytes()[..cut.min(text.len())]] {
            prop_assert_eq!(
                check(candidate).is_ok(),
                serde_accepts(candidate),
                "{:?}", String::from_utf8_lossy(candidate)
            );
        }
    }
}

#[test]
fn depth_ends_at_the_limit_and_never_overflows_the_stack() {
    let nested = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
    assert_eq!(check(&nested(MAX_DEPTH as usize)), Ok(()));
    assert_eq!(
        check(&nested(MAX_DEPTH as usize + 1)),
        Err(JsonError::TooDeep)
    );
    assert_eq!(check(&nested(100_000)), Err(JsonError::TooDeep));
    let mixed = [b"[{\"a\":".repeat(64), b"1".to_vec(), b"}]".repeat(64)].concat();
    assert_eq!(check(&mixed), Ok(()));
}

#[test]
fn values_are_reported_as_they_stand() {
    let mut s = Scanner::new(br#" {"a" : [1, "x\n"] , "b":"y"} "#);
    s.open_object().expect("an object");
    assert_eq!(s.next_key(true).expect("legal").expect("a").text, b"\"a\"");
    let array = s.value().expect("legal");
    assert_eq!(
        (array.kind, array.text, array.escaped),
        (Kind::Array, &br#"[1, "x\n"]"#[..], true)
    );
    s.next_key(false).expect("legal").expect("b");
    let string = s.value().expect("legal");
    assert_eq!(
        (string.string_body(), string.escaped),
        (Some(&b"y"[..]), false)
    );
    assert_eq!(s.next_key(false), Ok(None));
    assert_eq!(s.end(), Ok(()));
}

#[test]
fn objects_side_by_side_are_no_deeper_than_one() {
    let text = format!("{{{}\"a\":{{}}}}", "\"a\":{},".repeat(500));
    let mut scanner = Scanner::new(text.as_bytes());
    scanner.open_object().expect("an object");
    let mut members = 0;
    while scanner.next_key(members == 0).expect("good").is_some() {
        scanner.open_object().expect("an object in it");
        assert_eq!(scanner.next_key(true).expect("good"), None);
        members += 1;
    }
    assert_eq!((members, scanner.end()), (501, Ok(())));
}

#[test]
fn no_limit_is_deeper_than_can_be_remembered() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for (depth, expected) in [
        (DEPTH_BITS - 1, Ok(())),
        (DEPTH_BITS, Err(JsonError::TooDeep)),
    ] {
        let text = nested(depth as usize);
        let mut scanner = Scanner::with_max_depth(text.as_bytes(), u32::MAX);
        assert_eq!(scanner.value().map(drop), expected, "{depth}");
    }
}

/// Checks the next value member by member, as its readers do.
fn step_through(scanner: &mut Scanner<'_>) -> Result<(), JsonError> {
    let mut first = true;
    match scanner.kind()? {
        Kind::Object => {
            scanner.open_object()?;
            while scanner.next_key(first)?.is_some() {
                first = false;
                step_through(scanner)?;
            }
        }
        Kind::Array => {
            scanner.open_array()?;
            while scanner.next_element(first)? {
                first = false;
                step_through(scanner)?;
            }
        }
        _ => drop(scanner.value()?),
    }
    Ok(())
}

fn steps_accept(text: &[u8]) -> bool {
    let mut scanner = Scanner::new(text);
    step_through(&mut scanner).is_ok() && scanner.end().is_ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn step_by_step_the_same_is_accepted(text in nearly_json(), cut in 0usize..200) {
        for candidate in [text.as_bytes(), &text.as_bytes()[..cut.min(text.len())]] {
            let whole = Scanner::new(candidate);
            let mut scanner = whole.clone();
            let accepted = scanner.value().is_ok() && scanner.end().is_ok();
            prop_assert_eq!(steps_accept(candidate), accepted);
        }
    }
}

/// Opens the containers of the first levels only; gives the keys and values it found.
fn members<'a>(scanner: &mut Scanner<'a>, levels: u32, found: &mut Vec<Value<'a>>) {
    let mut first = true;
    match scanner.kind().expect("checked") {
        Kind::Object if levels > 0 => {
            scanner.open_object().expect("checked");
            while let Some(key) = scanner.next_key(first).expect("checked") {
                first = false;
                found.push(key);
                members(scanner, levels - 1, found);
            }
        }
        Kind::Array if levels > 0 => {
            scanner.open_array().expect("checked");
            while scanner.next_element(first).expect("checked") {
                first = false;
                members(scanner, levels - 1, found);
            }
        }
        _ => found.push(scanner.value().expect("checked")),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_was_checked_is_passed_alike(
        values in prop::collection::vec(nearly_json(), 0..6),
        texts in prop::collection::vec(r#"([\[\]{}:, ]|\\["\\n]|\\ud83d|é){0,70}"#, 6),
        levels in 0u32..4,
    ) {
        // Brackets in strings count for nothing, wherever in a window they are.
        let good = values.into_iter().filter(|value| check(value.as_bytes()).is_ok());
        let both = good.zip(&texts).map(|(value, text)| format!("{{\"{text}\":[{value},\"{text}\"]}}"));
        let text = format!("[{}]", both.collect::<Vec<_>>().join(" , "));
        prop_assert!(check(text.as_bytes()).is_ok(), "{}", text);
        let [mut whole, mut by_brackets] = [Scanner::new, Scanner::of_checked].map(|scan| {
            let mut scanner = scan(text.as_bytes());
            let mut found = Vec::new();
            members(&mut scanner, levels, &mut found);
            (scanner, found)
        });
        prop_assert_eq!(&whole.1, &by_brackets.1);
        prop_assert_eq!(whole.0.position(), by_brackets.0.position());
        prop_assert_eq!(whole.0.saw_surrogates(), by_brackets.0.saw_surrogates());
        prop_assert_eq!(whole.0.end(), by_brackets.0.end());
    }
}

#[test]
fn a_container_without_an_end_is_an_error_also_where_it_should_have_been_checked() {
    for text in ["[", "{\"a\":[1}", "[[1]", "[\"]", "[\"]\""] {
        let padded = format!("{text}{}", " ".repeat(100));
        for text in [text, &padded] {
            assert!(
                Scanner::of_checked(text.as_bytes()).value().is_err(),
                "{text}"
            );
        }
    }
}

#[test]
fn commas_stand_between_members_and_nowhere_else() {
    for (text, good) in [
        ("[]", true),
        ("[ ]", true),
        ("[1]", true),
        ("[1 , 2]", true),
        ("{\"a\":1 , \"b\":2}", true),
        ("[,]", false),
        ("[,1]", false),
        ("[1,]", false),
        ("[1,,2]", false),
        ("[1 2]", false),
        ("[1}", false),
        ("[1", false),
        ("[", false),
        ("{,}", false),
        ("{,\"a\":1}", false),
        ("{\"a\":1,}", false),
        ("{\"a\":1,,\"b\":2}", false),
        ("{\"a\":1 \"b\":2}", false),
        ("{\"a\" 1}", false),
        ("{\"a\":}", false),
        ("{\"a\"}", false),
        ("{1:1}", false),
        ("{\"a\":1]", false),
        ("{\"a\":1", false),
        ("{", false),
    ] {
        assert_eq!(steps_accept(text.as_bytes()), good, "{text}");
        assert_eq!(check(text.as_bytes()).is_ok(), good, "{text}");
        assert_eq!(serde_accepts(text.as_bytes()), good, "{text}");
    }
}

#[test]
fn arrays_side_by_side_are_no_deeper_than_one() {
    let text = format!("[{}[]]", "[],".repeat(500));
    assert!(steps_accept(text.as_bytes()));
    // And behind them the innermost that may be there.
    let inner = MAX_DEPTH as usize - 1;
    let deepest = "[".repeat(inner) + &"]".repeat(inner);
    let good = format!("[[],{{}},{deepest}]");
    assert!(steps_accept(good.as_bytes()));
    assert!(!steps_accept(format!("[{good}]").as_bytes()));
}

#[test]
fn what_was_passed_is_what_lies_between() {
    let text = br#"[ {"a": 1} , [2, 3] ]"#;
    let mut scanner = Scanner::new(text);
    scanner.open_array().expect("an array");
    for (first, kind, expected) in [
        (true, Kind::Object, &br#"{"a": 1}"#[..]),
        (false, Kind::Array, b"[2, 3]"),
    ] {
        assert_eq!(scanner.next_element(first), Ok(true));
        let mut before = scanner.clone();
        scanner.value().expect("legal");
        let passed = before.passed(&scanner);
        assert_eq!((passed.kind, passed.text), (kind, expected));
        assert!(text[..scanner.position()].ends_with(expected));
    }
    assert_eq!(scanner.next_element(false), Ok(false));
    assert_eq!(scanner.position(), text.len());
}
