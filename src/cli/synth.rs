//! `gleaner synth`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::exit::{CliError, Exit};
use super::outcome::{Outcome, Shown};
use super::words::count;
use crate::domain::copilot_chat::sender::Era;
use crate::domain::record::row::RowShape;
use crate::source::synthetic;
use crate::source::synthetic::settings::{Synthetic, TelemetryFault, TelemetryStyle};

/// The arguments of `synth`.
#[derive(Debug, Clone, Args)]
pub struct SynthArgs {
    /// How many conversations
    #[arg(long, value_name = "N")]
    pub conversations: u64,
    /// A folder that is empty or not there yet
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Seed of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// One row per turn, one per conversation, or Copilot Chat telemetry
    #[arg(long, value_enum, default_value_t = RowSchema::Turns)]
    pub schema: RowSchema,
    /// With --schema copilot_chat: the version of the extension that sends
    #[arg(long, value_enum, default_value_t = RowEra::Mixed)]
    pub era: RowEra,
    /// With --schema copilot_chat: faults, each in one of six conversations; separated by commas, or
    /// all
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FAULT")]
    pub faults: Vec<RowFault>,
    /// The old name of --schema, for one release
    #[arg(long, value_enum, conflicts_with = "schema", hide = true)]
    pub shape: Option<RowSchema>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The schema of synthetic rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowSchema {
    /// One row per turn
    Turns,
    /// One row per conversation
    Conversations,
    /// Rows of the table AppEvents, as VS Code's Copilot Chat fills it
    #[value(name = "copilot_chat")]
    CopilotChat,
    /// The old name of `turns`, for one release
    #[value(hide = true)]
    Events,
}

/// The version of the extension that sends synthetic telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowEra {
    /// 0.30 to 0.52, one for each window of the editor
    Mixed,
    /// Messages in full with every call, without lengths
    #[value(name = "0.30")]
    V030,
    /// Messages in full with every call
    #[value(name = "0.31")]
    V031,
    /// Messages by their ids, long values in numbered parts
    #[value(name = "0.35")]
    V035,
    /// Messages by their ids, long values compressed
    #[value(name = "0.52")]
    V052,
    /// Texts and counts only, without modes and ids of requests
    AgentHost,
}

/// What happens to synthetic telemetry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RowFault {
    /// All of these
    All,
    /// A turn was sent again
    Retries,
    /// A turn was edited, and the one after it was discarded
    Edits,
    /// The last turn has another mode
    ModeSwitches,
    /// Rows arrive twice
    Duplicates,
    /// Rows arrive in any order
    Disorder,
    /// Rows never arrive
    LostRows,
    /// Texts are longer than a property can be
    LongTexts,
    /// A row is damaged
    DamagedRows,
    /// Rows stand for several events (ItemCount above 1)
    Sampled,
}

/// Generates synthetic telemetry.
///
/// # Errors
/// If the folder is not empty or cannot be written.
pub fn run(args: &SynthArgs) -> Result<Outcome, CliError> {
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
    let style = style(args);
    if settings.schema != RowShape::CopilotChat && style != TelemetryStyle::default() {
        return Err(CliError::usage(
            "--era and --faults are for Copilot Chat telemetry only",
            "add --schema copilot_chat, or leave them out",
        ));
    }
    let written = synthetic::write_files(settings, style, &args.out).map_err(|error| {
        let message = format!("cannot write to {}: {error}", args.out.display());
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                CliError::usage(message, "choose an empty folder with --out")
            }
            _ => CliError::failure(message, "choose a place that can be written with --out"),
        }
    })?;
    let text = || {
        format!(
            "{} of {} in {} ({})\nnext: gleaner export --input {}",
            count(written.rows, "row"),
            count(args.conversations, "conversation"),
            count(written.files as u64, "file"),
            count(written.bytes, "byte"),
            args.out.display()
        )
    };
    let shown = Shown::either(args.json, || serde_json::json!(written), text);
    Ok(Outcome::new(shown, Exit::Success))
}

/// The schema that the arguments name. Warns of old names.
fn schema(args: &SynthArgs) -> RowShape {
    if args.shape.is_some() {
        tracing::warn!("--shape is now --schema; the old name is read for one more release");
    }
    match args.shape.unwrap_or(args.schema) {
        RowSchema::Turns => RowShape::Turns,
        RowSchema::Conversations => RowShape::Conversations,
        RowSchema::CopilotChat => RowShape::CopilotChat,
        RowSchema::Events => {
            tracing::warn!(
                "--schema events is now --schema turns; the old name is read for one more release"
            );
            RowShape::Turns
        }
    }
}

/// How telemetry is made, as the arguments say.
fn style(args: &SynthArgs) -> TelemetryStyle {
    let faults = |fault: &RowFault| match fault {
        RowFault::All => TelemetryFault::ALL.to_vec(),
        RowFault::Retries => vec![TelemetryFault::Retries],
        RowFault::Edits => vec![TelemetryFault::Edits],
        RowFault::ModeSwitches => vec![TelemetryFault::ModeSwitches],
        RowFault::Duplicates => vec![TelemetryFault::Duplicates],
        RowFault::Disorder => vec![TelemetryFault::Disorder],
        RowFault::LostRows => vec![TelemetryFault::LostRows],
        RowFault::LongTexts => vec![TelemetryFault::LongTexts],
        RowFault::DamagedRows => vec![TelemetryFault::DamagedRows],
        RowFault::Sampled => vec![TelemetryFault::Sampled],
    };
    TelemetryStyle {
        era: match args.era {
            RowEra::Mixed => None,
            RowEra::V030 => Some(Era::V030),
            RowEra::V031 => Some(Era::V031),
            RowEra::V035 => Some(Era::V035),
            RowEra::V052 => Some(Era::V052),
            RowEra::AgentHost => Some(Era::AgentHost),
        },
        faults: args.faults.iter().flat_map(faults).collect(),
    }
}
