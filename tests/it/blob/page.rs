//! What `docs/blob.md` tells to try works as it stands.

use std::process::Command;

use crate::support::blob::emulator;
use crate::support::{Run, Sandbox};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The commands that follow a heading, block by block.
fn blocks<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let (_, section) = page.split_once(heading).expect("the heading");
    let section = section.split("\n## ").next().expect("a section");
    let blocks = section.split("```sh\n").skip(1);
    blocks
        .map(|rest| rest.split("```").next().expect("an end"))
        .collect()
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn the_commands_of_the_page_work() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/blob.md")).expect("the page");
    let blocks = blocks(&page, "## Try it without Azure\n");
    let [start, commands] = blocks[..] else {
        panic!("an emulator is started, and then used: {blocks:?}");
    };
    // The tests' own emulator, on a free port, is of the version that the page starts.
    let tools = std::fs::read_to_string(format!("{ROOT}/tests/tools/package.json"));
    let tools: serde_json::Value = serde_json::from_str(&tools.expect("the tools")).expect("JSON");
    let version = tools["dependencies"]["azurite"].as_str().expect("pinned");
    assert!(start.contains(&format!("azurite@{version} ")), "{start}");
    let on_the_page = "http://127.0.0.1:10000/devstoreaccount1";
    assert!(commands.contains(on_the_page), "{commands}");
    let commands = commands.replace(on_the_page, &emulator());

    let sandbox = Sandbox::new();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_gleaner"));
    let folder = binary.parent().expect("a folder").display();
    let path = std::env::var("PATH").expect("a PATH");
    let output = Command::new("bash")
        .args(["-euxc", &commands])
        .current_dir(sandbox.path(""))
        .env("PATH", format!("{folder}:{path}"))
        .output();
    let run: Run = output.expect("bash").into();
    run.expect(0);
    assert!(
        run.stdout.contains("sft/first: all good"),
        "{}\n{}",
        run.stdout,
        run.stderr
    );
}
