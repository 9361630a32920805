//! A dataset in memory, whole and then damaged in every way: each damage is found and named.

use serde_json::{Value, json};

use super::*;
use crate::domain::dataset::manifest::{JSON, JSONL};
use crate::domain::selection::stratum::fixtures::selection;

mod groups;
mod memory;

use memory::{Memory, REPORT, SHORT, TARGET};

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

fn joined(lines: &[&str]) -> String {
    lines.join("\n") + "\n"
}

#[test]
fn a_good_dataset_is_good_in_both_formats() {
    for framing in [JSON, JSONL] {
        let report = Memory::good(framing).verify(false);
        assert!(report.is_good(), "{:?}", report.findings);
        assert_eq!(report.records, 8 * TARGET);
        assert_eq!(
            report.files.len(),
            9,
            "eight strata have a file, and one report"
        );
        assert!(Memory::good(framing).verify(true).is_good());
    }
}

#[test]
fn what_has_no_manifest_is_no_dataset() {
    let mut dataset = Memory::good(JSON);
    dataset.files.remove(MANIFEST);
    let error = verify(&dataset, None, false).expect_err("no manifest");
    assert!(error.to_string().contains("not a finished one"), "{error}");
    dataset.files.insert(MANIFEST.to_owned(), b"{".to_vec());
    let error = verify(&dataset, None, false).expect_err("half a manifest");
    assert!(matches!(error, VerifyError::Manifest { .. }), "{error}");
}

#[test]
fn a_flipped_byte_is_found_by_the_digest_and_not_by_quick() {
    let mut dataset = Memory::good(JSON);
    let bytes = dataset.files.get_mut(SHORT).expect("there");
    let at = bytes.windows(6).position(|w| w == b"SECRET").expect("text");
    bytes[at] ^= 1;
    dataset.expect(SHORT, "another SHA-256");
    assert_eq!(dataset.verify(false).found, 1, "and by nothing else");
    assert!(dataset.verify(true).is_good(), "quick reads no records");
}

#[test]
fn quick_finds_lengths_sums_and_names() {
    let good = Memory::good(JSON);
    let mut longer = good.clone();
    longer.files.get_mut(SHORT).expect("there").push(b'\n');
    let mut gone = good.clone();
    gone.files.remove(SHORT);
    let mut sums = good.clone();
    sums.files.get_mut(SUMS).expect("there")[0] ^= 1;
    let mut extra = good.clone();
    extra.files.insert("train/x.json".to_owned(), Vec::new());
    for (dataset, path, words) in [
        (&longer, SHORT, "bytes instead of"),
        (&gone, SHORT, "is not there"),
        (&sums, SUMS, "digests"),
        (&extra, "train/x.json", "not part of the dataset"),
    ] {
        dataset.expect(path, words);
        assert!(!dataset.verify(true).is_good(), "{path}: {words}");
    }
    let mut hidden = good;
    hidden.files.insert(".claim.json".to_owned(), Vec::new());
    assert!(hidden.verify(false).is_good(), "hidden files are ignored");
}

/// All digests are forged as well, so only the records show it.
#[test]
fn every_fault_of_a_record_is_found_without_its_digest() {
    type Change = fn(String) -> String;
    let cases: [(Change, &str); 15] = [
        (
            |t| t.replacen("\"turnIndex\":2", "\"turnIndex\":7", 1),
            "turn_sequence",
        ),
        (
            |t| t.replacen("\"promptTokens\":1", "\"promptTokens\":0", 1),
            "",
        ),
        (
            |t| t.replacen("\"userName\":\"n\"", "\"userName\":\"\\ud83d\"", 1),
            "lone_surrogate",
        ),
        (
            |t| {
                let mut lines = lines(&t);
                lines.swap(1, 2);
                joined(&lines)
            },
            "order of ranks",
        ),
        (
            |t| {
                let mut lines = lines(&t);
                lines.insert(1, lines[1]);
                joined(&lines)
            },
            "was in this file before",
        ),
        (
            |t| {
                let mut lines = lines(&t);
                lines.remove(1);
                joined(&lines)
            },
            "has 3 records instead of 4",
        ),
        (|t| t.replacen("[\n", "[\n\n", 1), "line 2"),
        (|t| t.replacen("[\n", "", 1), "line 1"),
        (|t| t.replacen("\n]\n", ",\n]\n", 1), "ends after a comma"),
        (
            |t| t.replacen("},\n", "}\n", 1),
            "not where a record may be",
        ),
        (|t| t.replacen("\n]\n", "\n", 1), "not closed"),
        (|t| t + "]\n", "not where a record may be"),
        (|t| t.trim_end().to_owned(), "does not end with a newline"),
        (|t| t.replacen("},\n", "} ,\n", 1), "JSON object alone"),
        (|t| t.replacen("},\n", "}},\n", 1), "is not a JSON object"),
    ];
    for (change, words) in cases {
        let mut dataset = Memory::good(JSON);
        dataset.forge(SHORT, change);
        match words {
            "" => dataset.expect(MANIFEST, "the warning token_counts"),
            words => dataset.expect(SHORT, words),
        }
    }
}

#[test]
fn a_record_of_another_split_is_found() {
    let of_val = memory::ids(&selection(TARGET), "val", 0, 1).remove(0);
    let mut dataset = Memory::good(JSON);
    dataset.forge(SHORT, |text| {
        let start = text.find("\"0-").expect("an id") + 1;
        let end = start + text[start..].find('"').expect("its end");
        format!("{}{of_val}{}", &text[..start], &text[end..])
    });
    dataset.expect(SHORT, "split_mismatch: the id belongs to val");
}

#[test]
fn records_of_another_stratum_are_found() {
    let mut dataset = Memory::good(JSON);
    let medium = "train/medium_6_to_10_turns.json";
    let other = String::from_utf8(dataset.files[medium].clone()).expect("text");
    dataset.forge(SHORT, |_| other);
    dataset.expect(SHORT, "does not belong to short");
    dataset.expect(medium, "is in another file too");
}

#[test]
fn findings_of_a_file_are_listed_up_to_a_limit_and_all_counted() {
    let mut dataset = Memory::good(JSON);
    dataset.forge(SHORT, |_| format!("[\n{}]\n", "x,\n".repeat(50)));
    let report = dataset.verify(false);
    let listed = report.findings.iter().filter(|f| f.path == SHORT).count();
    assert_eq!(listed as u64, LISTED);
    assert!(report.found > 50, "{}", report.found);
}

#[test]
fn a_manifest_that_does_not_hold_together_is_found() {
    type Change = fn(&mut Manifest);
    let cases: [(Change, &str); 16] = [
        (|m| m.content_sha256 = "0".repeat(64), "content_sha256"),
        (|m| m.hash = "md5".to_owned(), "the hash"),
        (|m| m.strata[0].not_sampled += 1, "train/short"),
        (|m| m.strata[8].shortfall -= 1, "target of test/long"),
        (|m| m.population.conversations += 1, "conversations"),
        (|m| m.population.rows_read = Some(1), "rows_read"),
        (|m| m.strata.swap(0, 1), "from train/short on"),
        (|m| drop(m.strata.pop()), "from test/long on"),
        (|m| m.strata[2].target = Some(9), "from train/long on"),
        (|m| m.strata[2].target = None, "from train/long on"),
        (|m| m.strata[8].bytes = 1, "from test/long on"),
        (
            |m| m.strata[8].file = Some("test/long_11_to_20_turns.json".to_owned()),
            "from test/long on",
        ),
        (|m| m.strata[1].sha256 = None, "from train/medium on"),
        (
            |m| m.strata[1].file = Some("train/x.json".to_owned()),
            "from train/medium on",
        ),
        (|m| m.warnings.clear(), "is counted 0 times"),
        (|m| m.format = "csv".to_owned(), "the format"),
    ];
    for (change, words) in cases {
        let mut dataset = Memory::good(JSON);
        change(&mut dataset.manifest);
        dataset.seal();
        dataset.expect(MANIFEST, words);
    }
    let mut dataset = Memory::good(JSON);
    dataset
        .manifest
        .strata
        .push(dataset.manifest.strata[0].clone());
    dataset.seal();
    dataset.expect(MANIFEST, "more strata");
}

#[test]
fn a_changed_manifest_is_found_by_its_own_digest_also_quickly() {
    let good = Memory::good(JSON);
    let text = String::from_utf8(good.files[MANIFEST].clone()).expect("text");
    let changes = [
        text.replacen("2025-01-01", "2026-01-01", 1),
        text.replacen("  \"manifest_sha256\"", "   \"manifest_sha256\"", 1),
        text.clone() + "\n",
    ];
    for changed in changes {
        assert_ne!(changed, text);
        let mut dataset = good.clone();
        dataset
            .files
            .insert(MANIFEST.to_owned(), changed.into_bytes());
        dataset.expect(MANIFEST, "manifest_sha256");
        assert!(!dataset.verify(true).is_good());
    }
}

#[test]
fn a_manifest_of_a_later_version_is_not_guessed_at() {
    let mut dataset = Memory::good(JSON);
    dataset.manifest.format_version = 3;
    dataset.seal();
    let refused = verify(&dataset, None, true).expect_err("not known");
    assert!(refused.to_string().contains("reads 1 to 2"), "{refused}");
}

/// Written by gleaner 0.1.0: no version, no digest of the manifest, a file for each stratum.
#[test]
fn a_dataset_of_the_first_version_still_verifies() {
    for format in ["json", "jsonl"] {
        let folder = format!(
            "{}/tests/fixtures/0.1.0/{format}",
            env!("CARGO_MANIFEST_DIR")
        );
        let dataset = crate::sink::reader::LocalDataset::new(folder.into());
        let report = verify(&dataset, None, false).expect("a dataset");
        assert!(report.is_good(), "{format}: {:?}", report.findings);
        assert_eq!((report.records, report.files.len()), (16, 12), "{format}");
    }
}

#[test]
fn every_fault_of_a_report_is_found_without_its_digest() {
    let written = {
        let dataset = Memory::good(JSON);
        let text = String::from_utf8(dataset.files[SHORT].clone()).expect("text");
        let record: Value =
            serde_json::from_str(lines(&text)[1].trim_end_matches(',')).expect("JSON");
        record["conversationId"].as_str().expect("an id").to_owned()
    };
    let change = |what: &dyn Fn(&mut Value)| {
        let mut dataset = Memory::good(JSON);
        dataset.forge(REPORT, |text| {
            let mut report = serde_json::from_str(&text).expect("JSON");
            what(&mut report);
            report.to_string()
        });
        dataset
    };
    let twice = |r: &mut Value| {
        let entry = r["invalid_records"][0].clone();
        r["invalid_records"]
            .as_array_mut()
            .expect("a list")
            .push(entry);
    };
    change(&twice).expect(REPORT, "order of ranks");
    change(&twice).expect(REPORT, "than it sums up");
    change(&twice).expect(REPORT, "error_summary");
    change(&twice).expect(
        MANIFEST,
        "1 records of train/short are invalid or contaminated, the reports list 2",
    );
    change(&|r| r["invalid_records"][0]["bucket"] = "none".into()).expect(MANIFEST, "no stratum");
    change(&|r| r["invalid_records"][0]["errors"] = json!([])).expect(REPORT, "has no errors");
    change(&|r| r["invalid_records"][0]["errors"][0] = "token_counts: x".into())
        .expect(REPORT, "without a known code");
    change(&|r| r["invalid_records"][0]["conversationId"] = written.clone().into())
        .expect(REPORT, "that of a written record");
    let of_val = memory::ids(&selection(TARGET), "val", 0, 1).remove(0);
    change(&|r| r["invalid_records"][0]["conversationId"] = of_val.clone().into())
        .expect(REPORT, "belongs to another split");
    change(&|r| r["invalid_records"] = json!(1)).expect(REPORT, "is not a report");
    let mut flipped = Memory::good(JSON);
    flipped.files.get_mut(REPORT).expect("there").push(b' ');
    flipped.expect(REPORT, "another SHA-256");
    let mut unnamed = Memory::good(JSON);
    unnamed.manifest.invalid_files.clear();
    unnamed.seal();
    unnamed.expect(REPORT, "not part of the dataset");
    unnamed.expect(MANIFEST, "the reports list 0");
}

#[test]
fn another_selection_has_the_last_word_on_splits_and_buckets() {
    let dataset = Memory::good(JSON);
    let own = selection(TARGET);
    let check = |selection: Selection| verify(&dataset, Some(selection), false).expect("a dataset");
    let more = check(selection(999));
    assert!(more.is_good(), "targets do not count: {:?}", more.findings);
    let mut buckets = own.buckets().to_vec();
    buckets[0].turns = [4, 5];
    let one = [("train".to_owned(), "short".to_owned(), 1)];
    let other = Selection::new("s", 0.0, own.splits().to_vec(), buckets, &one).expect("good");
    let report = check(other);
    let wrong = |f: &Finding| f.path == SHORT && f.what.contains("bucket_mismatch");
    assert!(report.findings.iter().any(wrong), "{:?}", report.findings);
}
