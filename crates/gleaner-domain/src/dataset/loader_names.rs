//! How loaders read the names of a dataset.
//!
//! Source: `datasets/data_files.py` and `datasets/splits.py` of datasets 5.2.0. Where no card says which
//! files are which split, a word such as `test` in the name of a folder or a file does.

/// The split that a word stands for, where no card says otherwise.
const WORDS: [(&str, &str); 9] = [
    ("train", "train"),
    ("training", "train"),
    ("validation", "validation"),
    ("valid", "validation"),
    ("dev", "validation"),
    ("val", "validation"),
    ("test", "test"),
    ("testing", "test"),
    ("eval", "test"),
];

/// The name of a split as loaders know it: `val` is `validation`, and there are only letters, digits and
/// underscores in it.
pub fn split_name(split: &str) -> String {
    if split == "val" {
        return "validation".to_owned();
    }
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    split.chars().map(letter).collect()
}

/// The split for which a loader takes what has this name, if it does not read the card.
pub fn taken_for(name: &str) -> Option<&'static str> {
    let lower = name.to_ascii_lowercase();
    let mut words = lower.split(|c: char| matches!(c, '-' | '.' | '_' | ' ') || c.is_ascii_digit());
    words.find_map(|word| {
        let known = WORDS.iter().find(|(known, _)| *known == word);
        known.map(|(_, split)| *split)
    })
}

/// What is to be said about the names of a dataset, its splits and its buckets, a sentence each.
pub fn warnings<'a>(
    dataset: &str,
    splits: impl IntoIterator<Item = &'a str>,
    buckets: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let mut said = Vec::new();
    let mut taken = |kind: &str, name: &str, is: Option<&str>| {
        if let Some(split) = taken_for(name).filter(|split| Some(*split) != is) {
            said.push(format!(
                "loaders that do not read README.md take the {kind} {name} for the split {split}: another name is safer"
            ));
        }
    };
    taken("dataset", dataset, None);
    let mut renamed = Vec::new();
    for split in splits {
        let name = split_name(split);
        taken("split", split, Some(&name));
        if name != split && split != "val" {
            renamed.push(format!(
                "loaders know no split called {split}: README.md calls it {name}"
            ));
        }
    }
    for bucket in buckets {
        taken("bucket", bucket, None);
    }
    said.extend(renamed);
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_in_a_name_makes_it_a_split() {
        for (name, split) in [
            ("my_test_run", Some("test")),
            ("long-eval", Some("test")),
            ("Dev2", Some("validation")),
            ("short_3_to_5_turns", None),
            ("latest", None),
            ("contest_a", None),
            ("training", Some("train")),
        ] {
            assert_eq!(taken_for(name), split, "{name}");
        }
    }

    #[test]
    fn the_usual_names_are_not_warned_about_and_others_are() {
        let usual = ["short_3_to_5_turns", "long_11_to_20_turns"];
        let name = "vscodedata_120k_complete_stratified_deduped_15d_20241209_143052";
        assert!(warnings(name, ["train", "val", "test"], usual).is_empty());
        let said = warnings("d", ["my-split", "my_test_run", "dev"], ["long-eval"]);
        for word in [
            "my_test_run",
            "long-eval",
            "the split dev",
            "calls it my_split",
        ] {
            assert!(
                said.iter().any(|said| said.contains(word)),
                "{word}: {said:?}"
            );
        }
        assert_eq!(said.len(), 4, "{said:?}");
        assert_eq!(warnings("for-test", ["train"], []).len(), 1);
    }

    #[test]
    fn a_split_has_a_name_that_loaders_take() {
        for (split, name) in [
            ("val", "validation"),
            ("train", "train"),
            ("a-b.c", "a_b_c"),
        ] {
            assert_eq!(split_name(split), name);
        }
    }
}
