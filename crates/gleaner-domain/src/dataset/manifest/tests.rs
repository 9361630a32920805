use super::*;
use crate::dataset::left_out::invalid_report;
use crate::record::validation::Code;
use crate::sampling::stratum_fill::InvalidRecord;
use crate::selection::stratum::fixtures::selection;

fn stratum(file: &str, sha256: &str) -> StratumRecord {
    StratumRecord {
        split: "train".into(),
        bucket: "short".into(),
        target: Some(5),
        population: 10,
        records: 4,
        invalid: 1,
        not_sampled: 5,
        shortfall: 1,
        near_duplicates: 0,
        contaminated: 0,
        tokens: None,
        file: Some(file.into()),
        bytes: 1,
        sha256: Some(sha256.into()),
    }
}

#[test]
fn a_stratum_is_the_sum_of_its_parts() {
    assert_eq!(stratum("a", "").check(), Ok(()));
    for change in [
        |s: &mut StratumRecord| s.population += 1,
        |s: &mut StratumRecord| s.target = Some(6),
        |s: &mut StratumRecord| s.target = None,
        |s: &mut StratumRecord| s.near_duplicates += 1,
        |s: &mut StratumRecord| s.contaminated += 1,
        |s: &mut StratumRecord| s.invalid += 1,
        |s: &mut StratumRecord| s.not_sampled -= 1,
        |s: &mut StratumRecord| (s.records, s.invalid) = (s.records + 1, s.invalid - 1),
    ] {
        let mut wrong = stratum("a", "");
        change(&mut wrong);
        assert!(wrong.check().is_err(), "{wrong:?}");
    }
}

#[test]
fn a_stratum_that_takes_all_has_no_target_to_miss() {
    let mut all = stratum("a", "");
    (all.target, all.shortfall) = (None, 0);
    assert_eq!(all.check(), Ok(()));
}

#[test]
fn a_framing_is_known_by_its_ending() {
    for framing in [JSON, JSONL] {
        assert_eq!(Framing::of(framing.ending), Some(framing));
    }
    assert_eq!(Framing::of("csv"), None);
}

#[test]
fn the_content_digest_is_over_sorted_lines() {
    let mut empty = stratum("c", "");
    (empty.file, empty.sha256) = (None, None);
    let strata = [stratum("b", "22"), empty, stratum("a/z", "11")];
    let expected = hex(&Sha256::digest("11  a/z\n22  b\n"));
    assert_eq!(content_sha256(&strata), expected);
}

#[test]
fn an_invalid_report_is_json_with_a_summary() {
    let record = InvalidRecord {
        conversation_id: "a\"\n".into(),
        turns: 6,
        errors: Box::new([
            (Code::FirstTurn, "what, at turn 1".into()),
            (Code::LoneSurrogate, "x".into()),
        ]),
    };
    let record = ("short", &record);
    let report: Value = serde_json::from_slice(&invalid_report(&[record, record])).expect("JSON");
    assert_eq!(report["summary"]["total_invalid"], 2);
    assert_eq!(report["summary"]["error_summary"]["first_turn"], 2);
    assert_eq!(report["invalid_records"][1]["conversationId"], "a\"\n");
    assert_eq!(report["invalid_records"][1]["bucket"], "short");
    assert_eq!(
        report["invalid_records"][0]["errors"][0],
        "first_turn: what, at turn 1"
    );
    let empty: Value = serde_json::from_slice(&invalid_report(&[])).expect("JSON");
    assert_eq!(empty["invalid_records"], serde_json::json!([]));
}

#[test]
fn a_selection_survives_the_manifest() {
    let selection = selection(7);
    let record = SelectionRecord::from(&selection);
    assert_eq!(record.selection(selection.seed()), Ok(selection));
}

fn manifest() -> Manifest {
    let file = |path: &str| FileRecord {
        path: path.into(),
        bytes: 3,
        sha256: "33".into(),
    };
    let selection = selection(5);
    Manifest {
        format_version: FORMAT_VERSION,
        dataset: "d".into(),
        created_at: "2025-01-01T00:00:00Z".into(),
        tool: Tool {
            name: "gleaner".into(),
            version: "0".into(),
        },
        run_id: "r".into(),
        fingerprint: "f".into(),
        seed: selection.seed().into(),
        hash: HASH.into(),
        window: WindowInstants::default(),
        looked_at: WindowInstants::default(),
        source: Value::Null,
        selection: SelectionRecord::from(&selection),
        copilot_chat: None,
        rules: BTreeMap::new(),
        format: "json".into(),
        privacy: None,
        near_duplicates: None,
        groups: None,
        exclude: None,
        decontamination: None,
        sort_keys: "auto".into(),
        chunks: ChunksRecord::default(),
        population: Population {
            conversations: 20,
            ..Population::default()
        },
        malformed: MalformedReport::new(),
        strata: vec![stratum("b", "22"), stratum("a", "11")],
        warnings: BTreeMap::new(),
        invalid_files: vec![file("invalid")],
        card: None,
        content_sha256: String::new(),
        manifest_sha256: String::new(),
        statistics: BTreeMap::new(),
    }
}

#[test]
fn a_manifest_whose_sums_do_not_come_out_is_refused() {
    assert_eq!(manifest().check(), Ok(()));
    let changes: [fn(&mut Manifest); 3] = [
        |m| m.population.conversations += 1,
        |m| m.population.rows_read = Some(1),
        // Of one stratum, and not the first: its own sums, not that of all populations.
        |m| m.strata[1].not_sampled += 1,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut wrong = manifest();
        change(&mut wrong);
        assert!(wrong.check().is_err(), "change {number}");
    }
}

#[test]
fn a_manifest_names_its_files_and_what_is_missing() {
    let manifest = manifest();
    let files = manifest.files();
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["b", "a", "invalid"]);
    let stratum = (files[1].bytes, files[1].sha256.as_str());
    assert_eq!(stratum, (1, "11"));
    assert_eq!(manifest.shortfall(), 2);
}

#[test]
fn a_manifest_is_read_back_from_its_bytes() {
    let mut sealed = manifest();
    let bytes = sealed.seal().expect("JSON");
    assert!(bytes.ends_with(b"\n}\n"));
    let again: Manifest = serde_json::from_slice(&bytes).expect("a manifest");
    assert_eq!(again, sealed);
}

#[test]
fn checksums_of_0_1_0_are_read() {
    let mut sealed = manifest();
    let sum = ChunkChecksum {
        conversations: 3,
        checksum: 7,
    };
    sealed.chunks.checksums = [("h40-7".to_owned(), sum)].into();
    let text = String::from_utf8(sealed.seal().expect("JSON")).expect("text");
    let old = text.replace("\"checksums\"", "\"certificates\"");
    assert_ne!(old, text);
    let read: Manifest = serde_json::from_str(&old).expect("an old manifest");
    assert_eq!(read, sealed);
}

#[test]
fn the_digest_of_a_manifest_is_of_its_own_bytes() {
    let mut sealed = manifest();
    // What looks like the digest is none: a text has no line break in its bytes.
    sealed.dataset = "\n  \"manifest_sha256\": \"".to_owned() + &"1".repeat(64);
    let bytes = sealed.seal().expect("JSON");
    let text = String::from_utf8(bytes.clone()).expect("text");
    let zeros = text.replace(&sealed.manifest_sha256, &"0".repeat(64));
    assert_eq!(sealed.manifest_sha256, hex(&Sha256::digest(zeros)));
    let (digits, computed) = own_digest(&bytes).expect("it has one");
    assert_eq!(&bytes[digits], computed.as_bytes());
    assert_eq!(
        sealed.seal().expect("JSON"),
        bytes,
        "sealing again changes nothing"
    );
    let mut changed = bytes;
    let last = changed.len() - 4;
    changed[last] ^= 1;
    let (_, other) = own_digest(&changed).expect("it has one");
    assert_ne!(other, sealed.manifest_sha256);
    assert_eq!(own_digest(b"{\n  \"manifest_sha256\": \"12"), None);
    assert_eq!(own_digest(b"{}"), None);
}

#[test]
fn a_stratum_file_lies_in_the_folder_of_its_split() {
    let selection = selection(1);
    let path = stratum_path("val", &selection.buckets()[1], JSONL);
    assert_eq!(path, "val/medium_6_to_10_turns.jsonl");
}
