use std::fmt::Write;

use proptest::prelude::*;

use super::*;

fn words_of(texts: &[&str]) -> Words {
    let mut words = Words::new();
    texts.iter().for_each(|text| words.push(text));
    words
}

fn normal(texts: &[&str]) -> String {
    String::from_utf8(words_of(texts).normal().to_vec()).expect("UTF-8")
}

/// The definition, word by word.
fn plain(texts: &[&str]) -> Vec<String> {
    let words = texts
        .iter()
        .flat_map(|text| text.split(char::is_whitespace));
    let lower = |word: &str| word.chars().flat_map(char::to_lowercase).collect();
    words.filter(|word| !word.is_empty()).map(lower).collect()
}

#[test]
fn words_stand_between_white_space_in_lower_case() {
    assert_eq!(
        normal(&["  Hello,\t\r\nWORLD \u{a0}ÄÖ\u{2003}x "]),
        "hello, world äö x"
    );
    assert_eq!(normal(&["a", "", " ", "B"]), "a b", "a message ends a word");
    assert_eq!(
        normal(&["\u{1c}\u{1f}\u{200b}"]),
        "\u{1c}\u{1f}\u{200b}",
        "no white space"
    );
    assert_eq!(normal(&["\u{85}\u{2028}"]), "");
    // Two bytes become three, and one character two; sigma has no form of its own at a word's end.
    assert_eq!(normal(&["ȺȺȺȺ İ ΑΣ"]), "ⱥⱥⱥⱥ i\u{307} ασ");
    assert_eq!(words_of(&[]).iter().count(), 0);
}

#[test]
fn a_record_has_the_messages_of_its_turns_and_no_other_text() {
    let mut words = Words::new();
    words.push("of another record");
    let record = r#"{"conversationId":"Id","system":"S","turnsArray":[
        {"modelMessage":"second \u0041","turnIndex":1,"userMessage":"First\nline","trajectory":[{"result":"no"}]},
        {"userMessage":"third","modelMessage":null},{"userMessage":7}],"userName":"U"}"#;
    words.read_record(record.as_bytes()).expect("JSON");
    assert_eq!(words.normal(), b"first line second a third");
    words
        .read_record(br#"{"turnsArray":[7,{"userMessage":"a"}]}"#)
        .expect("JSON");
    assert_eq!(words.normal(), b"a");
    words
        .read_record(br#"{"turnsArray":"text"}"#)
        .expect("JSON");
    assert_eq!(words.normal(), b"");
    assert!(words.read_record(b"{\"turnsArray\":[{]}").is_err());
    assert!(!format!("{words:?}").contains("first"));
}

#[test]
fn known_hashes() {
    // Of the words' XXH3-64, as any other implementation has them; changing them changes datasets.
    assert_eq!(xxh3_64(b"hello"), 0x9555_E855_5C62_DCFD);
    let words = words_of(&["the quick brown fox jumps over"]);
    let shingles: Vec<u64> = words.shingles::<5>().collect();
    let sum = (words.iter().take(5)).fold(0u64, |sum, word| {
        sum.wrapping_mul(FACTOR).wrapping_add(xxh3_64(word))
    });
    assert_eq!(shingles.len(), 2);
    assert_eq!(shingles[0], mix(sum));
    assert_eq!(
        mix(0x9E37_79B9_7F4A_7C15),
        0xE220_A839_7B1D_CDAF,
        "SplitMix64 of seed 0"
    );
}

#[test]
fn a_shingle_is_its_words_and_nothing_before_them() {
    let of = |text: &str| words_of(&[text]).shingles::<3>().collect::<Vec<u64>>();
    assert!(of("a b").is_empty());
    let long = of("x y a b c");
    assert_eq!((long.len(), long[2]), (3, of("a b c")[0]));
    assert_ne!(of("a b c"), of("c b a"));
    assert_ne!(of("a b c"), of("a bc d"));
}

proptest! {
    #[test]
    fn words_are_those_of_the_definition(
        texts in prop::collection::vec("(\\PC|[A-Za-z \t\n\u{85}\u{a0}ȺİΣßé🙂日\u{1c}]){0,60}", 0..4),
    ) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (words, expected) = (words_of(&texts), plain(&texts));
        let joined = expected.join(" ");
        prop_assert_eq!(words.normal(), joined.as_bytes());
        let found: Vec<&[u8]> = words.iter().collect();
        let expected: Vec<&[u8]> = expected.iter().map(String::as_bytes).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn escapes_do_not_matter(text in "(\\PC|[A-Z \n\"\\\\é🙂]){0,40}") {
        let mut escaped = String::new();
        for unit in text.encode_utf16() {
            write!(escaped, "\\u{unit:04x}").expect("room");
        }
        let mut words = Words::new();
        words.read_record(format!(r#"{{"turnsArray":[{{"userMessage":"{escaped}"}}]}}"#).as_bytes()).expect("JSON");
        let expected = words_of(&[&text]);
        prop_assert_eq!(words.normal(), expected.normal());
        prop_assert_eq!(words.text_hash(), expected.text_hash());
    }
}
