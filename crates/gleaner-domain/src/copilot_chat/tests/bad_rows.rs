//! Every kind of bad row has a result.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::header::Mode;
use super::super::row::ReadRow;
use super::{json, model, read, record_text, row, rules, user};
use crate::record::row::MalformedReason;

/// Why a line is malformed, and which conversation it damages.
#[track_caller]
fn fault(line: &[u8]) -> (MalformedReason, Option<String>) {
    let malformed = row::read(line, &rules()).expect_err("malformed");
    let id = malformed
        .id
        .map(|id| String::from_utf8(id.into_owned()).expect("UTF-8"));
    (malformed.reason, id)
}

fn c() -> Option<String> {
    Some("c".to_owned())
}

fn replaced(line: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = std::str::from_utf8(line).expect("UTF-8");
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

pub fn gzip(text: &[u8]) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory");
    STANDARD.encode(encoder.finish().expect("memory"))
}

#[test]
fn properties_are_an_object_or_a_text_that_holds_one() {
    let line = user(1, 0, "hello \u{1f642}").line();
    let object = user(1, 0, "hello \u{1f642}").properties();
    let as_text = json(&object.encode_utf16().collect::<Vec<_>>());
    let text_line = replaced(&line, &object, &as_text);
    let (one, other) = (read(&line), read(&text_line));
    assert_eq!(one.key, other.key);
    assert_eq!(one.header.request, other.header.request);
    for bad in [
        "null",
        "[]",
        "5",
        "\"\"",
        "\"None\"",
        "\"[]\"",
        "\"{\"",
        "\"{} {}\"",
        "true",
    ] {
        let line = replaced(&line, &object, bad);
        assert_eq!(fault(&line), (MalformedReason::Properties, None), "{bad}");
    }
    let without = replaced(&line, "\"Properties\"", "\"Other\"");
    assert_eq!(fault(&without), (MalformedReason::Properties, None));
    let cut = replaced(&line, &as_text[..0], "");
    assert_eq!(
        fault(&cut[..cut.len() - 30]),
        (MalformedReason::NotJson, c())
    );
}

#[test]
fn measurements_are_an_object_or_nothing() {
    let line = user(1, 0, "hello").line();
    for good in ["null", "\"\"", "\"None\"", "{}", "\"{}\""] {
        read(&replaced(&line, "{\"messageCharLen\":5}", good));
    }
    for bad in ["[]", "5", "\"[]\"", "\"{\""] {
        // Only what is needed of them is looked at.
        let line = row("toolCallDetailsInternal", 0)
            .measuring("turnIndex", 1)
            .line();
        let line = replaced(&line, "{\"turnIndex\":1}", bad);
        assert_eq!(fault(&line), (MalformedReason::Properties, c()), "{bad}");
    }
    // A text that holds none, also where nothing of it is needed: it could not be read again.
    for bad in ["\"none\"", "\"[]\"", "\"{\"", "\"{} x\""] {
        let line = replaced(&line, "{\"messageCharLen\":5}", bad);
        assert_eq!(fault(&line), (MalformedReason::Properties, c()), "{bad}");
    }
}

#[test]
fn a_turn_index_is_text_or_a_number_and_counts_from_0_or_1() {
    for (json, position) in [
        ("\"0\"", 1),
        ("0", 1),
        ("2.0", 3),
        ("\" 7 \"", 8),
        ("null", 0),
        ("\"\"", 0),
        ("\"undefined\"", 0),
        ("\"NaN\"", 0),
    ] {
        let line = user(1, 0, "hello").with_json("turnIndex", json).line();
        assert_eq!(read(&line).header.position, position, "{json}");
    }
    for json in [
        "-1",
        "\"-1\"",
        "1.5",
        "\"one\"",
        "true",
        "{}",
        "[1]",
        "4294967295",
        "1e30",
    ] {
        let line = user(1, 0, "hello").with_json("turnIndex", json).line();
        assert_eq!(fault(&line), (MalformedReason::TurnIndex, c()), "{json}");
    }
    assert_eq!(read(&model(3, 0, "hello").line()).header.position, 3);
    let zero = model(1, 0, "hello").with("turnIndex", "0");
    assert_eq!(fault(&zero.line()), (MalformedReason::TurnIndex, c()));
    // An agent host counts from 0 for both.
    let host = zero.with("initiatorClientType", "editor_window");
    assert_eq!(read(&host.line()).header.position, 1);
}

#[test]
fn measurements_may_be_text() {
    let details = row("toolCallDetailsInternal", 0).measuring("turnIndex", 4);
    for (json, position) in [
        ("4", 4),
        ("\"4\"", 4),
        ("4.0", 4),
        ("null", 0),
        ("\"undefined\"", 0),
    ] {
        let line = replaced(
            &details.line(),
            "\"turnIndex\":4",
            &format!("\"turnIndex\":{json}"),
        );
        assert_eq!(read(&line).header.position, position, "{json}");
    }
    let session = row("interactiveSessionMessage", 0).measuring("turnNumber", 2);
    assert_eq!(read(&session.line()).header.position, 2);
}

#[test]
fn ids_that_stand_for_none_are_none() {
    let line = |json: &str| user(1, 0, "hello").with_json("conversationId", json).line();
    for json in ["\"\"", "\"undefined\"", "null"] {
        assert_eq!(
            row::read(&line(json), &rules()),
            Ok(ReadRow::NoId),
            "{json}"
        );
    }
    // The source's ignored ids are not this one's business.
    read(&line("\"unknown\""));
    for json in ["5", "{}", "\"\\ud83d\"", "true"] {
        let found = fault(&line(json));
        assert_eq!(found, (MalformedReason::ConversationId, None), "{json}");
    }
    for json in ["\"\"", "\"undefined\"", "\"unknown\"", "null", "5"] {
        let line = user(1, 0, "hello").with_json("messageId", json).line();
        assert_eq!(read(&line).header.request, 0, "{json}");
    }
    let header = user(1, 0, "hello")
        .with("messageId", "undefined")
        .with("headerRequestId", "m1");
    let named = read(&user(1, 0, "hello").line()).header.request;
    assert_eq!(read(&header.line()).header.request, named);
    let body = row("model.message.added", 0).with("messageUuid", "undefined");
    assert_eq!(row::read(&body.line(), &rules()), Ok(ReadRow::NoId));
}

#[test]
fn an_event_that_is_not_used_is_left_out_whatever_else_is_wrong_with_it() {
    for name in ["model.request.added", "x", "conversation.messageText.more"] {
        let line = replaced(&user(1, 0, "a").line(), "conversation.messageText", name);
        assert_eq!(
            row::read(&line, &rules()),
            Ok(ReadRow::OtherEvent),
            "{name}"
        );
    }
    let early = br#"{"name":"GitHub.copilot-chat/other","customDimensions":nothing"#;
    assert_eq!(row::read(early, &rules()), Ok(ReadRow::OtherEvent));
    let nobody = user(1, 0, "a").with("source", "nobody").line();
    assert_eq!(row::read(&nobody, &rules()), Ok(ReadRow::OtherEvent));
}

#[test]
fn a_row_without_a_time_or_with_something_twice_is_malformed() {
    let line = user(1, 0, "a").line();
    for time in ["\"yesterday\"", "5", "null"] {
        let line = replaced(&line, "\"2025-10-01T00:00:00.1234567Z\"", time);
        assert_eq!(fault(&line), (MalformedReason::Timestamp, c()), "{time}");
    }
    let twice = replaced(&line, "\"ItemCount\"", "\"Name\":\"x/y\",\"ItemCount\"");
    assert_eq!(
        row::read(&twice, &rules()),
        Ok(ReadRow::OtherEvent),
        "no name that is used"
    );
    let twice = replaced(&line, "\"source\"", "\"source\":\"user\",\"source\"");
    assert_eq!(fault(&twice).0, MalformedReason::DuplicateField);
}

#[test]
fn the_mode_is_one_of_those_that_count() {
    for (mode, found) in [
        ("agent", Mode::Agent),
        ("Agent", Mode::Other),
        ("ask", Mode::Other),
        ("", Mode::Unknown),
        ("undefined", Mode::Unknown),
    ] {
        let line = user(1, 0, "a").with("mode", mode).line();
        assert_eq!(read(&line).header.mode, found, "{mode}");
    }
}

#[test]
fn parts_that_are_missing_in_the_middle_are_malformed() {
    let part = "x".repeat(8192);
    let whole = user(1, 0, &part)
        .with("messageText_02", &part)
        .with("messageText_03", "y");
    read(&whole.line());
    let without = |key: &str| {
        let mut row = whole.clone();
        row.properties.retain(|(other, _)| other != key);
        row.line()
    };
    for key in ["messageText", "messageText_02"] {
        assert_eq!(
            fault(&without(key)),
            (MalformedReason::ChunkMismatch, c()),
            "{key}"
        );
    }
    // A last part cannot be missed.
    read(&without("messageText_03"));
}

#[test]
fn gzip_that_lies_is_malformed() {
    let text = "hello world ".repeat(900);
    let packed = gzip(text.as_bytes());
    let row = user(1, 0, &text);
    let (head, tail) = packed.split_at(packed.len() / 2);
    let split = |first: &str, second: &str| {
        row.clone()
            .with("messageTextChunk", first)
            .with("messageTextChunk_2", second)
            .line()
    };
    read(&split(head, tail));
    let mismatch = (MalformedReason::ChunkMismatch, c());
    assert_eq!(fault(&split(tail, head)), mismatch);
    assert_eq!(fault(&split(head, "")), mismatch);
    assert_eq!(fault(&split(head, "not base64!")), mismatch);
    let third = row
        .clone()
        .with("messageTextChunk", head)
        .with("messageTextChunk_3", tail);
    assert_eq!(fault(&third.line()), mismatch);
    let second_only = row.clone().with("messageTextChunk_2", &packed);
    assert_eq!(fault(&second_only.line()), mismatch);
    for other in ["something else", ""] {
        let lies = row
            .clone()
            .with("messageTextChunk", &gzip(other.as_bytes()));
        assert_eq!(fault(&lies.line()), mismatch, "{other}");
    }
    let no_text = row.clone().with("messageTextChunk", &gzip(b"\xff\xff"));
    assert_eq!(fault(&no_text.line()), mismatch);
    let mut wrong = STANDARD.decode(&packed).expect("base64");
    let at = wrong.len() - 6;
    wrong[at] ^= 1;
    let wrong = row.with("messageTextChunk", &STANDARD.encode(wrong));
    assert_eq!(fault(&wrong.line()), mismatch);
}

#[test]
fn gzip_that_bombs_is_too_large() {
    let limit = rules().max_value as usize;
    let bomb = |size: usize| {
        let text = "a".repeat(size);
        user(1, 0, &text)
            .with("messageTextChunk", &gzip(text.as_bytes()))
            .line()
    };
    read(&bomb(limit));
    assert_eq!(fault(&bomb(limit + 1)), (MalformedReason::TooLarge, c()));
    assert_eq!(fault(&bomb(20 * limit)), (MalformedReason::TooLarge, c()));
}

#[test]
fn half_a_character_stays_an_escape() {
    let units = [0x61, 0xD83D, 0x62];
    let rows = [
        user(1, 0, "").with_units("messageText", &units).line(),
        model(1, 1, "ok").line(),
    ];
    let rows = rows.map(|line| replaced(&line, "2025", "2025"));
    let (text, assembled) = record_text(&rows);
    assert!(text.contains(r#""userMessage":"a\ud83db""#), "{text}");
    assert!(!assembled.prevalidated);
}

#[test]
fn a_malformed_row_names_its_conversation_also_one_of_a_session() {
    let session = br#"{"Properties":{"sessionId":"s","requestId":"r"},"Name":"#;
    assert_eq!(
        fault(session),
        (MalformedReason::NotJson, Some("s".to_owned()))
    );
    assert_eq!(row::readable_id(session).as_deref(), Some(&b"s"[..]));
    let text = br#"{"Properties":"{\"conversationId\":\"t\",\"turnIndex\":\"x\",\"source\":\"user\"}","TimeGenerated":"2025-10-01","Name":"copilot-chat/conversation.messageText"}"#;
    assert_eq!(fault(text).1, Some("t".to_owned()));
}
