//! The groups of a dataset: how many each split has, and that none is in two of them; and of a population, how uneven
//! they make the splits.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::selection::group::GroupMark;
use crate::selection::stratum::Selection;

/// Groups by split.
pub type GroupCounts = BTreeMap<String, u64>;

/// Conversations of one group are in two splits.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("a group of selection.split_by is in {0} and in {1}")]
pub struct GroupInTwoSplits(pub String, pub String);

/// Counts the groups of each split; given are splits with hashes of groups, in any order, any number of times.
/// Takes 16 bytes for each hash.
///
/// # Errors
/// If one is in two splits.
pub fn count<'a>(
    splits: &[String],
    groups: impl IntoIterator<Item = (&'a str, &'a [i64])>,
) -> Result<GroupCounts, GroupInTwoSplits> {
    let mut all = Vec::new();
    for (split, hashes) in groups {
        let split = splits.iter().position(|name| name == split);
        // A split that is none of them has no records.
        let split = split.unwrap_or(0);
        all.extend(hashes.iter().map(|&hash| (hash, split)));
    }
    all.sort_unstable();
    all.dedup();
    let mut counts: GroupCounts = splits.iter().map(|name| (name.clone(), 0)).collect();
    for pair in all.windows(2) {
        if pair[0].0 == pair[1].0 {
            let [one, other] = [pair[0].1, pair[1].1].map(|split| splits[split].clone());
            return Err(GroupInTwoSplits(one, other));
        }
    }
    for (_, split) in all {
        if let Some(count) = counts.get_mut(&splits[split]) {
            *count += 1;
        }
    }
    Ok(counts)
}

/// How a population falls into the splits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spread {
    /// Conversations without a group: they are in the splits of their ids, and invalid.
    pub without: u64,
    /// The splits, in their order.
    pub splits: Vec<SplitSpread>,
}

/// The part of a population that is in a split. `None`: not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitSpread {
    /// The split.
    pub name: String,
    /// Its share of the hashes of groups, in percent.
    pub percent: u32,
    /// Its groups.
    pub groups: Option<u64>,
    /// Its conversations.
    pub conversations: u64,
    /// Conversations of its largest group.
    pub largest: Option<u64>,
}

impl Spread {
    /// Of conversations by the hash of their id, each with the hash of its group. Takes 16 bytes for each group, and
    /// what it takes to find it.
    pub fn of(
        selection: &Selection,
        conversations: impl IntoIterator<Item = (i64, Option<i64>)>,
    ) -> Self {
        let mut groups = BTreeMap::<i64, u64>::new();
        let mut spread = Self::empty(selection, Some(0));
        for (id, group) in conversations {
            match group {
                Some(group) => *groups.entry(group).or_default() += 1,
                None => {
                    spread.without += 1;
                    spread.split(selection, id).conversations += 1;
                }
            }
        }
        for (group, count) in groups {
            let split = spread.split(selection, group);
            split.conversations += count;
            split.groups = split.groups.map(|groups| groups + 1);
            split.largest = split.largest.map(|largest| largest.max(count));
        }
        spread
    }

    /// Of what is known of hashes alone: numbers of conversations by `hash % 100`, of their group or else of their id.
    pub fn of_residues(
        selection: &Selection,
        counts: impl IntoIterator<Item = (i64, u64)>,
    ) -> Self {
        let mut spread = Self::empty(selection, None);
        for (residue, count) in counts {
            spread.split(selection, residue).conversations += count;
        }
        spread
    }

    fn empty(selection: &Selection, known: Option<u64>) -> Self {
        let splits = selection.splits().iter().map(|split| SplitSpread {
            name: split.name.clone(),
            percent: split.percent,
            groups: known,
            conversations: 0,
            largest: known,
        });
        Self {
            without: 0,
            splits: splits.collect(),
        }
    }

    fn split(&mut self, selection: &Selection, hash: i64) -> &mut SplitSpread {
        let name = &selection.split_of_group(b"", GroupMark::of_hash(hash)).name;
        let place = self.splits.iter().position(|split| split.name == *name);
        // Every split of the selection is there.
        &mut self.splits[place.unwrap_or(0)]
    }

    /// All conversations.
    pub fn conversations(&self) -> u64 {
        self.splits.iter().map(|split| split.conversations).sum()
    }

    /// All groups, if they are known.
    pub fn groups(&self) -> Option<u64> {
        self.splits.iter().map(|split| split.groups).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selection::group::{Group, GroupField};
    use crate::selection::kusto_hash;
    use crate::selection::stratum::Membership;
    use crate::selection::stratum::fixtures::selection;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn hash(text: &str) -> i64 {
        kusto_hash::hash(text.as_bytes())
    }

    #[test]
    fn a_spread_counts_groups_and_their_conversations_by_split() {
        let selection = selection(1);
        let of = |name: &str| selection.split_of(name.as_bytes()).name.clone();
        let users = ["a", "b", "World", "x1", "x2"];
        let mut conversations = Vec::new();
        for (user, count) in users.iter().zip(1..) {
            let id = |n: u64| (hash(&format!("{user}-{n}")), Some(hash(user)));
            conversations.extend((0..count).map(id));
        }
        conversations.push((hash("lost"), None));
        let spread = Spread::of(&selection, conversations);
        assert_eq!(
            (spread.conversations(), spread.groups(), spread.without),
            (16, Some(5), 1)
        );
        for split in &spread.splits {
            let own = users
                .iter()
                .zip(1u64..)
                .filter(|(user, _)| of(user) == split.name);
            let own: Vec<u64> = own.map(|(_, count)| count).collect();
            let lost = u64::from(of("lost") == split.name);
            assert_eq!(split.groups, Some(own.len() as u64), "{split:?}");
            assert_eq!(
                split.conversations,
                own.iter().sum::<u64>() + lost,
                "{split:?}"
            );
            assert_eq!(
                split.largest,
                Some(own.into_iter().max().unwrap_or(0)),
                "{split:?}"
            );
        }
        let spread = Spread::of_residues(&selection, [(0, 3), (82, 4), (83, 5), (99, 6)]);
        let counts = spread.splits.iter().map(|split| split.conversations);
        assert_eq!(Vec::from_iter(counts), [7, 5, 6]);
        assert_eq!(spread.groups(), None);
    }

    proptest! {
        /// Whatever the population: every conversation of a user is in the split of his name, so that none is in two.
        #[test]
        fn no_user_is_in_two_splits(
            population in prop::collection::vec(("[a-e\\u{e9}]{1,3}", any::<u32>(), 3u64..20), 1..200)
        ) {
            let selection = selection(1);
            let field = GroupField::new("userName").expect("a field");
            let mut splits = BTreeMap::<String, BTreeSet<String>>::new();
            let mut by_split = Vec::new();
            for (user, id, turns) in &population {
                let record = format!(r#"{{"conversationId":"{id}","userName":"{user}"}}"#);
                let group = field.of_record(record.as_bytes()).expect("JSON");
                prop_assert_eq!(group, Group::of_text(user));
                let id = id.to_string();
                let membership = selection.membership(id.as_bytes(), group.mark(), *turns);
                let Membership::Stratum(stratum) = membership else {
                    panic!("all strata have targets");
                };
                let split = selection.split(stratum).name.clone();
                splits.entry(user.clone()).or_default().insert(split.clone());
                by_split.push((split, [group.hash().expect("a name")]));
            }
            prop_assert!(splits.values().all(|splits| splits.len() == 1));
            let names: Vec<String> = selection.splits().iter().map(|s| s.name.clone()).collect();
            let groups = by_split.iter().map(|(split, group)| (split.as_str(), &group[..]));
            let counts = count(&names, groups).expect("none is in two");
            prop_assert_eq!(counts.values().sum::<u64>(), splits.len() as u64);
        }
    }

    #[test]
    fn every_group_counts_once_and_in_one_split_only() {
        let splits = ["train", "val", "test"].map(str::to_owned);
        let groups = [
            ("train", &[3, -1, 3][..]),
            ("val", &[7]),
            ("train", &[-1, 9]),
        ];
        let counted = count(&splits, groups).expect("none is in two");
        let expected = [("train", 3), ("val", 1), ("test", 0)];
        let expected = expected.map(|(split, groups)| (split.to_owned(), groups));
        assert_eq!(counted, BTreeMap::from(expected));
        let both = [("val", &[1, 5][..]), ("train", &[5])];
        let found = count(&splits, both).expect_err("5 is in two");
        assert_eq!(
            found,
            GroupInTwoSplits("train".to_owned(), "val".to_owned())
        );
    }
}
