//! Errors of the command line as exceptions.

use gleaner::cli::exit::{About, CliError};
use pyo3::prelude::*;

/// The exception of an error: a class of `gleaner_sft.errors`, with the text of the command line.
pub fn exception(py: Python<'_>, error: &CliError) -> PyErr {
    let class = match error.about {
        About::Config => "ConfigError",
        About::Input => "InputError",
        About::Output => "OutputError",
        About::WorkDir => "WorkDirError",
        About::Dataset => "DatasetError",
        About::Run => "GleanerError",
    };
    let made = py.import("gleaner_sft.errors").and_then(|errors| {
        errors
            .getattr(class)?
            .call1((error.text(), error.exit as u8))
    });
    match made {
        Ok(made) => PyErr::from_value(made),
        Err(error) => error,
    }
}
