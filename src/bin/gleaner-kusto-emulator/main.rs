//! A Kusto endpoint on this machine, with synthetic telemetry and faults on demand.
//!
//! It cannot run KQL: it knows gleaner's own queries by their text and answers what they would,
//! over the telemetry of `source.kind = "synthetic"`, or over rows of `AppEvents` from files. With `--faults FILE` requests fail as the file
//! says (see `faults`).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

mod answer;
mod app_events;
mod faults;
mod frames;
mod plain;
mod server;
mod telemetry;

/// Serves synthetic telemetry as a Kusto cluster would.
#[derive(Debug, Parser)]
#[command(name = "gleaner-kusto-emulator", version)]
struct Arguments {
    /// Number of conversations, the faulty ones included
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    conversations: u64,
    /// Make conversations of turns as they are asked for, all of them complete: there may be many millions
    #[arg(long)]
    plain: bool,
    /// Seed of the generator
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The table: `AgentTurnEvents` (one row a turn), or `AppEvents` as Copilot Chat fills it
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Schema::Turns)]
    schema: Schema,
    /// Rows of `AppEvents` to serve instead of synthetic ones: a file or folder of JSON lines, also .gz and .zst
    #[arg(long, value_name = "PATH", requires = "schema")]
    input: Vec<PathBuf>,
    /// The port on the loopback; 0: any that is free
    #[arg(long, value_name = "PORT", default_value_t = 31_600)]
    port: u16,
    /// The database's name
    #[arg(long, value_name = "NAME", default_value = "CopilotChatEval")]
    database: String,
    /// Pack answers, if the client takes that
    #[arg(long)]
    gzip: bool,
    /// After the first request every conversation has another turn, written at the first instant
    /// that the request did not ask for
    #[arg(long)]
    arriving: bool,
    /// Requests that fail, and how: a TOML file of rules such as
    ///
    /// [[fault]]
    /// query = "payload"   # census, counts, chunk_checksum, payload, plan, any
    /// chunk = "40-7"      # absent: of any chunk
    /// nth = 1             # from the first such request on ...
    /// times = 2           # ... two of them; 0: all
    /// kind = "cut"        # throttle, unavailable, too_large, row_lost, ...
    /// after_bytes = 1000  # for cut, reset and drip
    /// retry_after = 1     # seconds, for throttle
    #[arg(long, value_name = "FILE", verbatim_doc_comment)]
    faults: Option<PathBuf>,
}

/// Which table is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Schema {
    Turns,
    CopilotChat,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let faults = match &arguments.faults {
        Some(path) => faults::Faults::parse(&std::fs::read_to_string(path)?)?,
        None => faults::Faults::default(),
    };
    let (conversations, seed) = (arguments.conversations, arguments.seed);
    let is_of_turns = arguments.schema == Schema::Turns;
    let tables = frames::Tables {
        turns: match (is_of_turns, arguments.plain) {
            (true, true) => telemetry::Telemetry::plain(conversations, seed),
            (true, false) => telemetry::Telemetry::new(conversations, seed),
            (false, _) => telemetry::Telemetry::new(0, seed),
        },
        app_events: match (is_of_turns, arguments.input.is_empty()) {
            (true, _) => app_events::AppEvents::default(),
            (false, true) => app_events::AppEvents::synthetic(conversations, seed),
            (false, false) => app_events::AppEvents::read(&arguments.input)?,
        },
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", arguments.port)).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "listening on http://{}", listener.local_addr()?)?;
        out.flush()?;
        drop(out);
        let server = server::Server {
            tables: Arc::new(tables),
            faults,
            database: arguments.database.clone(),
            gzip: arguments.gzip,
            arriving: arguments.arriving,
            arrival: std::sync::OnceLock::new(),
        };
        axum::serve(listener, server::routes(server)).await?;
        Ok(())
    })
}
