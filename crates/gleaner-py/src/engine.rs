//! Spark and Ray: what they call on executors, and what calls them on the driver.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use gleaner::pipeline::engine::{self, Engine, EngineError, Job, PieceOrder, Take};
use gleaner::source::SourceError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// The rows of a piece on their way: an iterator of a chunk's number and bytes for it. In a box: objects of Python are
/// aligned to 16 bytes, and counters in it to 64.
#[pyclass(module = "gleaner_sft._native")]
pub struct Scan(Box<Mutex<engine::Scan>>);

impl Scan {
    fn new(scan: engine::Scan) -> Self {
        Self(Box::new(Mutex::new(scan)))
    }
}

#[pymethods]
impl Scan {
    /// Begins to read a piece of the input.
    #[staticmethod]
    fn of_piece(order: &[u8], piece: &[u8]) -> PyResult<Self> {
        engine::Scan::new(order, piece)
            .map(Self::new)
            .map_err(failed)
    }

    /// Begins to read a Parquet file that holds a part of a table.
    #[staticmethod]
    fn of_table(order: &[u8], number: u32, path: PathBuf) -> PyResult<Self> {
        let piece = PieceOrder::of_table(number, path)
            .map_err(|error| failed(EngineError::of_part(number, error)))?;
        engine::Scan::of(order, piece)
            .map(Self::new)
            .map_err(failed)
    }

    fn __iter__(scan: PyRef<'_, Self>) -> PyRef<'_, Self> {
        scan
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<(i32, Bound<'py, PyBytes>)>> {
        let scan = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        match py.detach(|| scan.next()).transpose().map_err(failed)? {
            Some((chunk, bytes)) => Ok(Some((chunk, PyBytes::new(py, &bytes)))),
            None => Ok(None),
        }
    }
}

/// Groups what has arrived for a chunk; gives what goes to the driver.
///
/// # Errors
/// What the frames' iterator raises, or what is wrong with them.
pub fn group<'py>(
    py: Python<'py>,
    order: &[u8],
    chunk: i32,
    frames: &Bound<'py, PyAny>,
) -> PyResult<Vec<Bound<'py, PyBytes>>> {
    let mut raised = None;
    let mut frames = frames.try_iter()?;
    let next = std::iter::from_fn(|| {
        let bytes = frames.next()?.and_then(|frame| frame.extract::<Vec<u8>>());
        bytes.map_err(|error| raised = Some(error)).ok()
    });
    let grouped = engine::group(order, chunk, next);
    match raised {
        Some(error) => Err(error),
        None => {
            let results = grouped.map_err(failed)?;
            Ok(results
                .iter()
                .map(|bytes| PyBytes::new(py, bytes))
                .collect())
        }
    }
}

/// What the text of gleaner's own errors begins with where they pass through an engine: `gleaner_sft._engine.OURS`.
const OURS: &str = "gleaner: ";

/// What stands in it before what to do.
const HINT: &str = "; hint: ";

fn failed(error: EngineError) -> PyErr {
    let error = SourceError::from(error);
    PyRuntimeError::new_err(format!("{OURS}{error}{HINT}{}", error.hint()))
}

/// An engine that is an object of Python, with `name`, `has_table`, `run` and `stop`.
#[derive(Debug)]
pub struct PyEngine {
    name: String,
    has_table: bool,
    object: Py<PyAny>,
}

impl PyEngine {
    /// Takes the object.
    ///
    /// # Errors
    /// If it does not say its name, or whether it has a table.
    pub fn new(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            name: object.getattr("name")?.extract()?,
            has_table: object.getattr("has_table")?.extract()?,
            object: object.clone().unbind(),
        })
    }

    /// The iterator of a job's results.
    fn begin(&self, job: &Job) -> PyResult<Py<PyAny>> {
        Python::attach(|py| {
            let pieces: Vec<_> = (job.pieces.iter())
                .map(|piece| PyBytes::new(py, piece))
                .collect();
            let order = PyBytes::new(py, &job.order);
            let arguments = (&job.name, order, pieces, job.chunks, job.has_text);
            let results = self.object.bind(py).call_method1("run", arguments)?;
            Ok(results.try_iter()?.into_any().unbind())
        })
    }
}

impl Engine for PyEngine {
    fn name(&self) -> &str {
        &self.name
    }

    fn has_table(&self) -> bool {
        self.has_table
    }

    fn run(&self, job: &Job, take: &mut Take<'_>) -> Result<(), SourceError> {
        let raised = |error: PyErr| {
            let said = first_line(&error);
            let (said, hint) = match said.strip_prefix(OURS) {
                Some(ours) => ours
                    .split_once(HINT)
                    .map_or((ours, None), |(said, hint)| (said, Some(hint))),
                None => (&*said, None),
            };
            SourceError::Engine {
                reason: format!("{}: {said}", self.name),
                hint: hint.map(str::to_owned),
            }
        };
        let results = self.begin(job).map_err(raised)?;
        loop {
            let next = Python::attach(|py| -> PyResult<Option<(i32, Vec<u8>)>> {
                let mut results = results.bind(py).try_iter()?;
                results.next().map(|item| item?.extract()).transpose()
            });
            match next.map_err(raised)? {
                // Without the interpreter: it goes to the disk.
                Some((chunk, bytes)) => take(chunk, &bytes)?,
                None => return Ok(()),
            }
        }
    }

    fn stop(&self) {
        // Should it fail, the job ends with the next of its results.
        let stopped = Python::attach(|py| self.object.bind(py).call_method0("stop").map(drop));
        drop(stopped);
    }
}

/// What an exception says, without its stack.
fn first_line(error: &PyErr) -> String {
    let text = Python::attach(|py| error.value(py).to_string());
    text.lines().next().unwrap_or_default().to_owned()
}
