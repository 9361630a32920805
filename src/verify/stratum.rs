//! Checks the file of one stratum, record by record.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use xxhash_rust::xxh3::xxh3_128;

use super::groups::Groups;
use crate::domain::dataset::manifest::{Framing, JSON, Manifest, StratumRecord};
use crate::domain::privacy::policy::PrivacyRecord;
use crate::domain::privacy::users::Users;
use crate::domain::record::validation::{Code, validate_of_group};
use crate::domain::selection::rank::{Rank, Ranker};
use crate::domain::selection::stratum::Selection;

/// A line longer than this (1 GiB) is no record: a file without newlines must not fill the memory.
pub(crate) const LONGEST: u64 = 1 << 30;

/// The result for a stratum's file.
pub struct StratumCheck<'a> {
    record: &'a StratumRecord,
    /// Number of the file.
    file: u32,
    framing: Framing,
    selection: &'a Selection,
    ranker: Ranker,
    users: Users,
    last: Option<(Rank, Vec<u8>)>,
    /// Records read.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
    /// The findings.
    pub findings: Vec<String>,
    /// Warnings of its records.
    pub warnings: BTreeMap<Code, u64>,
}

/// All ids so far, by hash, and the file that each is in.
pub type Ids = BTreeMap<u128, u32>;

/// The hash of an id. Among a billion ids two share one with a chance of 1 in 10^21.
pub fn id_hash(id: &str) -> u128 {
    xxh3_128(id.as_bytes())
}

impl<'a> StratumCheck<'a> {
    /// A check of a file that was not read yet.
    pub fn new(
        record: &'a StratumRecord,
        file: u32,
        framing: Framing,
        selection: &'a Selection,
        manifest: &Manifest,
    ) -> Self {
        let privacy = manifest.privacy.as_ref();
        Self {
            record,
            file,
            framing,
            selection,
            ranker: Ranker::new(&manifest.seed),
            users: privacy.and_then(PrivacyRecord::users).unwrap_or_default(),
            last: None,
            records: 0,
            bytes: 0,
            findings: Vec::new(),
            warnings: BTreeMap::new(),
        }
    }

    /// Reads the file to its end.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(
        &mut self,
        reader: &mut dyn BufRead,
        (ids, groups): (&mut Ids, &mut Groups),
    ) -> io::Result<()> {
        let array = self.framing == JSON;
        let mut line = Vec::new();
        let mut number = 0u64;
        // An array: whether a comma promised another record, and whether the end was seen.
        let (mut promised, mut closed) = (false, false);
        loop {
            line.clear();
            let n = Read::take(&mut *reader, LONGEST).read_until(b'\n', &mut line)? as u64;
            if n == 0 {
                break;
            }
            self.bytes += n;
            number += 1;
            let Some(text) = line.strip_suffix(b"\n") else {
                self.find(number, "does not end with a newline");
                // What follows a line that is too long is only hashed.
                self.bytes += io::copy(reader, &mut io::sink())?;
                break;
            };
            if !array {
                self.record(text, number, ids, groups);
                continue;
            }
            match text {
                b"[" if number == 1 => promised = true,
                b"]" if number > 1 && !closed => {
                    if promised && self.records > 0 {
                        self.find(number, "the array ends after a comma");
                    }
                    closed = true;
                }
                _ if number == 1 || closed || !promised => {
                    self.find(number, "is not where a record may be");
                }
                text => {
                    let record = text.strip_suffix(b",");
                    promised = record.is_some();
                    self.record(record.unwrap_or(text), number, ids, groups);
                }
            }
        }
        if array && !closed {
            self.find(number, "the array is not closed");
        }
        Ok(())
    }

    fn find(&mut self, line: u64, what: &str) {
        self.findings.push(format!("line {line}: {what}"));
    }

    fn record(&mut self, text: &[u8], line: u64, ids: &mut Ids, groups: &mut Groups) {
        self.records += 1;
        if simdutf8::basic::from_utf8(text).is_err() {
            return self.find(line, "is not UTF-8");
        }
        if !(text.starts_with(b"{") && text.ends_with(b"}")) {
            return self.find(line, "is not a JSON object alone");
        }
        let split = &self.record.split;
        let judged = groups.shown(text).and_then(|shown| {
            let verdict = validate_of_group(text, split, self.selection, shown.as_read())?;
            Ok((shown, verdict))
        });
        let Ok((shown, mut verdict)) = judged else {
            return self.find(line, "is not a JSON object");
        };
        if let Some(fault) = groups.note(shown, split) {
            self.find(line, &fault);
        }
        if self.users.may_be_absent() {
            verdict.allow_no_user_name();
        }
        if let Ok(Some(fault)) = self.users.fault(text) {
            self.find(line, fault);
        }
        for (code, what) in &verdict.errors {
            self.find(line, &format!("{code}: {what}"));
        }
        for warning in verdict.warnings {
            *self.warnings.entry(warning).or_default() += 1;
        }
        let bucket = verdict
            .turns
            .and_then(|turns| self.selection.bucket_of(turns));
        if bucket.is_none_or(|bucket| bucket.name != self.record.bucket) {
            self.find(line, &format!("does not belong to {}", self.record.bucket));
        }
        let Some(id) = verdict.conversation_id else {
            return;
        };
        if let Some(file) = ids.insert(id_hash(&id), self.file) {
            let what = match file == self.file {
                true => "its conversationId was in this file before",
                false => "its conversationId is in another file too",
            };
            self.find(line, what);
        }
        let key = (self.ranker.rank(id.as_bytes()), id.into_bytes());
        if self.last.as_ref().is_some_and(|last| *last >= key) {
            self.find(line, "is not in the order of ranks");
        }
        self.last = Some(key);
    }
}
