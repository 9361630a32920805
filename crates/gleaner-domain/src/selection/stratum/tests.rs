use super::fixtures::selection;
use super::*;

/// The splits and buckets of the specification, with one target for every stratum.

#[test]
fn splits_follow_the_cumulative_percentages() {
    let s = selection(1);
    assert_eq!(s.split_of(b"World").name, "train", "residue 51");
    assert_eq!(s.split_of(b"Hello").name, "train", "residue 28");
    let mut seen = [0; 3];
    for i in 0..10_000 {
        let id = format!("id-{i}");
        let residue = kusto_hash::modulo(kusto_hash::hash(id.as_bytes()), 100);
        let expected = match residue {
            0..83 => 0,
            83..92 => 1,
            _ => 2,
        };
        seen[expected] += 1;
        assert_eq!(
            s.split_of(id.as_bytes()).name,
            s.splits()[expected].name,
            "{id}"
        );
    }
    assert!(seen.iter().all(|&n| n > 500));
}

#[test]
fn bucket_edges_are_inclusive() {
    let s = selection(1);
    let name = |turns| s.bucket_of(turns).map(|b| b.name.as_str());
    assert_eq!(
        [0, 2, 3, 5, 6, 10, 11, 20, 21].map(name),
        [
            None,
            None,
            Some("short"),
            Some("short"),
            Some("medium"),
            Some("medium"),
            Some("long"),
            Some("long"),
            None
        ]
    );
}

#[test]
fn bad_selections_are_refused_with_their_reason() {
    let good = selection(1);
    let build = |splits: Vec<Split>, buckets: Vec<Bucket>, targets: &[(String, String, u64)]| {
        Selection::new("s", 5.0, splits, buckets, targets)
    };
    let one = [("train".to_owned(), "short".to_owned(), 1)];
    let mut splits = good.splits().to_vec();
    splits[0].percent = 80;
    assert_eq!(
        build(splits, good.buckets().to_vec(), &one).err(),
        Some(SelectionError::Percent(97))
    );
    let mut buckets = good.buckets().to_vec();
    buckets[1].turns = [5, 10];
    assert_eq!(
        build(good.splits().to_vec(), buckets, &one).err(),
        Some(SelectionError::Overlap("short".into(), "medium".into()))
    );
    let mut buckets = good.buckets().to_vec();
    buckets[0].file = "../evil".into();
    assert!(matches!(
        build(good.splits().to_vec(), buckets, &one),
        Err(SelectionError::Name { .. })
    ));
    assert_eq!(
        build(good.splits().to_vec(), good.buckets().to_vec(), &[]).err(),
        Some(SelectionError::AllZero)
    );
    let typo = [("trian".to_owned(), "short".to_owned(), 1)];
    assert!(matches!(
        build(good.splits().to_vec(), good.buckets().to_vec(), &typo),
        Err(SelectionError::UnknownTarget { kind: "split", .. })
    ));
}

#[test]
fn spares_are_a_share_of_the_target_and_sixteen() {
    let s = selection(1);
    let candidates = |n| s.candidates_for(NonZeroU64::new(n).expect("not zero"));
    assert_eq!(candidates(1), 1 + 1 + 16);
    assert_eq!(candidates(40_000), 42_016);
}

/// A split without a share, and targets for three of six strata.
fn gappy() -> Selection {
    let split = |name: &str, percent| Split {
        name: name.to_owned(),
        percent,
    };
    let target = |split: &str, bucket: &str, n| (split.to_owned(), bucket.to_owned(), n);
    let splits = vec![split("a", 30), split("none", 0), split("b", 70)];
    let buckets = selection(1).buckets()[..2].to_vec();
    let targets = [
        target("a", "medium", 5),
        target("none", "short", 7),
        target("b", "short", 11),
        target("b", "medium", 0),
    ];
    Selection::new("s", 5.0, splits, buckets, &targets).expect("good")
}

#[test]
fn only_strata_with_a_target_are_wanted() {
    let s = gappy();
    let strata: Vec<u16> = s.strata().map(|stratum| stratum.0).collect();
    assert_eq!(strata, [1, 2, 4]);
    assert_eq!((s.stratum_count(), s.total()), (6, Some(23)));
    let targets = (0..6).map(|i| s.target(StratumId(i)).map_or(0, NonZeroU64::get));
    assert_eq!(targets.collect::<Vec<_>>(), [0, 5, 7, 0, 11, 0]);
}

#[test]
fn a_stratum_holds_a_split_and_a_bucket() {
    let s = gappy();
    let mut seen = [0; 6];
    for id in (0..200).map(|i| format!("id-{i}")) {
        let split = s.split_of(id.as_bytes());
        for (turns, bucket) in [(4, 0), (8, 1)] {
            let index = if split.name == "a" {
                bucket
            } else {
                4 + bucket
            };
            let stratum = StratumId(index as u16);
            let expected = match s.target(stratum) {
                Some(_) => Membership::Stratum(stratum),
                None => Membership::NoTarget,
            };
            assert_eq!(
                s.membership(id.as_bytes(), GroupMark::ABSENT, turns),
                expected,
                "{id}"
            );
            assert_eq!(s.split(stratum), split);
            assert_eq!(s.bucket(stratum), &s.buckets()[bucket]);
            seen[index] += 1;
        }
        assert_eq!(
            s.membership(id.as_bytes(), GroupMark::ABSENT, 11),
            Membership::OutOfRange
        );
    }
    assert!(seen[0] > 30 && seen[4] > 90, "{seen:?}");
}

#[test]
fn the_residues_of_a_stratum_are_those_of_its_split() {
    let s = gappy();
    let residues: Vec<_> = (0..6).map(|i| s.residues(StratumId(i))).collect();
    let (a, b) = (Some(0..=29), Some(30..=99));
    assert_eq!(residues, [a.clone(), a, None, None, b.clone(), b]);
}

/// With other buckets: the ranges of turns and the names are given.
fn with_buckets(buckets: &[(&str, &str, [u64; 2])]) -> Result<Selection, SelectionError> {
    let bucket = |&(name, file, turns): &(&str, &str, _)| Bucket {
        name: name.to_owned(),
        turns,
        file: file.to_owned(),
    };
    let splits = selection(1).splits().to_vec();
    let target = ("train".to_owned(), buckets[0].0.to_owned(), 1);
    let buckets = buckets.iter().map(bucket).collect();
    Selection::new("s", 5.0, splits, buckets, &[target])
}

#[test]
fn a_bucket_has_at_least_one_number_of_turns_and_none_of_anothers() {
    for turns in [[1, 1], [7, 7], [1, u64::MAX]] {
        assert!(with_buckets(&[("x", "f", turns)]).is_ok(), "{turns:?}");
    }
    for turns in [[0, 5], [0, 0], [6, 5]] {
        let refused = with_buckets(&[("x", "f", turns)]).err();
        let [first, last] = turns;
        let name = "x".to_owned();
        assert_eq!(refused, Some(SelectionError::Range { name, first, last }));
    }
    for (other, overlap) in [
        ([1, 4], false),
        ([1, 5], true),
        ([1, 20], true),
        ([6, 7], true),
        ([8, 20], true),
        ([9, 20], false),
    ] {
        let both = with_buckets(&[("x", "f", [5, 8]), ("y", "g", other)]).err();
        let expected = SelectionError::Overlap("x".to_owned(), "y".to_owned());
        assert_eq!(both, overlap.then_some(expected), "{other:?}");
    }
}

#[test]
fn names_are_plain_and_unique() {
    for name in ["a", "7", "A.b_c-9"] {
        assert!(with_buckets(&[(name, name, [1, 2])]).is_ok(), "{name}");
    }
    for name in ["", ".", ".a", "-a", "_a", "a b", "a/b", "é", "aé"] {
        for (name, file) in [(name, "f"), ("x", name)] {
            let refused = with_buckets(&[(name, file, [1, 2])]).err();
            assert!(
                matches!(refused, Some(SelectionError::Name { .. })),
                "{name} {file}"
            );
        }
    }
    for (name, file) in [("x", "g"), ("y", "f")] {
        let twice = with_buckets(&[("x", "f", [1, 2]), (name, file, [3, 4])]).err();
        assert!(matches!(twice, Some(SelectionError::Duplicate { .. })));
    }
}

#[test]
fn there_may_be_a_thousand_strata_and_no_more() {
    let buckets = |count: u64| -> Vec<Bucket> {
        let bucket = |i| Bucket {
            name: format!("b{i}"),
            turns: [i, i],
            file: format!("f{i}"),
        };
        (1..=count).map(bucket).collect()
    };
    let one = vec![Split {
        name: "all".to_owned(),
        percent: 100,
    }];
    let target = ("all".to_owned(), "b1".to_owned(), 1);
    let build = |count| {
        let target = std::slice::from_ref(&target);
        Selection::new("s", 5.0, one.clone(), buckets(count), target)
    };
    assert_eq!(build(1000).map(|s| s.stratum_count()), Ok(1000));
    assert_eq!(build(1001).err(), Some(SelectionError::TooMany(1001)));
}

#[test]
fn a_group_decides_the_split_and_without_one_the_id_does() {
    let s = selection(1);
    let of = |group: GroupMark| s.split_of_group(b"World", group).name.clone();
    for (residue, split) in [(0, "train"), (82, "train"), (83, "val"), (92, "test")] {
        let group = GroupMark::of_residue(residue);
        assert_eq!(of(group), split, "{residue}");
        let Membership::Stratum(stratum) = s.membership(b"World", group, 4) else {
            panic!("every stratum has a target");
        };
        assert_eq!(s.split(stratum).name, split);
    }
    assert_eq!(of(GroupMark::ABSENT), s.split_of(b"World").name);
    assert_eq!(of(GroupMark::NO_TEXT), s.split_of(b"World").name);
}
