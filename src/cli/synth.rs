//! `gleaner synth`.

use super::args::{Shape, SynthArgs};
use super::exit::{CliError, Exit};
use super::{print, print_json};
use crate::config::settings::{RowShape, Synthetic};
use crate::source::synthetic;

/// Writes made-up telemetry.
///
/// # Errors
/// If the folder is not empty or cannot be written.
pub fn run(args: &SynthArgs) -> Result<Exit, CliError> {
    let settings = Synthetic {
        conversations: args.conversations,
        seed: args.seed,
        shape: match args.shape {
            Shape::Events => RowShape::Events,
            Shape::Conversations => RowShape::Conversations,
        },
    };
    let written = synthetic::write_files(settings, &args.out).map_err(|error| {
        let message = format!("cannot write to {}: {error}", args.out.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                CliError::usage(message, "choose an empty folder with --out")
            }
            _ => CliError::failure(message, "choose a place that can be written with --out"),
        }
    })?;
    if args.json {
        print_json(&serde_json::json!(written))?;
    } else {
        print(&format!(
            "{} rows of {} conversations in {} files ({} bytes)\nnext: gleaner export --input {}",
            written.rows,
            args.conversations,
            written.files,
            written.bytes,
            args.out.display()
        ));
    }
    Ok(Exit::Success)
}
