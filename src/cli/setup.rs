//! From arguments to settings.

use super::args::ExportArgs;
use super::exit::CliError;
use crate::config;
use crate::config::settings::{Settings, Source};

/// The settings that the arguments mean.
///
/// # Errors
/// If they do not fit together.
pub fn settings(args: &ExportArgs) -> Result<Settings, CliError> {
    let mut settings = config::validate(&args.layers()?, &args.split)?;
    settings.chunks.allow_missing = args.allow_missing_chunks.unwrap_or(0);
    if settings.chunks.allow_missing > 0 && matches!(settings.source, Source::Files(_)) {
        return Err(CliError::usage(
            "--allow-missing-chunks does not go with files: every piece of a file is needed",
            "leave it out, or leave the damaged file out of --input",
        ));
    }
    Ok(settings)
}
