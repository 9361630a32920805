//! `gleaner key`.

use std::io::Write;

use super::args::KeyArgs;
use super::exit::{CliError, Exit};
use super::outcome::{Outcome, Shown};
use crate::domain::dataset::manifest::hex;
use crate::domain::privacy::placeholder::{Key, SHORTEST_KEY};
use crate::runtime::files;

/// Writes a new key.
///
/// # Errors
/// If the file is there already or cannot be written, or the system has no chance to give.
pub fn new(args: &KeyArgs) -> Result<Outcome, CliError> {
    let path = args.file.display();
    let mut bytes = [0; SHORTEST_KEY];
    let chance = getrandom::fill(&mut bytes);
    chance.map_err(|error| {
        CliError::failure(
            format!("no random bytes: {error}"),
            "run the same command again",
        )
    })?;
    let text = hex(&bytes);
    let written = files::create_new_private(&args.file).and_then(|mut file| {
        writeln!(file, "{text}")?;
        file.sync_all()
    });
    written.map_err(|error| {
        CliError::usage(
            format!("cannot write a key to {path}: {error}"),
            "name a file that is not there yet, in a folder that can be written",
        )
    })?;
    let id = Key::new(text.as_bytes())
        .map(|key| key.id())
        .unwrap_or_default();
    let shown = Shown::Text(format!(
        "written: {path}, the key {id}\nnext: --set privacy.key_file={path}"
    ));
    Ok(Outcome::new(shown, Exit::Success))
}
