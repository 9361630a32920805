//! A web service (axum, on tokio's many threads) that exports datasets: one is started, looked at
//! and cancelled over HTTP. The run has a thread of its own; the service only holds its handle.
//!
//! ```sh
//! cargo run --example embed_in_tokio -- FOLDER
//! curl -X POST http://127.0.0.1:PORT/start
//! curl http://127.0.0.1:PORT/status
//! curl -X POST http://127.0.0.1:PORT/cancel
//! ```

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use gleaner::pipeline::BuildError;
use gleaner::{Controller, Pipeline};

/// The service: at most one run at a time.
struct Service {
    folder: PathBuf,
    run: Mutex<Option<Controller>>,
}

impl Service {
    fn run(&self) -> Option<Controller> {
        self.run
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

type Answer = (StatusCode, String);

async fn start(State(service): State<Arc<Service>>) -> Answer {
    let mut run = service.run.lock().unwrap_or_else(PoisonError::into_inner);
    if run
        .as_ref()
        .is_some_and(|run| !run.status().state.is_final())
    {
        return (StatusCode::CONFLICT, "a run is going on\n".to_owned());
    }
    match begin(&service) {
        Ok(controller) => {
            *run = Some(controller);
            (StatusCode::ACCEPTED, "started\n".to_owned())
        }
        Err(error) => (StatusCode::UNPROCESSABLE_ENTITY, format!("{error}\n")),
    }
}

fn begin(service: &Service) -> Result<Controller, BuildError> {
    let run = Pipeline::builder()
        .config(CONFIG)
        .out(&service.folder.join("out").display().to_string())
        .work_dir(service.folder.join("work"))
        .build()?
        .spawn_thread()?;
    let controller = run.controller();
    tokio::spawn(async move {
        match run.join().await {
            Ok(report) => println!("{} {}", report.location, report.manifest.content_sha256),
            Err(error) => println!("no dataset: {error}"),
        }
    });
    Ok(controller)
}

async fn status(State(service): State<Arc<Service>>) -> Answer {
    let Some(run) = service.run() else {
        return (StatusCode::NOT_FOUND, "nothing was started\n".to_owned());
    };
    match serde_json::to_string(&run.status()) {
        Ok(view) => (StatusCode::OK, view),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

async fn cancel(State(service): State<Arc<Service>>) -> Answer {
    let Some(run) = service.run() else {
        return (StatusCode::NOT_FOUND, "nothing was started\n".to_owned());
    };
    run.cancel();
    run.ended().await;
    (StatusCode::OK, format!("{:?}\n", run.status().state))
}

const CONFIG: &str = "
name = 'served'
source.kind = 'synthetic'
source.synthetic.conversations = 3000
[selection.targets]
train = { short = 40, medium = 40, long = 40 }
val = { short = 4, medium = 4, long = 4 }
test = { short = 4, medium = 4, long = 4 }
";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let service = Arc::new(Service {
        folder: folder.ok_or("say in which folder")?,
        run: Mutex::default(),
    });
    let router = Router::new()
        .route("/start", post(start))
        .route("/status", get(status))
        .route("/cancel", post(cancel))
        .with_state(Arc::clone(&service));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}
