//! `selection.exclude`: ids, and users all of whose conversations, must not be in a dataset.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::dataset::manifest::hex;
use crate::selection::kusto_hash;

/// What a line that names a user begins with.
const USER: &str = "userName:";

/// The list as it is written. Its texts never leave it: what is shown are numbers. It is serialized for a machine
/// that reads rows for this one.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExcludeList {
    ids: BTreeSet<String>,
    users: BTreeSet<String>,
}

impl ExcludeList {
    /// Reads a list: an id, or `userName:NAME`, a line; white space around is no part of it. Blank lines and
    /// those that begin with `#` say nothing.
    ///
    /// # Errors
    /// The number of a line, from 1 on, with `userName:` and no name, or with it in other letters.
    pub fn parse(text: &str) -> Result<Self, u64> {
        let mut list = Self::default();
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (number, line) in (1..).zip(text.lines().map(str::trim)) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let prefix = line.get(..USER.len()).unwrap_or_default();
            match line.strip_prefix(USER).map(str::trim) {
                Some("") => return Err(number),
                Some(user) => drop(list.users.insert(user.to_owned())),
                None if prefix.eq_ignore_ascii_case(USER) => return Err(number),
                None => drop(list.ids.insert(line.to_owned())),
            }
        }
        Ok(list)
    }

    /// Whether it names nothing.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.users.is_empty()
    }

    /// Whether it names users: then the ids of their conversations must be found first.
    pub fn names_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The user of this name, if he is named.
    pub fn user(&self, name: &[u8]) -> Option<&str> {
        let name = std::str::from_utf8(name).ok()?;
        self.users.get(name).map(String::as_str)
    }

    /// How many ids and users it names, each once.
    pub fn listed(&self) -> u64 {
        (self.ids.len() + self.users.len()) as u64
    }

    /// What tells two lists apart without telling what is in them: HMAC-SHA256 of the sorted lines, in hexadecimal.
    pub fn digest(&self, key: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
        for (kind, texts) in [("id", &self.ids), ("user", &self.users)] {
            for text in texts {
                mac.update(format!("{kind} {} ", text.len()).as_bytes());
                mac.update(text.as_bytes());
            }
        }
        hex(&mac.finalize().into_bytes())
    }

    /// The ids that are left out: those of the list, and those that were found of its users.
    pub fn resolve(&self, found: &FoundUsers) -> Excluded {
        let listed = self.ids.iter().map(String::as_bytes);
        let all: BTreeSet<&[u8]> = listed.chain(found.ids.iter().map(|id| &**id)).collect();
        let numbered = (0..).zip(&all);
        Excluded {
            numbers: numbered
                .map(|(number, id)| ((*id).into(), number))
                .collect(),
            hashes: all.iter().map(|id| kusto_hash::hash(id)).collect(),
            listed_ids: (0..)
                .zip(&all)
                .filter(|(_, id)| std::str::from_utf8(id).is_ok_and(|id| self.ids.contains(id)))
                .map(|(number, _)| number)
                .collect(),
            users: found.users.clone(),
            listed: self.listed(),
            matched_users: found.users.len() as u64,
        }
    }
}

impl fmt::Debug for ExcludeList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ids, users) = (self.ids.len(), self.users.len());
        write!(f, "ExcludeList({ids} ids, {users} users)")
    }
}

/// The conversations of the users of a list, as far as the input was looked through. It is serialized for, and by, a
/// machine that reads rows for this one.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FoundUsers {
    ids: BTreeSet<Box<[u8]>>,
    users: BTreeSet<String>,
}

impl FoundUsers {
    /// Notes that a row of this conversation names this user.
    pub fn add(&mut self, id: &[u8], user: &str) {
        if !self.ids.contains(id) {
            self.ids.insert(id.into());
        }
        if !self.users.contains(user) {
            self.users.insert(user.to_owned());
        }
    }

    /// Adds what was found in another part of the input.
    pub fn merge(&mut self, other: Self) {
        self.ids.extend(other.ids);
        self.users.extend(other.users);
    }
}

impl fmt::Debug for FoundUsers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ids, users) = (self.ids.len(), self.users.len());
        write!(f, "FoundUsers({ids} ids of {users} users)")
    }
}

/// The ids that a run leaves out, each with a number that stands for it where it must not be written.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Excluded {
    numbers: BTreeMap<Box<[u8]>, u32>,
    hashes: BTreeSet<i64>,
    listed_ids: BTreeSet<u32>,
    users: BTreeSet<String>,
    listed: u64,
    matched_users: u64,
}

impl Excluded {
    /// Whether nothing is left out.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The number of an id that is left out.
    pub fn number(&self, id: &[u8]) -> Option<u32> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(id).copied()
    }

    /// Whether an id with this hash, Kusto's, is left out.
    pub fn has_hash(&self, hash: i64) -> bool {
        self.hashes.contains(&hash)
    }

    /// How much of the list was there; `seen` are the numbers of the ids that were.
    pub fn record(&self, seen: &BTreeSet<u32>) -> ExcludeRecord {
        let ids = seen.intersection(&self.listed_ids).count() as u64;
        ExcludeRecord {
            listed: self.listed,
            matched: ids + self.matched_users,
        }
    }

    /// Whether a text is an id or a user that is left out.
    pub fn names(&self, text: &[u8]) -> bool {
        let is_user = || std::str::from_utf8(text).is_ok_and(|user| self.users.contains(user));
        self.numbers.contains_key(text) || is_user()
    }
}

impl fmt::Debug for Excluded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excluded({} ids)", self.numbers.len())
    }
}

/// How much of a list was found, for `metadata.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ExcludeRecord {
    /// Ids and users that `selection.exclude` names, each once.
    pub listed: u64,
    /// Those of which the input has a row.
    pub matched: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "\u{feff}# retracted\r\n\n  b \r\na\nb\nuserName: Ann B\n  #c\n";

    #[test]
    fn a_list_has_ids_and_users_and_nothing_else() {
        let list = ExcludeList::parse(LIST).expect("right");
        assert_eq!((list.listed(), list.names_users()), (3, true));
        assert_eq!(list.user(b"Ann B"), Some("Ann B"));
        assert_eq!((list.user(b"Ann"), list.user(b"a")), (None, None));
        for wrong in ["a\n\nuserName:  ", "#\na\nusername:ann"] {
            assert_eq!(ExcludeList::parse(wrong).expect_err("refused"), 3);
        }
        assert!(
            ExcludeList::parse("# nothing\n\n")
                .expect("right")
                .is_empty()
        );
        assert_eq!(format!("{list:?}"), "ExcludeList(2 ids, 1 users)");
    }

    #[test]
    fn a_digest_is_of_what_is_listed_and_of_the_key() {
        let digest = |text, key| ExcludeList::parse(text).expect("right").digest(key);
        assert_eq!(digest("b\na\n", b"k"), digest("#\na\na\n\nb", b"k"));
        for other in ["a", "ab", "a\nuserName:b", "a\nb\nc"] {
            assert_ne!(digest("a\nb", b"k"), digest(other, b"k"), "{other}");
        }
        assert_ne!(digest("a\nb", b"k"), digest("a\nb", b"l"));
    }

    #[test]
    fn ids_of_the_list_and_of_its_users_are_left_out_and_what_was_there_is_counted() {
        let list = ExcludeList::parse("a\nzz\nuserName:ann\nuserName:bob").expect("right");
        let mut found = FoundUsers::default();
        found.add(b"c", "ann");
        found.add(b"a", "ann");
        let excluded = list.resolve(&found);
        let numbers = [&b"a"[..], b"c", b"zz", b"d"].map(|id| excluded.number(id));
        assert_eq!(numbers, [Some(0), Some(1), Some(2), None]);
        assert!(excluded.has_hash(kusto_hash::hash(b"c")));
        assert!(!excluded.has_hash(kusto_hash::hash(b"d")));
        assert!(excluded.names(b"c") && excluded.names(b"ann") && !excluded.names(b"bob"));
        let record = |listed, matched| ExcludeRecord { listed, matched };
        assert_eq!(excluded.record(&BTreeSet::from([0, 1])), record(4, 2));
        assert_eq!(excluded.record(&BTreeSet::from([0, 1, 2])), record(4, 3));
        assert!(!format!("{excluded:?} {found:?} {list:?}").contains("zz"));
    }
}
