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
    let workspace = "resourcegroups/b/providers/microsoft.operationalinsights/workspaces/c";
    let reported = plan(&format!(
        "https://ade.loganalytics.io/subscriptions/a/{workspace}"
    ));
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
fn the_production_configuration_lacks_nothing_but_the_workspace_and_a_key() {
    let sandbox = Sandbox::new();
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml");
    let refused = sandbox.run(&["plan", "--config", config]);
    let named = [
        "source.kusto.cluster",
        "it names no workspace",
        "/resourcegroups/GROUP/providers/microsoft.operationalinsights/workspaces/NAME",
        "--set source.kusto.cluster=ADDRESS",
    ];
    refused.says(2, &named);
    // An emulator is none of Azure Monitor's, and has another database: the rest works as it stands.
    let emulator = Emulator::start(&sandbox, "", 0, &["--schema", "copilot_chat"]);
    let database = "d0c05057-7972-46ff-9bcf-3c932250155e-CopilotChatEval-EUS2";
    let cluster = format!("source.kusto.cluster={}", emulator.address);
    let mut args = vec!["plan", "--config", config, "--set", &cluster, "--json"];
    // Nothing is read without a key for pseudonyms.
    let keyless = sandbox.run(&args);
    keyless.says(2, &["gleaner key new FILE", "--set privacy.users=drop"]);
    args.extend(["--set", "privacy.users=drop"]);
    args.extend(["--window-start", "2025-01-01T00:00:00Z"]);
    let other = sandbox.run(&args);
    assert!(other.expect(1).contains(database), "{}", other.stderr);
    args.extend(["--set", "source.kusto.database=CopilotChatEval"]);
    let plan = sandbox.run(&args);
    plan.expect(0);
    let plan = plan.json();
    assert_eq!(plan["records"], 120_000);
    assert!(
        plan["kusto"]["conversations"].as_u64() > Some(300),
        "{plan}"
    );
}

#[test]
fn the_commands_of_the_page_work() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/kusto.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let page = page.replace("\\\n", " ");
    let of = |start: &str| -> Vec<Vec<String>> {
        let commands = page.lines().filter_map(|line| line.strip_prefix(start));
        commands
            .map(|rest| rest.split_whitespace().map(str::to_owned).collect())
            .collect()
    };
    let emulators =
        of("cargo run --release --features kusto-emulator --bin gleaner-kusto-emulator --");
    let exports = of("gleaner export ");
    assert_eq!(
        (emulators.len(), exports.len()),
        (2, 2),
        "one for each table"
    );
    for (emulator, export) in emulators.iter().zip(&exports) {
        let schema = emulator.iter().skip_while(|arg| *arg != "--schema").take(2);
        let schema: Vec<&str> = schema.map(String::as_str).collect();
        let sandbox = Sandbox::new();
        let served = Emulator::start(&sandbox, "", 0, &schema);
        let mut args = vec!["export".to_owned(), "--json".to_owned()];
        let address = |arg: &String| arg.replace("http://127.0.0.1:31600", &served.address);
        args.extend(export.iter().map(address));
        let run = sandbox.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        run.expect(0);
        assert_eq!(run.json()["shortfall"], 0);
    }
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

#[test]
fn a_machine_is_judged_by_what_the_passes_bring() {
    let sandbox = Sandbox::new();
    let emulator = Emulator::start(&sandbox, "", 0, &[]);
    let thresholds = ["--set", "source.kusto.census_mode=thresholds", "--test"];
    let one_pass = ["--set", "source.kusto.passes=1", "--test"];
    for (more, rows, bytes) in [
        (thresholds, "census_rows", "two_pass_bytes"),
        (one_pass, "conversations", "one_pass_bytes"),
    ] {
        let run = emulator.run_plan(&sandbox, &more);
        run.expect(0);
        let plan = run.json();
        let (kusto, machine) = (&plan["kusto"], &plan["machine"]);
        assert!(kusto[bytes].as_u64() > Some(0), "{kusto}");
        assert_eq!(machine["rows_estimate"], kusto[rows], "{plan}");
        assert_eq!(machine["disk_bytes"], kusto[bytes], "{plan}");
    }
}
