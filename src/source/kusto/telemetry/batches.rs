//! Requests that fit: how many conversations are asked for at once.

use super::census::CountedConversation;

/// What an answer may hold; a proxy cuts answers at 64 MB compressed (100 MB before that) and 500,000
/// rows. Half of it, as a cluster counts bytes otherwise.
const MOST_BYTES: u64 = 48 << 20;

/// See [`MOST_BYTES`].
const MOST_ROWS: u64 = 250_000;

/// Ids in a query: each is in its text twice.
const MOST_IDS: usize = 1000;

/// Ids of shared rows that are asked for first, while it is not known how large these are.
const FIRST_SHARED: usize = 200;

/// Cuts conversations into as many requests as it takes for each answer to fit. One that is too large
/// by itself is asked for alone.
pub fn cut(wanted: Vec<CountedConversation>) -> Vec<Vec<CountedConversation>> {
    let mut batches: Vec<Vec<CountedConversation>> = Vec::new();
    let (mut rows, mut bytes) = (0_u64, 0_u64);
    for conversation in wanted {
        rows = rows.saturating_add(conversation.rows);
        bytes = bytes.saturating_add(conversation.bytes);
        match batches.last_mut() {
            Some(batch) if rows <= MOST_ROWS && bytes <= MOST_BYTES && batch.len() < MOST_IDS => {
                batch.push(conversation);
            }
            _ => {
                (rows, bytes) = (conversation.rows, conversation.bytes);
                batches.push(vec![conversation]);
            }
        }
    }
    batches
}

/// How large shared rows are, from those that have come.
#[derive(Debug, Default)]
pub struct SharedSizes {
    ids: u64,
    bytes: u64,
}

impl SharedSizes {
    /// Notes how many bytes the rows of so many ids had.
    pub fn add(&mut self, ids: usize, bytes: u64) {
        self.ids += ids as u64;
        self.bytes += bytes;
    }

    /// How many ids the next request names.
    pub fn next(&self) -> usize {
        if self.ids == 0 {
            return FIRST_SHARED;
        }
        let each = (self.bytes / self.ids).max(1);
        usize::try_from(MOST_BYTES / 2 / each).map_or(MOST_IDS, |ids| ids.clamp(1, MOST_IDS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::selection::group::GroupMark;

    fn lengths(sizes: &[(u64, u64)]) -> Vec<usize> {
        let wanted = sizes.iter().map(|&(rows, bytes)| CountedConversation {
            group: GroupMark::ABSENT,
            id: "c".into(),
            turns: 3,
            rows,
            bytes,
        });
        cut(wanted.collect()).iter().map(Vec::len).collect()
    }

    #[test]
    fn no_answer_is_foreseen_to_be_too_large() {
        assert_eq!(lengths(&[]), [0; 0]);
        assert_eq!(lengths(&[(10, 10); 2500]), [1000, 1000, 500]);
        assert_eq!(lengths(&[(100_000, 1); 5]), [2, 2, 1]);
        assert_eq!(lengths(&[(1, MOST_BYTES / 3); 7]), [3, 3, 1]);
        let large = (1, u64::MAX);
        assert_eq!(lengths(&[large, large, (1, 1), (1, 1)]), [1, 1, 2]);
    }

    #[test]
    fn shared_rows_are_asked_for_by_the_size_of_those_that_came() {
        let mut sizes = SharedSizes::default();
        assert_eq!(sizes.next(), FIRST_SHARED);
        sizes.add(200, 200 * 1024);
        assert_eq!(sizes.next(), MOST_IDS);
        sizes.add(300, 500 << 20);
        assert_eq!(sizes.next(), 23);
        sizes.add(1, u64::MAX / 2);
        assert_eq!(sizes.next(), 1);
    }
}
