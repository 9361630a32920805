//! What `check` says of awkward conversations is what loaders then have of them.

use std::process::Command;

use crate::support::cloud::tool;
use crate::support::{Run, Sandbox, words};

fn python(sandbox: &Sandbox, script: &str, more: &[&str]) -> Run {
    let script = format!("{}/tests/loaders/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut python = Command::new(tool("GLEANER_TEST_PYTHON"));
    python.arg(script).args(more).current_dir(sandbox.path(""));
    for (name, value) in [
        ("HF_HUB_OFFLINE", "1"),
        ("HF_HOME", "hf"),
        ("PYTHONDONTWRITEBYTECODE", "1"),
    ] {
        python.env(name, value);
    }
    Run::from(python.output().expect("Python"))
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn check_says_of_awkward_conversations_what_loaders_have_of_them() {
    let sandbox = Sandbox::new();
    python(&sandbox, "awkward.py", &["awkward.jsonl"]).expect(0);
    let export = "export --input awkward.jsonl --out out --name d --targets all --progress none";
    sandbox.run(&words(export)).expect(0);
    for preset in ["trl", "mistral", "verl", "verl --format jsonl --name lines"] {
        let convert = format!("convert out/d --for {preset}");
        sandbox.run(&words(&convert)).expect(3);
    }
    let gleaner = env!("CARGO_BIN_EXE_gleaner");
    let template = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/loaders/plain.jinja");
    for (preset, loader) in [
        ("trl", "datasets"),
        ("trl", "transformers"),
        ("mistral", "mistral"),
    ] {
        let converted = format!("out/d-{preset}");
        let arguments = [gleaner, "out/d", preset, &converted, loader, template];
        let held = python(&sandbox, "check_holds.py", &arguments);
        held.expect(0);
        let found = "58 records, 56 loaded, 2 dropped";
        assert!(held.stdout.contains(found), "{}", held.stdout);
    }
    // Columns that are members of objects hold what lines do.
    let columns = python(&sandbox, "columns_equal.py", &["out/d-verl", "out/lines"]);
    columns.expect(0);
    assert!(
        columns.stdout.contains("pyarrow train"),
        "{}",
        columns.stdout
    );
}
