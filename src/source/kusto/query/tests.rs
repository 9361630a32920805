use super::values::{FIRST, LAST, instant};
use super::*;
use crate::domain::sampling::rank_ranges::RankRange;
use crate::domain::sampling::rank_ranges::RankRanges;
use crate::domain::scheduling::chunk::HashChunk;
use crate::domain::selection::group::GroupField;
use crate::domain::selection::rank::Rank;
use crate::domain::selection::stratum::Selection;
use crate::domain::selection::stratum::fixtures::selection;
use proptest::prelude::*;

const FILE: &str = "// what\n// gleaner:values\nlet _chunk = 0;\n// gleaner:query\nT | where _chunk < _chunks and _window_start < t and t < _window_end // _selected\n";

fn values<'a>(
    selection: &'a Selection,
    ignored: &'a [String],
    wanted: Option<&'a RankRanges>,
) -> Values<'a> {
    Values {
        start: Some("2025-01-01T00:00:00Z".parse().expect("an instant")),
        end: None,
        look_end: Some("2025-02-02T00:00:00Z".parse().expect("an instant")),
        cut: Cut::Drop,
        chunk: HashChunk {
            count: 80,
            index: 47,
            depth: 1,
        },
        ignored,
        selection,
        wanted,
        reading: Reading::Rows,
        asked: Asked::default(),
    }
}

#[test]
fn values_take_the_place_of_the_defaults() {
    let template = Template::new(FILE).expect("complete");
    let selection = selection(1);
    let text = template.with(&values(&selection, &[], None), "| count");
    assert!(
        text.starts_with(
            "// what\n// gleaner:values\nlet _window_start = datetime(2025-01-01T00:00:00Z);\n"
        ),
        "{text}"
    );
    assert!(
        text.contains("let _look_end = datetime(2025-02-02T00:00:00Z);\nlet _keep_cut = false;\n"),
        "{text}"
    );
    assert!(
        text.contains("let _chunks = 80;\nlet _chunk = 47;\n"),
        "{text}"
    );
    assert!(!text.contains("let _chunk = 0;"), "{text}");
    assert!(text.ends_with("// _selected\n| count\n"), "{text}");
    assert!(!template.selects(), "a comment is no use");
}

#[test]
fn a_window_stays_within_the_years_that_kql_knows() {
    let at = |text: &str| Some(text.parse().expect("an instant"));
    for (start, reported) in [
        (
            at("2025-01-01T00:00:00.1234567Z"),
            "2025-01-01T00:00:00.1234567Z",
        ),
        (at("0001-01-01T00:00:00Z"), FIRST),
        (at("0000-12-31T23:00:00Z"), FIRST),
        (at("-000700-01-01T00:00:00Z"), FIRST),
        (at("9999-12-31T23:59:59Z"), "9999-12-31T23:59:59Z"),
        (at("9999-12-31T23:59:59.9999999Z"), LAST),
        (None, FIRST),
    ] {
        assert_eq!(instant(start, FIRST), reported);
    }
    assert_eq!(instant(None, LAST), LAST);
}

#[test]
fn columns_come_from_the_last_project() {
    let columns = |end: &str| {
        let text = format!("{FILE}| {end}");
        Template::new(&text).expect("complete").projected()
    };
    let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
    assert_eq!(
        columns("project a, b = f(x, [1, 2]), c"),
        names(&["a", "b", "c"])
    );
    assert_eq!(columns("project-away a"), None);
    assert_eq!(columns("where a == 1"), None);
}

#[test]
fn a_file_without_its_places_is_refused() {
    for (from, to) in [
        ("// gleaner:values", "// values"),
        ("// gleaner:query", ""),
        ("_chunk <", "1 <"),
        ("_chunks", "40"),
        ("_window_start", "// _window_start"),
        ("t < _window_end", "true"),
    ] {
        assert!(
            Template::new(&FILE.replacen(from, to, 1)).is_err() || to == "1 <",
            "{from}"
        );
    }
}

#[test]
fn a_query_that_cannot_see_what_the_window_cuts_may_only_keep_it() {
    let with = |names: &str| Template::new(&format!("{FILE}| where {names}")).expect("whole");
    for (names, drop, keep) in [
        ("true", Some("_look_end"), None),
        ("true // _look_end", Some("_look_end"), None),
        ("_look_end", None, Some("_keep_cut")),
        ("_look_end or _keep_cut", None, None),
    ] {
        for (cut, missing) in [(Cut::Drop, drop), (Cut::Keep, keep)] {
            let found = match with(names).handles(cut) {
                Err(QueryError::Unused { name, .. }) => Some(name),
                _ => None,
            };
            assert_eq!(found, missing, "{names} {cut:?}");
        }
    }
}

#[test]
fn what_a_query_asks_for_shows_in_what_it_uses() {
    let with = |body: &str| {
        let text =
            format!("{VALUES}\n{QUERY}\nT | where _window_start < t and t < _look_end {body}\n");
        let template = Template::new(&text).expect("whole");
        assert_eq!(kind_of(&text), template.kind);
        template
    };
    let telemetry = with("and id in (_conversation_ids)");
    assert_eq!(telemetry.kind, QueryKind::Telemetry);
    assert!(telemetry.selects() && !telemetry.finds_shared());
    assert!(with("and (id in (_conversation_ids) or id in (_shared_ids))").finds_shared());
    let census = with("and _chunk < _chunks | project id, requests = list");
    assert_eq!(census.kind, QueryKind::TelemetryCensus);
    for cut in [Cut::Drop, Cut::Keep] {
        assert_eq!(census.handles(cut), Ok(()), "which are cut is decided here");
    }
    assert_eq!(kind_of(FILE), QueryKind::Conversations);
    assert_eq!(
        kind_of("requests, _conversation_ids"),
        QueryKind::Conversations
    );
    let unused = Template::new(&format!(
        "{VALUES}\n{QUERY}\nT | where _chunk < _chunks and _window_start < t | project requests"
    ));
    assert!(matches!(
        unused,
        Err(QueryError::Unused {
            name: "_look_end",
            ..
        })
    ));
    for (kind, columns, missing) in [
        (
            QueryKind::Telemetry,
            ["conversationId", "TimeGenerated", "Name", "Properties"],
            1,
        ),
        (
            QueryKind::TelemetryCensus,
            ["conversationId", "turnCount", "lastTimestamp", "requests"],
            2,
        ),
        (
            QueryKind::Conversations,
            ["conversationId", "turnCount", "lastTimestamp", "x"],
            0,
        ),
    ] {
        let columns = columns.map(|name| (name.to_owned(), None)).into();
        assert_eq!(missing_columns(kind, &columns).len(), missing, "{kind:?}");
    }
}

#[test]
fn words_of_ids_are_named_if_all_have_one() {
    let selection = selection(1);
    let words = |ids: &[&str], by_words: bool| {
        let ids: Vec<String> = ids.iter().map(|&id| id.to_owned()).collect();
        let mut values = values(&selection, &[], None);
        values.asked = Asked {
            conversations: &ids,
            shared: &[],
            by_words,
        };
        let prelude = values.prelude();
        let line = prelude.lines().last().expect("a line").to_owned();
        line.replace("let _terms = dynamic(", "").replace(");", "")
    };
    let ids = ["1f-abcdef-2", "1f-abcdef-3", "call_12345"];
    assert_eq!(words(&ids, true), r#"["12345", "abcdef"]"#);
    assert_eq!(words(&ids, false), "[]");
    for odd in ["1-2-3", "été-abcdef", ""] {
        assert_eq!(words(&["1f-abcdef-2", odd], true), "[]", "{odd}");
    }
}

#[test]
fn ranks_are_asked_for_stratum_by_stratum() {
    let selection = selection(1);
    let stratum = selection.strata().next().expect("one");
    let range = |above: Option<i64>, up_to: Option<i64>| RankRange {
        above: above.map(Rank),
        up_to: up_to.map(Rank),
    };
    for (range, text) in [
        (range(None, None), ")"),
        (range(Some(-5), None), " and rank > -5)"),
        (range(None, Some(7)), " and rank <= 7)"),
        (
            range(Some(-5), Some(i64::MIN)),
            " and rank > -5 and rank <= (-9223372036854775807 - 1))",
        ),
    ] {
        let wanted = RankRanges::from_iter([(stratum, range)]);
        let [first, last] = selection.bucket(stratum).turns;
        let residues = selection.residues(stratum).expect("some");
        let expected = format!(
            "(residue between ({} .. {}) and turns between ({first} .. {last}){text}",
            residues.start(),
            residues.end()
        );
        assert_eq!(values(&selection, &[], Some(&wanted)).selected(), expected);
    }
    let nothing = RankRanges::default();
    let values = values(&selection, &[], Some(&nothing));
    assert_eq!([values.selected(), values.ranked()], ["false", "false"]);
}

#[test]
fn where_groups_decide_ranks_are_asked_for_alone_and_each_condition_once() {
    let selection = selection(1).splitting_by(GroupField::new("userName").ok());
    let range = RankRange {
        above: None,
        up_to: Some(Rank(7)),
    };
    let all = selection.strata().map(|stratum| (stratum, range));
    let wanted = RankRanges::from_iter(all);
    let expected = [(3, 5), (6, 10), (11, 20)]
        .map(|(first, last)| format!("(turns between ({first} .. {last}) and rank <= 7)"));
    let mut values = values(&selection, &[], Some(&wanted));
    assert_eq!(values.selected(), expected.join(" or "));
    assert_eq!(values.ranked(), "(rank <= 7)");
    // A census says which group a conversation is of.
    values.reading = Reading::Census;
    let expected = "(residue between (0 .. 82) and turns between (3 .. 5) and rank <= 7) or ";
    assert!(
        values.selected().starts_with(expected),
        "{}",
        values.selected()
    );
    assert_eq!(values.ranked(), "(rank <= 7)", "the id says nothing of it");
}

#[test]
fn the_id_alone_says_what_cannot_be_wanted() {
    let selection = selection(1);
    let range = |above: Option<i64>, up_to: Option<i64>| RankRange {
        above: above.map(Rank),
        up_to: up_to.map(Rank),
    };
    let strata: Vec<_> = selection.strata().collect();
    // Three buckets of the first split, one of the second, none of the third.
    let of_train = [
        range(Some(2), Some(5)),
        range(None, Some(-1)),
        range(Some(1), Some(9)),
    ];
    let wanted: RankRanges = strata
        .iter()
        .copied()
        .zip(of_train)
        .chain([(strata[3], range(Some(4), None))])
        .collect();
    let mut values = values(&selection, &[], Some(&wanted));
    let expected =
        "(residue between (0 .. 82) and rank <= 9) or (residue between (83 .. 91) and rank > 4)";
    assert_eq!(values.ranked(), expected);
    values.reading = Reading::Counts;
    assert_eq!(values.ranked(), "true", "all are counted");
    values.wanted = None;
    assert_eq!([values.ranked(), values.selected()], ["true", "turns > 0"]);
}

proptest! {
    /// No seed or id escapes its literal: the prelude has as many
    /// statements as ever, one a line, and the literal reads back as what was meant.
    #[test]
    fn nothing_leaves_its_literal(text in any::<String>()) {
        let quoted = literal(&text);
        prop_assert!(!quoted.chars().any(char::is_control));
        let read: String = serde_json::from_str(&quoted).expect("a JSON string");
        prop_assert_eq!(&read, &text);
        let selection = selection(1);
        let ignored = [text];
        let mut values = values(&selection, &ignored, None);
        values.asked.conversations = &ignored;
        values.asked.shared = &ignored;
        let prelude = values.prelude();
        prop_assert_eq!(prelude.lines().count(), 15);
        prop_assert!(prelude.lines().all(|line| line.starts_with("let _") && line.ends_with(';')));
    }
}
