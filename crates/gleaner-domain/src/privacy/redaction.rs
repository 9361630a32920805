//! A record without what was found in it.

use super::document::Documents;
use super::finder::Finder;
use super::placeholder::{self, Key};
use super::rule::Rule;
use crate::json::JsonError;

/// Puts placeholders in the place of what is found.
pub struct Redactor<'f> {
    documents: Documents<'f>,
    key: Option<&'f Key>,
    /// Where something was found, and where its placeholder ends in `placeholders`.
    cuts: Vec<(std::ops::Range<usize>, usize)>,
    placeholders: Vec<u8>,
    before: Vec<u8>,
}

impl<'f> Redactor<'f> {
    /// Redacts what `finder` finds.
    pub fn new(finder: &'f Finder, key: Option<&'f Key>) -> Self {
        Self {
            documents: Documents::new(finder),
            key,
            cuts: Vec::new(),
            placeholders: Vec::new(),
            before: Vec::new(),
        }
    }

    /// Redacts the record that stands in `text` from `start` on, and calls `visit` with the rule of each thing that was
    /// taken out. Whether anything was: if not, nothing was touched.
    ///
    /// It ends when nothing is found any more: what is left of a text may be something else without its neighbour.
    ///
    /// # Errors
    /// If the record is no JSON.
    pub fn redact(
        &mut self,
        text: &mut Vec<u8>,
        start: usize,
        mut visit: impl FnMut(&'static Rule),
    ) -> Result<bool, JsonError> {
        let mut is_changed = false;
        while self.cut(&text[start..], &mut visit)? {
            is_changed = true;
            self.before.clear();
            self.before.extend_from_slice(&text[start..]);
            text.truncate(start);
            let (mut at, mut placeholder) = (0, 0);
            for (cut, end) in &self.cuts {
                text.extend_from_slice(&self.before[at..cut.start]);
                text.extend_from_slice(&self.placeholders[placeholder..*end]);
                (at, placeholder) = (cut.end, *end);
            }
            text.extend_from_slice(&self.before[at..]);
        }
        Ok(is_changed)
    }

    /// Finds what is to be taken out; whether there is anything.
    fn cut(
        &mut self,
        record: &[u8],
        visit: &mut impl FnMut(&'static Rule),
    ) -> Result<bool, JsonError> {
        self.cuts.clear();
        self.placeholders.clear();
        let (cuts, placeholders, key) = (&mut self.cuts, &mut self.placeholders, self.key);
        self.documents.each(record, |hit| {
            placeholder::append(hit.rule, hit.text, key, placeholders);
            cuts.push((hit.at.clone(), placeholders.len()));
            visit(hit.rule);
        })?;
        Ok(!self.cuts.is_empty())
    }
}
