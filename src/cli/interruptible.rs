//! A dataset that is read no further once the command is to stop.

use std::io::{self, Read};

use super::host::Interrupt;
use crate::sink::reader::DatasetReader;

/// A dataset that is read no further once the command is to stop. What is read of it then fails.
pub struct Interruptible {
    dataset: Box<dyn DatasetReader>,
    interrupt: Interrupt,
}

impl Interruptible {
    /// Reads a dataset until it is asked to stop.
    pub fn new(dataset: Box<dyn DatasetReader>, interrupt: Interrupt) -> Self {
        Self { dataset, interrupt }
    }

    fn go_on(&self) -> io::Result<()> {
        go_on(&self.interrupt)
    }
}

/// Not of the kind `Interrupted`: whoever reads to the end would try again, for ever.
fn go_on(interrupt: &Interrupt) -> io::Result<()> {
    match interrupt.is_asked() {
        true => Err(io::Error::other("interrupted")),
        false => Ok(()),
    }
}

impl DatasetReader for Interruptible {
    fn location(&self) -> String {
        self.dataset.location()
    }

    fn files(&self) -> io::Result<Vec<String>> {
        self.go_on().and_then(|()| self.dataset.files())
    }

    fn length(&self, path: &str) -> io::Result<Option<u64>> {
        self.go_on().and_then(|()| self.dataset.length(path))
    }

    fn keeps_digests(&self) -> bool {
        self.dataset.keeps_digests()
    }

    fn stored_sha256(&self, path: &str) -> io::Result<Option<String>> {
        self.go_on().and_then(|()| self.dataset.stored_sha256(path))
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read>> {
        self.go_on()?;
        Ok(Box::new(InterruptibleFile {
            file: self.dataset.open(path)?,
            interrupt: self.interrupt.clone(),
        }))
    }
}

struct InterruptibleFile {
    file: Box<dyn Read>,
    interrupt: Interrupt,
}

impl Read for InterruptibleFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        go_on(&self.interrupt).and_then(|()| self.file.read(buffer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::reader::LocalDataset;

    #[test]
    fn a_file_that_is_open_is_read_no_further() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.jsonl"), b"text").expect("writable");
        let interrupt = Interrupt::default();
        let inner = LocalDataset::new(folder.path().to_owned());
        let dataset = Interruptible::new(Box::new(inner), interrupt.clone());
        let mut file = dataset.open("a.jsonl").expect("a file");
        let mut byte = [0];
        assert_eq!(file.read(&mut byte).expect("readable"), 1);
        interrupt.ask();
        let mut rest = Vec::new();
        let refused = file.read_to_end(&mut rest).expect_err("no further");
        assert_eq!(refused.to_string(), "interrupted");
        assert!(dataset.open("a.jsonl").is_err() && dataset.files().is_err());
    }
}
