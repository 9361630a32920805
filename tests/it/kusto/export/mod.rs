//! Whole exports through the Kusto emulator: whatever fails on the way, the dataset is the one that
//! the same telemetry gives without Kusto, or there is none and the reason is named.
#![cfg(feature = "kusto-emulator")]

mod failures;
mod passes;
mod plan;
mod thresholds;
mod windows;

use serde_json::Value;

use crate::support::Sandbox;
use crate::support::kusto::export_synthetic;

fn digest(value: &Value) -> &str {
    value["content_sha256"].as_str().expect("a digest")
}

/// The digest that the telemetry has without Kusto.
fn expected(more: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let run = export_synthetic(&sandbox, more);
    run.expect(0);
    digest(&run.json()).to_owned()
}

fn metadata(sandbox: &Sandbox) -> Value {
    let text = std::fs::read(sandbox.path("out/d/metadata.json")).expect("published");
    serde_json::from_slice(&text).expect("JSON")
}

fn fault(query: &str, chunk: &str, times: u32, kind: &str) -> String {
    format!(
        "[[fault]]\nquery = \"{query}\"\nchunk = \"{chunk}\"\ntimes = {times}\nkind = \"{kind}\"\nafter_bytes = 5000\nretry_after = 1\n"
    )
}
