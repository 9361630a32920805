//! The records of candidates: their rows are read again and put together, one candidate after the other.

use super::telemetry_record::{RowTexts, TelemetryRecords};
use super::validator::ValidateParts;
use crate::domain::record::assembler::Assembler;
use crate::domain::record::row::RowShape;
use crate::domain::sampling::reservoir::Candidate;
use crate::domain::selection::quality::QualityCode;
use crate::spool::payloads::{PayloadError, Reader};

/// Reads candidates again.
pub struct CandidateRecords<'p> {
    parts: &'p ValidateParts,
    reader: Reader<'p>,
    shape: RowShape,
    /// Of one candidate's events.
    text: Vec<u8>,
    ends: Vec<usize>,
    telemetry: TelemetryRecords<'p>,
}

/// What is known of a record before it is looked at.
pub struct Known {
    /// The rules find nothing in it.
    pub is_prevalidated: bool,
    /// What is not certain about it.
    pub quality: Vec<(QualityCode, String)>,
}

impl<'p> CandidateRecords<'p> {
    /// For rows of one shape.
    pub fn new(parts: &'p ValidateParts, shape: RowShape) -> Self {
        Self {
            parts,
            reader: parts.run.payloads.reader(),
            shape,
            text: Vec::new(),
            ends: Vec::new(),
            telemetry: TelemetryRecords {
                selection: &parts.run.selection,
                rules: &parts.run.copilot_chat,
                own: RowTexts::new(parts.buffers.take(0)),
                shared: RowTexts::new(parts.buffers.take(0)),
            },
        }
    }

    /// Appends a candidate's record.
    ///
    /// # Errors
    /// If a row cannot be read, or is not what it was.
    pub fn append(
        &mut self,
        candidate: &Candidate,
        out: &mut Vec<u8>,
    ) -> Result<Known, PayloadError> {
        if let Some(telemetry) = &candidate.telemetry {
            let (reader, id) = (&mut self.reader, &candidate.id);
            let record = self.telemetry.append(telemetry, id, reader, out)?;
            return Ok(Known {
                is_prevalidated: record.prevalidated,
                quality: record.quality,
            });
        }
        Ok(Known {
            is_prevalidated: self.append_rows(candidate, out)?,
            quality: Vec::new(),
        })
    }

    /// Appends a record of rows; says whether it is known that the rules find nothing in it.
    fn append_rows(
        &mut self,
        candidate: &Candidate,
        out: &mut Vec<u8>,
    ) -> Result<bool, PayloadError> {
        let assembler = Assembler::new(&self.parts.run.selection, self.parts.run.nested);
        let reader = &mut self.reader;
        if self.shape == RowShape::Conversations {
            let mut is_prevalidated = candidate.prevalidated;
            for row in &candidate.rows {
                match candidate.prevalidated {
                    // These very bytes were judged when they were read: the checksum says so.
                    true => reader.read(row, out)?,
                    false => is_prevalidated = reader.read_record(row, &assembler, out)?,
                }
            }
            return Ok(is_prevalidated);
        }
        self.text.clear();
        self.text.reserve(candidate.payload_bytes() as usize);
        self.ends.clear();
        for row in &candidate.rows {
            reader.read(row, &mut self.text)?;
            self.ends.push(self.text.len());
        }
        let mut start = 0;
        let ends = self.ends.iter();
        let events = ends.map(|&end| &self.text[std::mem::replace(&mut start, end)..end]);
        let id = String::from_utf8_lossy(&candidate.id);
        Ok(assembler.from_turns(&id, events, out)?)
    }
}
