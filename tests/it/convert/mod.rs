//! A published dataset as a trainer takes it: exact, reproducible, conserved, atomic, resumable.

mod columns;
mod export_for;
mod presets;
mod stopped;

use serde_json::Value;

use crate::support::{Run, Sandbox, words};

/// Exports synthetic telemetry to `out/d`: with this seed every turn has a reply.
fn exported() -> Sandbox {
    exported_of("120")
}

fn exported_of(conversations: &str) -> Sandbox {
    let sandbox = synth(conversations);
    let export = "export --input in --out out --name d --targets all --progress none --json";
    sandbox.run(&words(export)).expect(0);
    sandbox
}

/// Synthetic telemetry in `in`.
fn synth(conversations: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let synth = format!("synth --conversations {conversations} --out in --seed 2");
    sandbox.run(&words(&synth)).expect(0);
    sandbox
}

/// Converts `out/d`.
fn convert(sandbox: &Sandbox, more: &str) -> Run {
    let args = format!("convert out/d --json {more}");
    sandbox.run(&words(&args))
}

/// The records of a converted dataset's files, in the order of their names.
fn records(sandbox: &Sandbox, dataset: &str, split: &str) -> Vec<Value> {
    let folder = sandbox.path(&format!("out/{dataset}/data"));
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("a dataset")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            name.starts_with(&format!("{split}-"))
        })
        .collect();
    files.sort();
    let text = |path| std::fs::read_to_string(path).expect("text");
    let lines: Vec<String> = files.into_iter().map(text).collect();
    let lines = lines.iter().flat_map(|text| text.lines());
    let lines = lines.filter(|line| line.starts_with('{'));
    let records = lines.map(|line| serde_json::from_str(line.trim_end_matches(',')).expect("JSON"));
    records.collect()
}
