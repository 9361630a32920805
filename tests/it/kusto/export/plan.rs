//! What is said before anything is fetched, and the command of docs/kusto.md.

use serde_json::Value;

use super::metadata;
use crate::support::Sandbox;
use crate::support::kusto::Emulator;

#[test]
fn an_azure_monitor_proxy_is_warned_of() {
    let sandbox = Sandbox::new();
    let plan = |cluster: &str| {
        let cluster = format!("source.kusto.cluster={cluster}");
        // There is no secret here, so nobody is asked for anything.
        let credential = "source.kusto.credential=client_secret";
        let run = sandbox.run(&["plan", "--set", &cluster, "--set", credential]);
        run.expect(1).to_owned()
    };
    let reported = plan("https://ade.loganalytics.io/subscriptions/a");
    assert!(reported.contains("Azure Monitor proxy"), "{reported}");
    assert!(
        reported.contains("10 minutes") && reported.contains("64 MB"),
        "{reported}"
    );
    let reported = plan("https://a.kusto.windows.net");
    assert!(!reported.contains("proxy"), "{reported}");
    assert!(reported.contains("AZURE_CLIENT_SECRET"), "{reported}");
}

#[test]
fn the_command_of_the_page_works() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kusto.md");
    let readme = std::fs::read_to_string(readme).expect("the page");
    let (_, command) = readme
        .split_once("\ngleaner export --test")
        .expect("the command");
    let (command, _) = command.split_once("\n```").expect("its end");
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let command = format!("export --test{command} --json")
        .replace("\\\n", " ")
        .replace("http://127.0.0.1:31600", &emulator.address);
    let run = sandbox.run(&command.split_whitespace().collect::<Vec<_>>());
    run.expect(0);
    assert_eq!(run.json()["shortfall"], 0);
}

#[test]
fn a_plan_counts_before_anything_is_fetched() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let run = emulator.export(&sandbox, &[]);
    run.expect(0);
    let planned = emulator.plan(&sandbox);
    planned.expect(0);
    let planned = planned.json();
    let published = metadata(&sandbox);
    let population = |value: &Value| -> Vec<u64> {
        let strata = value["strata"].as_array().expect("strata").iter();
        strata
            .map(|stratum| stratum["population"].as_u64().expect("a count"))
            .collect()
    };
    assert_eq!(population(&planned), population(&published));
    let kusto = &planned["kusto"];
    let payloads = published["chunks"]["payloads"].as_object().expect("some");
    let fetched = payloads
        .values()
        .map(|payload| payload["conversations"].as_u64());
    assert_eq!(fetched.sum::<Option<u64>>(), kusto["candidates"].as_u64());
    assert_eq!(
        kusto["conversations"],
        published["population"]["conversations"]
    );
    let (one, two) = (
        kusto["one_pass_bytes"].as_u64().expect("an estimate"),
        kusto["two_pass_bytes"].as_u64().expect("an estimate"),
    );
    let read = published["statistics"]["bytes_read"]
        .as_u64()
        .expect("a count");
    assert!(two < one, "{kusto}");
    assert!(
        (read * 3 / 4..read * 4 / 3).contains(&two),
        "{read} bytes were read, {kusto}"
    );
}
