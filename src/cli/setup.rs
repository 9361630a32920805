//! From arguments to settings.

use super::args::ExportArgs;
use super::exit::CliError;
use crate::config;
use crate::config::settings::Settings;

/// The settings that the arguments mean.
///
/// # Errors
/// If they do not fit together.
pub fn settings(args: &ExportArgs) -> Result<Settings, CliError> {
    if args.i_know {
        tracing::warn!(
            "--i-know is now --allow-real-services; the old name is read for one more release"
        );
    }
    Ok(config::validate(&args.layers()?, &args.split)?)
}
