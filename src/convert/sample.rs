//! How many files a split will take.

use super::batch::Batch;

/// Bytes of records by which the number of files is estimated; fewer where files are shorter. A split's
/// records come by rank, so the first ones are a random sample of it.
const SAMPLE_BYTES: u64 = 8 << 20;

/// Where files begin: before the record with which one would become longer than is allowed.
pub struct Lengths {
    most: u64,
    bytes: u64,
    /// Files so far.
    pub files: usize,
}

impl Lengths {
    /// No records yet.
    pub fn new(most: u64) -> Self {
        Self {
            most,
            bytes: 0,
            files: 0,
        }
    }

    /// Takes the length of the next record; whether a file begins with it.
    pub fn begins_file(&mut self, length: u64) -> bool {
        let begins = self.files == 0 || self.bytes + length > self.most;
        if begins {
            self.files += 1;
            self.bytes = 0;
        }
        self.bytes += length;
        begins
    }
}

/// The records that come first, held back until it is known how many files there will be.
pub struct Sample {
    /// The length of all records, as they are read.
    all: u64,
    read: u64,
    written: u64,
    held: Vec<Batch>,
    known: Option<usize>,
}

impl Sample {
    /// Of a split of so many bytes; where it is known already how many files it takes, nothing is held.
    pub fn new(all: u64, known: Option<usize>) -> Self {
        Self {
            all,
            read: 0,
            written: 0,
            held: Vec::new(),
            known,
        }
    }

    /// Takes a batch; gives the number of files of at most `most` bytes, and the batches that can be
    /// written: none as long as the number is not known.
    pub fn take(&mut self, batch: Batch, most: u64) -> (usize, Vec<Batch>) {
        self.read += batch.read;
        self.written += batch.lengths().iter().sum::<u64>();
        self.held.push(batch);
        if self.known.is_none() {
            if self.read < SAMPLE_BYTES.min(most) {
                return (0, Vec::new());
            }
            let all = u128::from(self.written) * u128::from(self.all) / u128::from(self.read);
            let files = all.div_ceil(u128::from(most.max(1)));
            self.known = Some(usize::try_from(files).unwrap_or(usize::MAX).max(1));
        }
        (self.known.unwrap_or(1), std::mem::take(&mut self.held))
    }

    /// The number of files, and the batches that are held yet: all, if they were few.
    pub fn finish(&mut self, most: u64) -> (usize, Vec<Batch>) {
        let files = self.known.unwrap_or_else(|| {
            let mut lengths = Lengths::new(most);
            for length in self.held.iter().flat_map(Batch::lengths) {
                lengths.begins_file(length);
            }
            lengths.files
        });
        (files, std::mem::take(&mut self.held))
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Body;
    use super::*;
    use crate::domain::dataset::converted::Counts;
    use crate::runtime::buffers::Buffer;

    #[test]
    fn a_file_begins_before_the_record_that_would_pass_the_limit() {
        let mut lengths = Lengths::new(10);
        let begins: Vec<_> = [4, 6, 1, 12, 9, 1]
            .map(|length| lengths.begins_file(length))
            .to_vec();
        assert_eq!(begins, [true, false, true, true, true, false]);
        assert_eq!(lengths.files, 4);
    }

    fn batch(read: u64, lengths: &[usize]) -> Batch {
        let ends = lengths.iter().scan(0, |end, length| {
            *end += length;
            Some(*end - length..*end)
        });
        Batch {
            records: lengths.len() as u64,
            read,
            counts: Counts::default(),
            columns: Vec::new(),
            body: Body::Lines {
                bytes: Buffer::default(),
                places: ends.collect(),
            },
        }
    }

    #[test]
    fn a_split_that_fits_the_sample_is_counted() {
        let mut sample = Sample::new(30, None);
        for _ in 0..3 {
            assert!(sample.take(batch(10, &[60, 60]), 100).1.is_empty());
        }
        let (files, batches) = sample.finish(100);
        assert_eq!((files, batches.len()), (6, 3));
        let (files, batches) = Sample::new(0, None).finish(100);
        assert_eq!((files, batches.len()), (0, 0));
    }

    #[test]
    fn a_longer_split_is_estimated_and_not_held_any_longer() {
        let mib = 1 << 20;
        let mut sample = Sample::new(100 * mib, None);
        let mut held = 0;
        let (files, batches) = loop {
            held += 1;
            // Half as long as what was read.
            let found = sample.take(batch(mib, &[1 << 19]), 20 * mib);
            if !found.1.is_empty() {
                break found;
            }
        };
        assert_eq!((files, batches.len()), (3, held));
        let (files, batches) = sample.take(batch(mib, &[1]), 20 * mib);
        assert_eq!((files, batches.len()), (3, 1));
    }

    #[test]
    fn what_is_known_is_not_estimated() {
        let mut sample = Sample::new(100, Some(7));
        let (files, batches) = sample.take(batch(50, &[10]), 1_000);
        assert_eq!((files, batches.len()), (7, 1));
        assert_eq!(sample.finish(1_000).0, 7);
    }
}
