//! What the rules find, and what they leave alone.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::document::Documents;
use super::examples::{FORMS, example};
use super::finder::{Finder, compile};
use super::own::OwnRules;
use super::placeholder::Key;
use super::redaction::Redactor;
use super::rules;

mod planted;

fn finder() -> &'static Finder {
    static FINDER: std::sync::LazyLock<Finder> =
        std::sync::LazyLock::new(|| Finder::new(true, true, &OwnRules::default()));
    &FINDER
}

fn found_in(text: &str) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    finder().find(text.as_bytes(), &mut found);
    found
        .into_iter()
        .map(|one| (finder().rule(one.rule).id, text[one.at].to_owned()))
        .collect()
}

fn redacted(record: &str, key: Option<&Key>) -> (String, Vec<&'static str>) {
    let mut text = b"before,".to_vec();
    text.extend_from_slice(record.as_bytes());
    let mut found = Vec::new();
    let mut redactor = Redactor::new(finder(), key);
    let changed = redactor
        .redact(&mut text, 7, |rule| found.push(rule.id))
        .expect("JSON");
    assert_eq!(changed, !found.is_empty());
    (String::from_utf8(text[7..].to_vec()).expect("UTF-8"), found)
}

#[test]
fn rules_are_well_formed_and_have_examples() {
    let mut ids = BTreeSet::new();
    let forms: BTreeSet<_> = FORMS.iter().map(|(rule, _)| *rule).collect();
    for rule in rules::all() {
        assert!(ids.insert(rule.id), "{} twice", rule.id);
        assert!(rule.source.starts_with("https://"), "{}", rule.id);
        assert!(
            rule.placeholder
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte == b'_'),
            "{}",
            rule.id
        );
        assert!(!rule.keywords.is_empty(), "{}", rule.id);
        compile(rule.pattern).unwrap_or_else(|error| panic!("{}: {error}", rule.id));
        assert!(forms.contains(rule.id), "{} has no example", rule.id);
    }
    assert!(ids.len() >= 100, "{}", ids.len());
}

#[test]
fn every_rule_finds_its_own_examples_whatever_stands_around() {
    for (rule, form) in FORMS {
        for seed in 0..40 {
            let example = example(form, seed);
            for (before, after) in [
                ("", ""),
                ("x: ", " y"),
                ("\"", "\""),
                ("(", ")."),
                ("=", "\n"),
                ("\\n", "\\n"),
                ("é", "é"),
            ] {
                let text = format!("{before}{}{after}", example.text);
                let found = found_in(&text);
                assert!(
                    found.contains(&(*rule, example.secret.clone())),
                    "{rule} ({seed}): {found:?} in {text}"
                );
            }
        }
    }
}

#[test]
fn lookalikes_are_left_alone() {
    let mut flagged = Vec::new();
    let texts = lookalikes();
    for text in &texts {
        let found = found_in(text);
        if !found.is_empty() {
            flagged.push((text, found));
        }
    }
    assert!(
        flagged.is_empty(),
        "{} of {}: {flagged:#?}",
        flagged.len(),
        texts.len()
    );
}

/// Forms of what looks like a key: git hashes, UUIDs, digests, base64 of images.
const LIKE_KEYS: &[&str] = &[
    "commit {40x}",
    "index {7x}..{7x} 100644",
    "\"sha\": \"{40x}\"",
    "\"sha256\": \"{64x}\"",
    "sha256:{64x}",
    "sha512-{86b}==",
    "\"integrity\": \"sha512-{86b}==\"",
    "{8x}-{4x}-4{3x}-a{3x}-{12x}",
    "\"conversationId\": \"{8x}-{4x}-4{3x}-a{3x}-{12x}\"",
    "\"id\": \"call_{24w}\"",
    "toolu_{24w}",
    "data:image/png;base64,iVBORw0KGgo{2000b}==",
    "\"image\": \"/9j/4AAQSkZJRg{2000b}\"",
    "{76b}\n{76b}\n{76b}",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{43b}",
    "-----BEGIN CERTIFICATE-----\n{64b}\n{64b}\n-----END CERTIFICATE-----",
    "{64x}  target/release/app",
    "etag: W/\"{32x}\"",
    "\"checksum\": \"{32x}\"",
    "version = \"1.{2n}.{1n}\"",
];
/// Addresses and numbers for documents, versions, values that are to be put in.
const LIKE_OTHERS: &[&str] = &[
    "user@example.com",
    "jane.doe@example.org",
    "noreply@github.com",
    "git@github.com:owner/repo.git",
    "icon@2x.png",
    "npm i @types/node@20.1.2",
    "127.0.0.1:8080",
    "192.168.1.10",
    "10.0.0.1",
    "203.0.113.7",
    "version 1.2.3.4",
    "1.2.3.4-beta",
    "2001:db8::1",
    "fe80::1",
    "::1",
    "std::collections::BTreeMap",
    "12:34:56",
    "2026-11-28T14:00:00.123Z",
    "555-0123",
    "(555) 555-0142",
    "call +1 (212) 555-0147",
    "/home/user/project",
    "/home/runner/work",
    "/Users/username/x",
    "https://x.org/home/page",
    "C:\\Users\\Public\\x",
    "password: required",
    "password=${DB_PASSWORD}",
    "token: <your token>",
    "api_key = os.environ['API_KEY']",
    "const token = await getToken(session)",
    "max_tokens=4096",
    "\"token_type\": \"bearer\"",
    "secret: ${{ secrets.GITHUB_TOKEN }}",
    "password = input('Password: ')",
    "Authorization: Bearer $TOKEN",
    "Authorization: Bearer <token>",
    "sk-your-api-key-goes-here-please",
    "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "task-1234567890abcdef",
    "postgres://user:password@localhost/db",
    "http://localhost:8080/path@2",
    "next_token: string",
    "AKIAIOSFODNN7",
    "secret_name_of_the_service_account",
    "self.password = password",
    "passwordless=1",
    "gpt-4o-mini-2024-07-18",
    "1234567890123456",
    "4000000000000000",
    "version 22.1.30.4",
    "\"version\": \"122.0.40.25\"",
    "requests==22.31.40.5",
    "0000 0049 3020 9018 2047",
    "secretName: my-tls-cert2-prod7",
    "secret_id = \"8fK2pLq0Zr7XwT3m\"",
    "sessionToken: SessionTokenProviderFactory2",
    "next_page_token: CAUQAA8fK2pLq0Zr7XwT3mVv",
    "nextToken = '8fK2pLq0Zr7XwT3mVvQq12'",
    "curl -u user:password https://x.org",
    "curl -u \"$USER:$TOKEN\" https://x.org",
    "docker run -u 1000:1000 image",
    "GET /users/alice/repos",
    "npm%40types/node",
    "see /Users/shared/Some Folder/x",
];

fn lookalikes() -> Vec<String> {
    let made = LIKE_KEYS
        .iter()
        .flat_map(|form| (0..20).map(|seed| example(form, 1000 + seed).text));
    made.chain(LIKE_OTHERS.iter().map(|text| (*text).to_owned()))
        .collect()
}

#[test]
fn cards_and_accounts_are_found_by_their_check_digits() {
    for text in [
        "4539 1488 0343 6467",
        "pay 4539148803436467 now",
        "5425-2334-3010-9903",
        "3714 496353 98431",
    ] {
        assert_eq!(found_in(text).len(), 1, "{text}");
    }
    let account = ["GB82 WEST", " 1234 5698 7654 32"].concat();
    assert_eq!(found_in(&account), [("iban", account.clone())]);
    for text in [
        "4539 1488 0343 6468",
        "0.4539148803436467",
        "45391488034364670000000",
    ] {
        assert_eq!(found_in(text), [], "{text}");
    }
}

#[test]
fn a_text_that_is_two_things_is_found_once() {
    let token = example("ghp_{30w}{crc}", 3).text;
    assert_eq!(
        found_in(&format!("GITHUB_TOKEN={token}")),
        [("github-pat", token.clone())]
    );
    assert_eq!(
        found_in(&format!("Authorization: Bearer {token}")),
        [("github-pat", token.clone())]
    );
    let password = example("{16w}", 5).text;
    let found = found_in(&format!("https://me:{password}@host.co.uk/x"));
    assert_eq!(found, [("url-password", password)]);
}

#[test]
fn a_private_key_is_found_in_one_line_escaped_and_cut_off() {
    let form =
        "-----BEGIN {4z} PRIVATE KEY-----\n{64b}\n{64b}\n{40b}==\n-----END X PRIVATE KEY-----";
    let whole = example(&form.replace("{4z}", "OPENSSH"), 4).text;
    for newline in ["\n", "\r\n", "\\n", "\\\\n", "\\r\\n", " "] {
        let text = whole.replace('\n', newline);
        assert_eq!(
            found_in(&format!("a {text} b")),
            [("private-key", text.clone())],
            "{newline:?}"
        );
        if newline != " " {
            let (cut, _) = text.rsplit_once("==").expect("an end");
            assert_eq!(
                found_in(cut),
                [("private-key", cut.to_owned())],
                "{newline:?}"
            );
        }
    }
    assert_eq!(
        found_in("a file that has -----BEGIN PRIVATE KEY----- in its first line"),
        []
    );
}

#[test]
fn a_key_that_names_a_secret_makes_its_value_one() {
    let value = example("{6l}{4n}{6w}", 9).text;
    for key in [
        "password",
        "clientSecret",
        "AZURE_OPENAI_API_KEY",
        "x-api-key",
        "dbPwd",
    ] {
        let (record, found) = redacted(&json!({key: value, "other": value}).to_string(), None);
        assert_eq!(found, ["named-secret"], "{key}");
        assert!(
            record.contains(&format!("\"{key}\":\"<SECRET>\"")),
            "{record}"
        );
    }
    let (_, found) = redacted(
        &json!({"env": {"passwords": [value], "monkey": value}}).to_string(),
        None,
    );
    assert_eq!(found, [] as [&str; 0]);
    let (_, found) = redacted(
        &json!({"list": [{"secret": [value, value]}]}).to_string(),
        None,
    );
    assert_eq!(found.len(), 2);
}

#[test]
fn a_name_and_an_id_are_not_looked_at() {
    let mail = example("{8z}@{6z}.co.uk", 1).text;
    let record = json!({"conversationId": mail, "userName": mail, "bucket": "short", "turnsArray": [{"userName": mail, "turnIndex": 1}]});
    assert_eq!(redacted(&record.to_string(), None).1, [] as [&str; 0]);
    let record = json!({"turnsArray": [{"trajectory": [{"userName": mail}]}], "user": mail});
    assert_eq!(redacted(&record.to_string(), None).1, ["email", "email"]);
}

#[test]
fn places_are_named_without_text() {
    let token = example("ghp_{30w}{crc}", 3).text;
    let inner =
        json!({"env": [{"GITHUB_TOKEN": token}], "some text of the user": token, &token: 1});
    let record =
        json!({"turnsArray": [{"trajectory": [{"arguments": inner.to_string()}]}]}).to_string();
    let mut places = Vec::new();
    let mut documents = Documents::new(finder());
    let visit = |hit: &super::document::Hit<'_>| places.push(hit.place.to_string());
    documents.each(record.as_bytes(), visit).expect("JSON");
    places.sort();
    assert_eq!(
        places,
        [
            "turnsArray[].trajectory[].arguments|*",
            "turnsArray[].trajectory[].arguments|env[].GITHUB_TOKEN",
            "turnsArray[].trajectory[].arguments|{key}",
        ]
    );
}

#[test]
fn the_same_secret_has_the_same_placeholder_with_a_key_and_a_bare_one_without() {
    let key = Key::new(&[7; 32]).expect("32 bytes");
    let (one, two) = (example("AKIA{16B}", 1).text, example("AKIA{16B}", 2).text);
    let record = format!(r#"["{one} {two} {one}","{one}"]"#);
    let (bare, found) = redacted(&record, None);
    assert_eq!(bare, r#"["<AWS_KEY> <AWS_KEY> <AWS_KEY>","<AWS_KEY>"]"#);
    assert_eq!(found.len(), 4);
    let keyed = redacted(&record, Some(&key)).0;
    let placeholders: Vec<_> = keyed
        .split(['"', ' ', ',', '[', ']'])
        .filter(|part| !part.is_empty())
        .collect();
    assert_eq!(placeholders[0], placeholders[2]);
    assert_eq!(placeholders[0], placeholders[3]);
    assert_ne!(placeholders[0], placeholders[1]);
    assert_eq!(placeholders[0].len(), "<AWS_KEY_12345678>".len());
    let other = Key::new(&[8; 32]).expect("32 bytes");
    assert_ne!(keyed, redacted(&record, Some(&other)).0);
    assert!(Key::new(&[7; 31]).is_none());
}

#[test]
fn a_keys_id_is_what_openssl_says() {
    // printf gleaner | openssl dgst -sha256 -mac HMAC -macopt hexkey:aaaa...
    let key = Key::new(&[0xaa; 32]).expect("32 bytes");
    assert_eq!(key.id(), "1aa4bb37");
}

#[test]
fn escapes_and_cut_json_do_not_hide_a_secret_and_stay_as_they_are() {
    let token = example("ghp_{30w}{crc}", 3).text;
    let escaped: String = token.bytes().map(|byte| format!("\\u{byte:04x}")).collect();
    let record = format!(
        r#"{{ "a" : "\u00e9\/{escaped}\n\ud83d\ude00" , "b":[1.0e2,"{{\"x\": \"{token}"]}}"#
    );
    let (after, found) = redacted(&record, None);
    assert_eq!(found, ["github-pat", "github-pat"]);
    assert_eq!(
        after,
        r#"{ "a" : "\u00e9\/<GITHUB_TOKEN>\n\ud83d\ude00" , "b":[1.0e2,"{\"x\": \"<GITHUB_TOKEN>"]}"#
    );
}

/// JSON, with secrets in strings and keys, and JSON in strings.
fn values() -> impl Strategy<Value = Value> {
    let secret = (0..FORMS.len(), 0..1000_u64)
        .prop_map(|(form, seed)| json!(example(FORMS[form].1, seed).text));
    let leaf = prop_oneof![
        secret,
        "(\\PC|[\\n\"\\\\]){0,12}".prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec(("[a-zA-Z_]{1,8}|password", inner.clone()), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.clone().prop_map(|value| json!(value.to_string())),
            (inner, "[a-z ]{1,9}").prop_map(|(value, text)| json!(format!("{text}{value}"))),
        ]
    })
}

/// The same with nothing but the shape: strings that hold JSON are opened.
fn shape(value: &Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_) | Value::String(_))) => {
                json!({"text": shape(&inner)})
            }
            _ => json!("text"),
        },
        Value::Array(elements) => elements.iter().map(shape).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| (key.clone(), shape(value)))
            .collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn redaction_keeps_the_shape_and_every_other_byte_and_leaves_nothing(value in values()) {
        let record = value.to_string();
        let key = Key::new(&[7; 32]);
        let (after, found) = redacted(&record, key.as_ref());
        let parsed: Value = serde_json::from_str(&after).expect("JSON");
        prop_assert_eq!(shape(&parsed), shape(&value));
        prop_assert_eq!(redacted(&after, key.as_ref()), (after.clone(), vec![]));
        if found.is_empty() {
            prop_assert_eq!(&after, &record);
        }
        // What stands between the placeholders stands in the record, in that order.
        let mut rest = &record[..];
        for part in between_placeholders(&after) {
            let at = rest.find(part);
            prop_assert!(at.is_some(), "{} is new in {}", part, after);
            rest = &rest[at.unwrap_or(0) + part.len()..];
        }
    }
}

fn between_placeholders(text: &str) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('<') {
        let name = rest[at + 1..]
            .find('>')
            .map(|end| &rest[at + 1..at + 1 + end]);
        let is_placeholder = name.is_some_and(|name| {
            name.len() > 10
                && name.bytes().all(|byte| {
                    byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"_abcdef".contains(&byte)
                })
        });
        if let (true, Some(name)) = (is_placeholder, name) {
            parts.push(&rest[..at]);
            rest = &rest[at + name.len() + 2..];
        } else {
            parts.push(&rest[..at + 1]);
            rest = &rest[at + 1..];
        }
    }
    parts.push(rest);
    parts
}
