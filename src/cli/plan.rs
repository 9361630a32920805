use super::exit::{CliError, Exit};
pub fn run(_: &super::args::ExportArgs) -> Result<Exit, CliError> {
    Ok(Exit::Success)
}
