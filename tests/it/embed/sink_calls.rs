//! What a run does about the answers of a host's sink, and about those that never come.

use std::sync::mpsc;

use futures_util::FutureExt;
use futures_util::future::pending;
use gleaner::cli::exit::CliError;
use gleaner::pipeline::RunError;
use gleaner::testing::MemorySink;
use gleaner::{Pipeline, PipelineBuilder};

use super::hooked_sink::{HookedSink, When};

const CONFIG: &str = "
name = 'd'
source.kind = 'synthetic'
source.synthetic.conversations = 800
[selection.targets]
train = { short = 20, medium = 10 }
val = { short = 2 }
";

fn run(folder: &std::path::Path) -> PipelineBuilder {
    Pipeline::builder()
        .config(CONFIG)
        .work_dir(folder.join("work"))
}

#[test]
fn a_run_cancelled_once_its_manifest_was_sent_never_says_that_nothing_was_published() {
    for (call, when, is_published) in [
        ("publish", When::Before, false),
        ("publish", When::After, false),
        ("release", When::Before, true),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (reached, wait) = mpsc::channel();
        let sink = HookedSink::new(MemorySink::new(), move |name, _, at| {
            if (name, at) != (call, when) {
                return async { Ok(()) }.boxed();
            }
            reached.send(()).expect("the test waits");
            pending().boxed()
        });
        let run = run(folder.path()).sink(sink).build().expect("ready");
        let run = run.spawn_thread().expect("a thread");
        wait.recv().expect("it comes so far");
        run.cancel();
        let error = run.join_blocking().expect_err("cancelled");
        let expected = matches!(&error, RunError::InterruptedPublishing { dataset, is_published: told }
            if dataset == "d" && *told == is_published);
        assert!(expected, "{call}: {error:?}");
        let shown = CliError::from(error).to_string();
        assert!(!shown.contains("nothing was published"), "{shown}");
        assert!(shown.contains("run the same command again"), "{shown}");
    }
}
