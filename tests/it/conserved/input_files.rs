//! Which files are read, which are not and are named, and one JSON array in any layout.

use serde_json::{Value, json};

use crate::support::packed::{gzip, zst};
use crate::support::reference::{Asked, evaluate};
use crate::support::{Dataset, Sandbox, assert_equals_reference, corpus};

/// Rows of JSON, some of them malformed in another way.
fn rows(of: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let is_json = |row: &Vec<u8>| serde_json::from_slice::<Value>(row).is_ok();
    let rows: Vec<Vec<u8>> = of.into_iter().filter(is_json).collect();
    assert!(rows.len() > 100);
    rows
}

fn lines(rows: &[Vec<u8>]) -> Vec<u8> {
    rows.iter()
        .flat_map(|row| [&row[..], b"\n"].concat())
        .collect()
}

fn one_line(rows: &[Vec<u8>]) -> Vec<u8> {
    [&b"["[..], &rows.join(&b","[..]), b"]"].concat()
}

/// As `jq` and `json.dumps(indent=2)` would, more or less: every token that may be on a line of its
/// own is.
fn pretty(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\xef\xbb\xbf\r\n".to_vec();
    let (mut in_string, mut escaped) = (false, false);
    for byte in one_line(rows) {
        if in_string {
            (in_string, escaped) = (byte != b'"' || escaped, byte == b'\\' && !escaped);
            out.push(byte);
            continue;
        }
        in_string = byte == b'"';
        if matches!(byte, b'}' | b']') {
            out.extend_from_slice(b"\r\n");
        }
        out.push(byte);
        if matches!(byte, b'{' | b'[' | b',' | b':') {
            out.extend_from_slice(b"\n  ");
        }
    }
    out.extend_from_slice(b"\n");
    out
}

/// A row without white space between its tokens.
fn compact(row: &[u8]) -> Vec<u8> {
    let (mut out, mut in_string, mut escaped) = (Vec::new(), false, false);
    for &byte in row {
        if in_string || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
    }
    out
}

fn export(name: &str, bytes: &[u8]) -> Dataset {
    let sandbox = Sandbox::new();
    sandbox.write(&format!("in/{name}"), bytes);
    let run = sandbox.export(&Asked::new("s", 5), &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{name}: {}", run.stderr);
    let dataset = sandbox.dataset();
    let plain = [(name.to_owned(), decoded(name, bytes))];
    assert_equals_reference(&dataset, &evaluate(&plain, &Asked::new("s", 5)));
    dataset
}

fn decoded(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match name.rsplit_once('.').expect("an ending").1 {
        "gz" => drop(std::io::copy(
            &mut flate2::read::GzDecoder::new(bytes),
            &mut out,
        )),
        "zst" => out = zstd::decode_all(bytes).expect("memory"),
        _ => out = bytes.to_vec(),
    }
    out
}

#[test]
fn the_same_rows_in_any_layout_and_ending_give_the_same_dataset() {
    for rows in [
        rows(corpus::events(7, 60)),
        rows(corpus::conversations(7, 120)),
    ] {
        // An element that spans lines loses the white space between its tokens.
        let rows: Vec<Vec<u8>> = rows.iter().map(|row| compact(row)).collect();
        let expected = export("a.jsonl", &lines(&rows)).digest();
        for (name, bytes) in [
            ("a.jsonl", one_line(&rows)),
            ("a.JSON", pretty(&rows)),
            ("a.ndjson", pretty(&rows)),
            ("a.json", lines(&rows)),
            ("a.json.gz", gzip(&pretty(&rows))),
            ("a.ndjson.zst", zst(&one_line(&rows))),
            ("a.jsonl.gz", gzip(&lines(&rows))),
        ] {
            assert_eq!(export(name, &bytes).digest(), expected, "{name}");
        }
    }
}

/// What the query API answers with for these rows, which have these columns.
fn answer(columns: &[&str], rows: &[Vec<Value>]) -> Value {
    let columns: Vec<Value> = columns
        .iter()
        .map(|name| json!({"name": name, "type": "dynamic"}))
        .collect();
    json!({"tables": [{"name": "PrimaryResult", "columns": columns, "rows": rows}]})
}

#[test]
fn an_answer_of_the_query_api_gives_the_rows_of_its_tables() {
    let columns = [
        "Timestamp",
        "conversationId",
        "userName",
        "mode",
        "turnIndex",
        "userMessage",
    ];
    let row = |id: usize, turn: usize| {
        let at = format!("2025-01-01T00:{id:02}:{turn:02}Z");
        let id = format!("c\"{id}");
        vec![
            json!(at),
            json!(id),
            json!("ann"),
            json!("agent"),
            json!(turn),
            json!("a\\b\nc"),
        ]
    };
    let rows: Vec<_> = (0..40)
        .flat_map(|id| (1..=4).map(move |turn| row(id, turn)))
        .collect();
    let lines: Vec<Vec<u8>> = rows
        .iter()
        .map(|row| {
            let members = columns
                .iter()
                .map(|name| (*name).to_owned())
                .zip(row.iter().cloned());
            let object: serde_json::Map<String, Value> = members.collect();
            serde_json::to_vec(&object).expect("JSON")
        })
        .collect();
    let expected = export("a.jsonl", &self::lines(&lines));
    let answer = answer(&columns, &rows);
    let compact = answer.to_string().into_bytes();
    let pretty = serde_json::to_vec_pretty(&answer).expect("JSON");
    let digest = |name: &str, bytes: &[u8]| {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("in/{name}"), bytes);
        sandbox.export(&Asked::new("s", 5), &[]).expect(3);
        let dataset = sandbox.dataset();
        assert_eq!(dataset.count("rows_read"), 160, "{name}");
        dataset.digest()
    };
    for (name, bytes) in [
        ("a.json", compact.clone()),
        ("a.json", pretty.clone()),
        ("a.json.gz", gzip(&pretty)),
        ("a.json.zst", zst(&compact)),
    ] {
        assert_eq!(digest(name, &bytes), expected.digest(), "{name}");
    }
}

#[test]
fn an_answer_of_the_query_api_that_is_not_whole_is_refused() {
    let mut partial = answer(&["conversationId"], &[vec![json!("c")]]);
    partial["error"] =
        json!({"code": "PartialError", "details": [{"code": "E_QUERY_RESULT_SET_TOO_LARGE"}]});
    let sandbox = Sandbox::new();
    sandbox.write("in/a.json", partial.to_string());
    let run = sandbox.export(&Asked::new("s", 5), &[]);
    let error = run.says(1, &["in/a.json is not the whole answer to its query: PartialError, E_QUERY_RESULT_SET_TOO_LARGE"]);
    assert!(error.contains("ask again for less at once"), "{error}");
}

#[test]
fn a_dataset_of_json_files_is_input_again() {
    let rows = corpus::conversations(3, 200);
    let sandbox = Sandbox::new();
    let asked = Asked::new("s", 1000);
    sandbox.write("in/a.jsonl", lines(&rows));
    sandbox.export(&asked, &[]).expect(3);
    let first = sandbox.dataset();
    let again = Sandbox::new();
    let input = first.folder.to_str().expect("a path");
    again.export(&asked, &["--input", input]).expect(2);
    std::fs::create_dir(again.path("in")).expect("writable");
    std::fs::rename(input, again.path("in/d")).expect("one disk");
    again.export(&asked, &[]).expect(3);
    let second = again.dataset();
    assert_eq!(second.digest(), first.digest());
    let skipped = second.metadata["source"]["skipped"].to_string();
    for name in ["metadata.json", "SHA256SUMS", "invalid_records_"] {
        assert!(skipped.contains(name), "{name}: {skipped}");
    }
    assert!(!skipped.contains("turns.json"), "{skipped}");
}

#[test]
fn what_is_not_read_is_named_with_its_reason_and_refused_if_strict() {
    let sandbox = Sandbox::new();
    let rows = rows(corpus::events(5, 60));
    let files = corpus::in_files(&rows, 4, "x");
    let [a, b, c, d] = &files[..] else {
        panic!("four files");
    };
    sandbox.write("in/a.jsonl", &a.1);
    sandbox.write("in/b.ndjson", &b.1);
    sandbox.write("in/deep/c.JSONL", &c.1);
    sandbox.write("in/export_1_0001.json.gz", gzip(&d.1));
    for name in [
        "d.jsonl.bz2",
        "e.jsonl.part",
        ".f.jsonl",
        "g/.h/i.jsonl",
        "metadata.json",
    ] {
        sandbox.write(&format!("in/{name}"), &a.1);
    }
    let skipped = [
        ("in/.f.jsonl", "hidden"),
        ("in/d.jsonl.bz2", "other_ending"),
        ("in/e.jsonl.part", "other_ending"),
        ("in/g/.h", "hidden"),
        ("in/metadata.json", "dataset_file"),
    ];
    let asked = Asked::new("s", 3);
    let mut plan = sandbox.export_args(&asked);
    plan[0] = "plan".to_owned();
    plan.retain(|arg| arg != "--json");
    let plan = plan.iter().map(String::as_str).collect::<Vec<_>>();
    let text = sandbox.run(&plan).stdout;
    let strict = sandbox.export(&asked, &["--strict-input"]);
    assert_eq!(strict.code, Some(2), "{}", strict.stderr);
    assert!(!sandbox.path("out").exists() && strict.stderr.contains("5 files"));
    let run = sandbox.export(&asked, &[]);
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    let metadata = sandbox.dataset().metadata;
    assert_eq!(metadata["source"]["file_count"], 4);
    assert_eq!(metadata["population"]["rows_read"], rows.len());
    let listed = &metadata["source"]["skipped"];
    assert_eq!(listed["count"], 5);
    for (n, (path, reason)) in skipped.into_iter().enumerate() {
        assert_eq!(listed["files"][n]["path"], path);
        assert_eq!(listed["files"][n]["reason"], reason);
        for shown in [&text, &strict.stderr, &run.stderr] {
            assert!(shown.contains(path), "{path}: {shown}");
        }
    }
    // Named itself, a file must be one that is read.
    let run = sandbox.run(&["export", "--input", "in/d.jsonl.bz2"]);
    run.says(2, &[".ndjson"]);
}

#[test]
fn a_broken_array_ends_the_run_and_names_the_place() {
    let rows = rows(corpus::events(5, 60));
    let whole = one_line(&rows);
    let cut = &whole[..whole.len() - 1];
    for (bytes, what) in [
        (cut.to_vec(), "cut off"),
        ([&whole[..], b"{}"].concat(), "behind"),
        ([cut, b"{\"a\":1}]"].concat(), "comma"),
    ] {
        for (name, bytes) in [("a.json", bytes.clone()), ("a.json.gz", gzip(&bytes))] {
            let sandbox = Sandbox::new();
            sandbox.write(&format!("in/{name}"), bytes);
            let run = sandbox.export(&Asked::new("s", 3), &[]);
            let said = run.says(1, &[&format!("in/{name} is damaged")]);
            let place = format!("at byte {},", whole.len() - usize::from(what != "behind"));
            assert!(said.contains(what) && said.contains(&place), "{said}");
            assert!(!sandbox.path("out/d/metadata.json").exists());
        }
    }
}
