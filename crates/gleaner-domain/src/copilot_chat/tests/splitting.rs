//! What the extension splits and the SDK trims comes together again, or a code says that it did not.

use proptest::prelude::*;

use super::bad_rows::gzip;
use super::{Row, json, model, record, row, user};

/// A text that is cut somewhere in every way.
fn long_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z]{1,40}",
        2 => "[ \\n]{1,3}",
        2 => "(😀|é|\u{a0}|\"|\\\\){1,20}",
    ];
    (
        prop::collection::vec((piece, 1usize..300), 1..30),
        0usize..3,
    )
        .prop_map(|(pieces, end)| {
            let text: String = pieces
                .iter()
                .map(|(piece, times)| piece.repeat(*times))
                .collect();
            text + &" ".repeat(end)
        })
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

/// The numbered family of a value, as `multiplexProperties` writes it and the SDK trims it.
fn numbered(mut row: Row, key: &str, text: &str) -> Row {
    for (place, part) in units(text).chunks(8192).enumerate() {
        let key = match place {
            0 => key.to_owned(),
            _ => format!("{key}_{:02}", place + 1),
        };
        row = row.with_units(&key, part);
    }
    row
}

/// The compressed family.
fn compressed(mut row: Row, key: &str, text: &str) -> Row {
    row = row.with(key, text);
    for (place, part) in units(&gzip(text.as_bytes())).chunks(8192).enumerate() {
        let key = match place {
            0 => format!("{key}Chunk"),
            _ => format!("{key}Chunk_{}", place + 1),
        };
        row = row.with_units(&key, part);
    }
    row
}

/// The events of a value that is cut into pieces of 8,000 units.
fn events(row: &Row, key: &str, text: &str) -> Vec<Row> {
    let units = units(text);
    let total = units.len().div_ceil(8000);
    let pieces = units.chunks(8000).enumerate();
    pieces
        .map(|(place, piece)| {
            row.clone()
                .with_units(key, piece)
                .with("chunkIndex", &place.to_string())
                .with("totalChunks", &total.to_string())
        })
        .collect()
}

fn lines(rows: &[Row]) -> Vec<Vec<u8>> {
    rows.iter().map(Row::line).collect()
}

/// What a record says the user typed; whether it is sure.
fn typed(rows: &[Row]) -> (String, bool) {
    let (record, _) = record(&lines(rows));
    let turn = &record["turnsArray"][0];
    let codes = turn["quality"].as_array().cloned().unwrap_or_default();
    let doubt = codes
        .iter()
        .any(|code| code.as_str().is_some_and(|code| code.starts_with("user_")));
    (
        turn["userMessage"].as_str().unwrap_or_default().to_owned(),
        !doubt,
    )
}

/// The rows of a model call whose input is one prompt of the user, in events.
fn prompted(text: &str) -> Vec<Row> {
    let prompt = format!("<userRequest>\n{text}\n</userRequest>");
    let message = format!("{{\"role\":\"user\",\"content\":{}}}", escaped(&prompt));
    let call = row("model.modelCall.input", 1)
        .with("modelCallId", "k")
        .with("headerRequestId", "m1")
        .with("messageUuids", "[\"u\"]")
        .with("chunkIndex", "0")
        .with("totalChunks", "1");
    let body = row("model.message.added", 1).with("messageUuid", "u");
    let mut rows = events(&body, "messageJson", &message);
    rows.push(call);
    rows
}

/// A JSON string as JavaScript writes it: characters stay themselves.
fn escaped(text: &str) -> String {
    serde_json::to_string(text).expect("a string")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn a_numbered_family_is_exact_or_said_not_to_be(text in long_text()) {
        let (found, sure) = typed(&[numbered(user(1, 2, &text), "messageText", &text)]);
        prop_assert!(found == text || !sure);
        // Nothing but white space was lost.
        let solid = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(solid(&found), solid(&text));
    }

    #[test]
    fn a_compressed_family_is_exact(text in long_text()) {
        let (found, sure) = typed(&[compressed(user(1, 2, &text), "messageText", &text)]);
        prop_assert_eq!((found.as_str(), sure), (text.as_str(), true));
    }

    #[test]
    fn a_text_that_the_sdk_cut_comes_from_the_prompt_or_is_said_to_be_cut(text in long_text()) {
        let mut rows = prompted(&text);
        rows.push(user(1, 2, &text));
        let (found, sure) = typed(&rows);
        prop_assert!(found == text || !sure, "{} for {}", found.len(), text.len());
        let alone = typed(&[user(1, 2, &text)]);
        prop_assert!(alone.0 == text || !alone.1);
    }

    #[test]
    fn the_order_of_rows_and_their_duplicates_change_no_byte(
        text in long_text(), order in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let mut rows = prompted(&text);
        rows.push(user(1, 2, &text));
        rows.push(model(1, 3, "done"));
        let once = super::record_text(&lines(&rows));
        let mut other = rows.clone();
        for index in order {
            let at = index.index(rows.len());
            other.push(rows[at].clone());
            other.swap(0, at);
        }
        prop_assert_eq!(super::record_text(&lines(&other)), once);
    }
}

#[test]
fn a_pair_that_is_cut_in_two_is_joined_before_an_inner_json_is_read() {
    // The prompt's JSON has its cuts after 8,000 units; every other one falls between halves.
    for pad in 0..3 {
        let text = format!("{}{}", "x".repeat(pad), "😀".repeat(9000));
        let mut rows = prompted(&text);
        rows.push(user(1, 2, &text));
        assert_eq!(typed(&rows), (text, true), "{pad}");
    }
}

#[test]
fn a_text_that_lost_both_halves_of_a_character_is_not_sure_though_it_is_long_enough() {
    let found = [0, 1].map(|pad| {
        let text = format!("{}{}", "x".repeat(pad), "😀".repeat(9000));
        let mut rows = prompted(&text);
        rows.push(user(1, 2, &text));
        // As a store does that refuses lone halves.
        for (_, json) in rows.iter_mut().flat_map(|row| &mut row.properties) {
            let mut units: Vec<u16> = serde_units(json);
            replace_halves(&mut units);
            *json = self::json(&units);
        }
        let (found, sure) = typed(&rows);
        assert_eq!(found == text, sure, "{pad}");
        sure
    });
    // The cuts fall between halves for one of them.
    assert_ne!(found[0], found[1]);
}

#[test]
fn a_message_of_which_a_piece_is_lost_is_not_there() {
    let text = "x".repeat(20_000);
    let rows = |lost: Option<usize>| {
        let mut rows = prompted(&text);
        rows.extend([model(1, 3, "done")]);
        rows.drain(lost.map_or(0..0, |lost| lost..lost + 1));
        rows
    };
    assert_eq!(
        typed(&rows(None)),
        (text.clone(), false),
        "no length speaks for it"
    );
    let prompt_of = |rows: &[Row]| {
        let (record, _) = record(&lines(rows));
        record["turnsArray"][0]["userMessage"].clone()
    };
    assert_eq!(prompt_of(&rows(None)), text.as_str());
    for lost in 0..3 {
        assert!(prompt_of(&rows(Some(lost))).is_null(), "{lost}");
    }
}

/// The units of a JSON string of [`json`].
fn serde_units(json: &str) -> Vec<u16> {
    let text = super::super::wtf8::decode(json.trim_matches('"').as_bytes());
    let mut units = Vec::new();
    let mut rest = &text[..];
    while let Some(first) = rest.first() {
        let length = match first {
            0..0x80 => 1,
            0x80..0xE0 => 2,
            0xE0..0xF0 => 3,
            _ => 4,
        };
        match std::str::from_utf8(&rest[..length]) {
            Ok(c) => units.extend(c.encode_utf16()),
            Err(_) => {
                units.push(0xD000 | u16::from(rest[1] & 0x3F) << 6 | u16::from(rest[2] & 0x3F))
            }
        }
        rest = &rest[length..];
    }
    units
}

fn replace_halves(units: &mut Vec<u16>) {
    let decoded = char::decode_utf16(units.clone());
    let text: String = decoded.map(|c| c.unwrap_or('\u{fffd}')).collect();
    *units = text.encode_utf16().collect();
}
