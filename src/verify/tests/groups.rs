//! A dataset that is split by users.

use super::memory::{Memory, SHORT};
use super::*;
use crate::domain::dataset::groups::GroupCounts;
use crate::domain::dataset::manifest::JSONL;
use crate::domain::privacy::policy::{FoundCounts, PrivacyRecord};
use crate::domain::selection::kusto_hash;
use crate::domain::selection::stratum::fixtures::selection;

/// Names of users, the same number for each split.
fn names(split: &str) -> Vec<String> {
    let selection = selection(1);
    let all = (0..).map(|number| format!("user {number}"));
    let of_split = all.filter(|name| selection.split_of(name.as_bytes()).name == split);
    of_split.take(3).collect()
}

/// A file whose records are of these users, in turns.
fn of_users(text: &str, users: &[String]) -> String {
    let named = text.lines().zip(users.iter().cycle()).map(|(line, user)| {
        let name = format!("\"userName\":\"{user}\"");
        line.replace("\"userName\":\"n\"", &name) + "\n"
    });
    named.collect()
}

/// Every split has three users.
fn grouped() -> Memory {
    let mut dataset = Memory::good(JSONL);
    dataset.manifest.selection.split_by = Some("userName".to_owned());
    let strata = dataset.manifest.strata.clone();
    let mut counts = GroupCounts::new();
    for stratum in strata {
        let users = names(&stratum.split);
        counts.insert(stratum.split.clone(), users.len() as u64);
        if let Some(file) = &stratum.file {
            dataset.forge(file, |text| of_users(&text, &users));
        }
    }
    dataset.manifest.groups = Some(counts);
    dataset.seal();
    dataset
}

/// The file of the fixture's first stratum.
fn short() -> String {
    SHORT.replace(".json", ".jsonl")
}

#[test]
fn splits_are_those_of_the_users() {
    let report = grouped().verify(false);
    assert!(report.is_good(), "{:?}", report.findings);
    assert!(report.unchecked.is_empty());
    assert!(grouped().verify(true).is_good());
}

#[test]
fn a_user_of_another_split_is_found() {
    let mut dataset = grouped();
    let of_val = names("val");
    let of_train = names("train");
    dataset.forge(&short(), |text| text.replacen(&of_train[0], &of_val[0], 1));
    dataset.expect(&short(), "split_mismatch: userName belongs to val");
    let medium_of_val = "val/medium_6_to_10_turns.jsonl";
    let short_of_val = "val/short_3_to_5_turns.jsonl";
    let report = dataset.verify(false);
    let is_told = |finding: &Finding| {
        [medium_of_val, short_of_val].contains(&finding.path.as_str())
            && finding.what.contains("its group is in train too")
    };
    assert!(report.findings.iter().any(is_told), "{:?}", report.findings);
}

#[test]
fn a_record_without_a_user_and_a_wrong_count_are_found() {
    let mut dataset = grouped();
    let of_train = names("train");
    let first = format!("\"{}\"", of_train[0]);
    dataset.forge(&short(), |text| text.replacen(&first, "7", 1));
    dataset.expect(&short(), "missing_group: userName is no text");
    let mut dataset = grouped();
    let counts = dataset.manifest.groups.as_mut().expect("counts");
    *counts.get_mut("val").expect("a split") += 1;
    dataset.seal();
    dataset.expect(MANIFEST, "number of groups");
    dataset.manifest.groups = None;
    dataset.seal();
    dataset.expect(MANIFEST, "number of groups");
}

fn with_privacy(users: &str, personal: &str) -> Memory {
    let mut dataset = grouped();
    dataset.manifest.privacy = Some(PrivacyRecord {
        secrets: "off".to_owned(),
        personal: personal.to_owned(),
        users: users.to_owned(),
        rules_version: 1,
        rules_sha256: None,
        key_id: None,
        found: FoundCounts::new(),
    });
    dataset
}

#[test]
fn a_pseudonym_may_be_in_one_split_only_and_its_hash_is_not_looked_at() {
    let mut dataset = with_privacy("pseudonym", "off");
    let pseudonym = |user: &str| format!("user_{:016x}", kusto_hash::hash(user.as_bytes()));
    let splits = ["train", "val", "test"].map(|split| (split, names(split)));
    let files: Vec<String> = (dataset.manifest.strata.iter())
        .filter_map(|stratum| stratum.file.clone())
        .collect();
    for file in &files {
        dataset.forge(file, |mut text| {
            for user in splits.iter().flat_map(|(_, users)| users) {
                let [from, to] = [user.clone(), pseudonym(user)].map(|name| format!("\"{name}\""));
                text = text.replace(&from, &to);
            }
            text
        });
    }
    let report = dataset.verify(false);
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!(report.unchecked, ["split_mismatch"]);
    let [(_, of_train), (_, of_val), _] = &splits;
    let [from, to] = [&of_train[0], &of_val[0]].map(|user| pseudonym(user));
    dataset.forge(&short(), |text| text.replacen(&from, &to, 1));
    let report = dataset.verify(false);
    let is_told = |finding: &Finding| finding.what.contains("its group is in train too");
    assert!(report.findings.iter().any(is_told), "{:?}", report.findings);
    dataset.forge(&short(), |text| text.replacen(&to, " ", 1));
    dataset.expect(&short(), "missing_group");
}

#[test]
fn a_placeholder_may_stand_for_users_of_several_splits() {
    let mut dataset = with_privacy("keep", "redact");
    let [of_train, of_val] = ["train", "val"].map(|split| names(split).remove(0));
    let val = "val/short_3_to_5_turns.jsonl".to_owned();
    for (file, user) in [(short(), of_train), (val, of_val)] {
        dataset.forge(&file, |text| text.replace(&user, "<EMAIL>"));
    }
    let report = dataset.verify(false);
    assert!(report.is_good(), "{:?}", report.findings);
    assert_eq!(report.unchecked, ["split_mismatch"]);
}
