//! What a run has decided to fetch, beside what it has fetched.

use std::io;
use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Spool;
use crate::domain::describe_error;
use crate::domain::scheduling::pass::Pass;
use crate::spool::{SpoolError, stored};

impl Spool {
    /// Remembers what a pass fetches, which the next start of the run must not decide anew. The
    /// first decision counts: what is remembered already is given back. If what was remembered is
    /// damaged or gone, so is what it said about the parts of the pass: they are fetched again.
    ///
    /// # Errors
    /// If it cannot be written or read.
    pub fn pin<T: Serialize + DeserializeOwned>(
        &self,
        pass: Pass,
        decision: T,
    ) -> Result<T, SpoolError> {
        let path = self.pin_path(pass);
        match stored::load(&path) {
            Ok(Some(pinned)) => return Ok(pinned),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!(
                    ?pass,
                    error = describe_error(&error),
                    "what the pass fetches is no longer known; it is fetched again"
                );
            }
            Err(error) => return Err(SpoolError::io("read", path)(error)),
        }
        for chunk_pass in self.sealed_passes()? {
            if chunk_pass.pass == pass {
                self.invalidate(&self.path(chunk_pass, "rows"));
            }
        }
        stored::save(&path, &decision).map_err(SpoolError::io("write", &path))?;
        Ok(decision)
    }

    /// `round0.json`, `census0.json`
    fn pin_path(&self, pass: Pass) -> PathBuf {
        self.folder.join(match pass {
            Pass::All => "all.json".to_owned(),
            Pass::Census => "census.json".to_owned(),
            Pass::CensusUpTo(number) => format!("census{number}.json"),
            Pass::Round(round) => format!("round{round}.json"),
        })
    }

    /// The census that an earlier start of the run has begun with, of those of some ranks the widest; `None` if there
    /// is nothing of any.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn begun_census(&self) -> Result<Option<Pass>, SpoolError> {
        let sealed = self.sealed_passes()?;
        if sealed.iter().any(|sealed| sealed.pass == Pass::Census) {
            return Ok(Some(Pass::Census));
        }
        let pinned = (0..).map(Pass::CensusUpTo);
        let pinned = pinned.take_while(|&pass| self.pin_path(pass).exists());
        Ok(pinned.last())
    }
}
