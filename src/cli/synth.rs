//! `gleaner synth`.

use super::args::{RowSchema, SynthArgs};
use super::exit::{CliError, Exit};
use super::words::count;
use super::{print, print_json};
use crate::domain::record::row::RowShape;
use crate::source::synthetic;
use crate::source::synthetic::settings::Synthetic;

/// Generates synthetic telemetry.
///
/// # Errors
/// If the folder is not empty or cannot be written.
pub fn run(args: &SynthArgs) -> Result<Exit, CliError> {
    // Synthetic telemetry goes into a folder; an address may hold a signature and is not echoed.
    if args.out.to_string_lossy().contains("://") {
        return Err(CliError::usage(
            "--out is an address, and synth writes into a folder",
            "name a folder with --out, and upload it afterwards",
        ));
    }
    let settings = Synthetic {
        conversations: args.conversations,
        seed: args.seed,
        schema: schema(args),
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
            "{} of {} in {} ({})\nnext: gleaner export --input {}",
            count(written.rows, "row"),
            count(args.conversations, "conversation"),
            count(written.files as u64, "file"),
            count(written.bytes, "byte"),
            args.out.display()
        ))?;
    }
    Ok(Exit::Success)
}

/// The schema that the arguments name. Warns of old names.
fn schema(args: &SynthArgs) -> RowShape {
    if args.shape.is_some() {
        tracing::warn!("--shape is now --schema; the old name is read for one more release");
    }
    match args.shape.unwrap_or(args.schema) {
        RowSchema::Turns => RowShape::Turns,
        RowSchema::Conversations => RowShape::Conversations,
        RowSchema::Events => {
            tracing::warn!(
                "--schema events is now --schema turns; the old name is read for one more release"
            );
            RowShape::Turns
        }
    }
}
