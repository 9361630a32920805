//! From arguments to settings.

use super::args::ExportArgs;
use super::exit::CliError;
use crate::config;
use crate::config::settings::Settings;

/// The settings that the arguments mean, and whether no targets were set.
///
/// # Errors
/// If they do not fit together.
pub fn settings(args: &ExportArgs) -> Result<(Settings, bool), CliError> {
    if args.i_know {
        tracing::warn!(
            "--i-know is now --allow-real-services; the old name is read for one more release"
        );
    }
    let layers = args.layers()?;
    let written = layers.merged()?.selection.and_then(|s| s.targets);
    let default_targets = written.is_none() && !args.test;
    Ok((config::validate(&layers, &args.split)?, default_targets))
}
