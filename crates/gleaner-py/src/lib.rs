//! The native part of the Python package `gleaner_sft`: gleaner's own commands, called instead of started.
//!
//! Arguments are those of the command line, and results are its JSON, so that nothing of what gleaner decides exists
//! twice. What is typed and documented for people is in `python/gleaner_sft`.
//!
//! A command works on a thread of its own, without the interpreter. The thread that has called it waits there, hands
//! on what a run says, and sees Ctrl-C: see [`call`].

mod call;
mod engine;
mod failure;

use pyo3::prelude::*;

#[pymodule]
mod _native {
    use std::ffi::OsString;

    use gleaner::cli::args::Command;
    use gleaner::cli::embedded::{self, command};
    use gleaner::cli::export::export as export_dataset;
    use gleaner::cli::outcome::Shown;
    use gleaner::cli::{self, exit::CliError};
    use pyo3::prelude::*;

    use crate::call::{self, Listeners};
    use crate::engine::{self, PyEngine};

    #[pymodule_export]
    use crate::engine::Scan;

    /// gleaner's version.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    /// Runs a command of the command line, which is given `--json`. Gives the JSON that it prints, and its exit code.
    #[pyfunction]
    fn run(
        py: Python<'_>,
        arguments: Vec<OsString>,
        config: Option<String>,
    ) -> PyResult<(String, u8)> {
        call::call(py, Listeners::default(), move |host| {
            let outcome = cli::run(&command(arguments, config.as_deref())?, host)?;
            let exit = outcome.end?;
            match outcome.shown {
                Shown::Json(value) => Ok((cli::json_text(&value), exit as u8)),
                Shown::Text(text) | Shown::Styled(text) => Ok((text, exit as u8)),
                Shown::Nothing => Ok((String::new(), exit as u8)),
            }
        })
    }

    /// What `gleaner COMMAND --help` prints.
    #[pyfunction]
    fn help(command: &str) -> String {
        embedded::help(command)
    }

    /// Exports. Gives the JSON that the command line prints, the manifest, the report of the run as a page, and the
    /// exit code. `on_event` is called with each event of the run, `on_status` now and then with all that can be seen
    /// of it; both get JSON. `engine` is what reads the rows, if it is not this process: see `gleaner_sft._engine`.
    #[pyfunction]
    #[pyo3(signature = (arguments, config, on_event, on_status, engine=None))]
    fn export(
        py: Python<'_>,
        arguments: Vec<OsString>,
        config: Option<String>,
        on_event: Option<Bound<'_, PyAny>>,
        on_status: Option<Bound<'_, PyAny>>,
        engine: Option<Bound<'_, PyAny>>,
    ) -> PyResult<(String, String, String, u8)> {
        let listeners = Listeners {
            on_event,
            on_status,
            engine: engine.map(|engine| PyEngine::new(&engine)).transpose()?,
        };
        call::call(py, listeners, move |host| {
            let Command::Export(args) = command(arguments, config.as_deref())? else {
                return Err(CliError::usage("that is no export", "call run instead"));
            };
            let exported = export_dataset(&args, host)?;
            let exit = exported.end()?;
            Ok((
                cli::json_text(&exported.json()),
                cli::json_text(&serde_json::json!(exported.report.manifest)),
                exported.page(),
                exit as u8,
            ))
        })
    }

    /// Groups what has arrived for a chunk: on an executor. `frames` gives bytes.
    #[pyfunction]
    fn group<'py>(
        py: Python<'py>,
        order: &[u8],
        chunk: i32,
        frames: &Bound<'py, PyAny>,
    ) -> PyResult<Vec<Bound<'py, pyo3::types::PyBytes>>> {
        engine::group(py, order, chunk, frames)
    }
}
