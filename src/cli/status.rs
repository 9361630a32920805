use super::exit::{CliError, Exit};
pub fn run(_: &super::args::StatusArgs) -> Result<Exit, CliError> {
    Ok(Exit::Success)
}
