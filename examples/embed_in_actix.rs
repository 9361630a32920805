//! A run inside an actix system that has other things to do: a host actor starts it, follows it as
//! one actor follows another, and sees to it that it ends in order when the host is shut down.
//!
//! ```sh
//! cargo run --example embed_in_actix -- FOLDER
//! ```

#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::path::PathBuf;

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, WrapFuture,
};
use gleaner::pipeline::host::run_actor::{Drain, GetStatus, Subscribe};
use gleaner::pipeline::{BuildError, RunError, RunReport};
use gleaner::telemetry::{Notice, RunEvent};
use gleaner::{Controller, Pipeline};
use tokio::sync::oneshot;

/// How a run ends.
type Outcome = Result<RunReport, RunError>;

/// Somebody else's actor, which exports a dataset among other things.
struct Host {
    pipeline: Option<Pipeline>,
    run: Option<Controller>,
    /// Where it says how the run ended.
    outcome: Option<oneshot::Sender<Outcome>>,
    chunks: u64,
}

impl Actor for Host {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Context<Self>) {
        let Some(pipeline) = self.pipeline.take() else {
            return;
        };
        // On this arbiter; the work itself is done on threads of the run's own.
        let run = pipeline.spawn_local();
        run.address()
            .do_send(Subscribe(context.address().recipient()));
        self.run = Some(run.controller());
        let end = run.join().into_actor(self).map(|result, host, context| {
            println!("the run is over; it reported {} chunks", host.chunks);
            if let Some(outcome) = host.outcome.take() {
                // Whoever started the host may be gone.
                let _ = outcome.send(result);
            }
            context.stop();
        });
        context.spawn(end);
    }
}

impl Handler<RunEvent> for Host {
    type Result = ();

    fn handle(&mut self, reported: RunEvent, _: &mut Context<Self>) {
        match reported.notice {
            Notice::Phase { phase } => println!("{:>6.2} s {phase:?}", reported.at.as_secs_f64()),
            Notice::Chunk { .. } => self.chunks += 1,
            Notice::Stratum { stratum, records } => println!("{stratum}: {records} records"),
            Notice::Incident { event } => println!("! {event}"),
            _ => {}
        }
    }
}

/// To the host: leave, in order.
struct Shutdown;

impl Message for Shutdown {
    type Result = ();
}

impl Handler<Shutdown> for Host {
    type Result = ();

    fn handle(&mut self, Shutdown: Shutdown, _: &mut Context<Self>) {
        if let Some(run) = &self.run {
            // What is begun is finished; the next start goes on from there.
            run.address().do_send(Drain);
        }
    }
}

/// A host with a run in a folder, on the current arbiter, and how the run ends.
fn host(folder: &std::path::Path) -> Result<(Addr<Host>, oneshot::Receiver<Outcome>), BuildError> {
    let pipeline = Pipeline::builder()
        .config(CONFIG)
        .out(&folder.join("out").display().to_string())
        .work_dir(folder.join("work"))
        .build()?;
    let (outcome, ended) = oneshot::channel();
    let host = Host {
        pipeline: Some(pipeline),
        run: None,
        outcome: Some(outcome),
        chunks: 0,
    };
    Ok((host.start(), ended))
}

const CONFIG: &str = "
name = 'embedded'
source.kind = 'synthetic'
source.synthetic.conversations = 3000
[selection.targets]
train = { short = 40, medium = 40, long = 40 }
val = { short = 4, medium = 4, long = 4 }
test = { short = 4, medium = 4, long = 4 }
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.ok_or("say in which folder")?;
    actix_rt::System::new().block_on(async {
        // First a host that is shut down at once, then one that resumes where it stopped.
        let (first, ended) = host(&folder)?;
        first.do_send(Shutdown);
        match ended.await? {
            Err(RunError::Interrupted) => println!("drained"),
            other => drop(other?),
        }
        let (second, ended) = host(&folder)?;
        // Any actor may ask.
        let run = second.send(WhereIs).await?;
        if let Some(run) = run {
            let status = run.address().send(GetStatus).await?;
            println!("{:?}, {} chunks", status.state, status.totals.chunks_total);
        }
        let report = ended.await??;
        println!("{} {}", report.location, report.manifest.content_sha256);
        Ok(())
    })
}

/// To the host: where is the run?
struct WhereIs;

impl Message for WhereIs {
    type Result = Option<Controller>;
}

impl Handler<WhereIs> for Host {
    type Result = Option<Controller>;

    fn handle(&mut self, WhereIs: WhereIs, _: &mut Context<Self>) -> Self::Result {
        self.run.clone()
    }
}
