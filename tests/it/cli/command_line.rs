//! The command line: configuration, exit codes, and the words that people and scripts rely on.

use crate::support::{Sandbox, words};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn every_configuration_file_loads_and_plans() {
    let sandbox = Sandbox::new();
    for name in ["demo", "test"] {
        let config = format!("{ROOT}/config/{name}.toml");
        let run = sandbox.run(&["plan", "--config", &config, "--json"]);
        run.expect(0);
        let plan = run.json();
        let total = if name == "demo" { 3960 } else { 100 };
        assert_eq!(plan["records"], total, "{name}");
        assert_eq!(
            std::fs::read_dir(sandbox.path(""))
                .expect("a folder")
                .count(),
            0,
            "a plan writes nothing"
        );
    }
    let chaos = format!("{ROOT}/config/chaos.toml");
    let run = sandbox.run(&["plan", "--chaos", &chaos, "--json"]);
    run.expect(0);
    assert_eq!(run.json()["records"], 100);
    sandbox.write("a.jsonl", "");
    let config = format!("{ROOT}/config/production.toml");
    let run = sandbox.run(&[
        "plan",
        "--config",
        &config,
        "--input",
        "a.jsonl",
        "--out",
        "out",
        "--json",
        "--set",
        "privacy.users=drop",
    ]);
    run.expect(0);
    assert_eq!(run.json()["records"], 120_000);
}

#[test]
fn the_test_flag_has_the_targets_of_the_test_configuration() {
    let sandbox = Sandbox::new();
    let config = format!("{ROOT}/config/test.toml");
    let strata = |args: &[&str]| {
        let run = sandbox.run(args);
        run.expect(0);
        run.json()["strata"].clone()
    };
    assert_eq!(
        strata(&["plan", "--json", "--config", &config]),
        strata(&["plan", "--json", "--test", "--set", "source.kind=synthetic"])
    );
}

#[test]
fn flags_beat_set_beats_environment_beats_file_beats_defaults() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "");
    sandbox.write("c.toml", "[selection]\nseed = 'file'\n[source]\nkind = 'files'\n[source.files]\npaths = ['a.jsonl']\n");
    let seed = |args: &[&str], env: Option<&str>| {
        let mut command = sandbox.command(&[&["plan", "--json"], args].concat());
        command.envs(env.map(|value| ("GLEANER__SELECTION__SEED", value)));
        let run = crate::support::Run::from(command.output().expect("it runs"));
        run.expect(0);
        run.json()["seed"].as_str().expect("a seed").to_owned()
    };
    let file = ["--config", "c.toml"];
    assert_eq!(seed(&["--input", "a.jsonl"], None), "gleaner");
    assert_eq!(seed(&file, None), "file");
    assert_eq!(seed(&file, Some("007")), "007", "a seed is text");
    assert_eq!(
        seed(
            &[&file[..], &["--set", "selection.seed=1e5"]].concat(),
            Some("env")
        ),
        "1e5"
    );
    assert_eq!(
        seed(
            &[
                &file[..],
                &["--set", "selection.seed=set", "--seed", "flag"]
            ]
            .concat(),
            Some("env")
        ),
        "flag"
    );
}

/// Arguments of a plan, and the message that each gets.
const REFUSED: [(&str, &str); 22] = [
    (
        "--set selection.tagets.train.short=3",
        "did you mean targets?",
    ),
    ("--set limits.in_flite=3MB", "did you mean in_flight?"),
    ("--set nonsense", "KEY=VALUE"),
    ("--set chunks.count=0", "between 1 and 100000"),
    ("--chunks many", "chunks.count"),
    ("--fetchers 0", "workers.fetchers"),
    ("--set limits.in_flight=0", "a size above zero"),
    ("--set limits.spool=lots", "a size above zero"),
    ("--window-last soon", "a duration above zero"),
    ("--window-last=-1d", "a duration above zero"),
    ("--window-start yesterday", "RFC 3339"),
    (
        "--window-start 2025-01-02T00:00:00Z --window-end 2025-01-01T00:00:00Z",
        "after window.start",
    ),
    (
        "--set window.last=1d --set window.start=2025-01-01T00:00:00Z",
        "not both",
    ),
    ("--format csv", "json, jsonl"),
    ("--max-malformed 101", "between 0 and 100"),
    ("--split dev", "train, val, test"),
    ("--name a/b", "one folder's name"),
    ("--name {moment}", "placeholders"),
    ("--allow-missing-chunks 1", "does not go with files"),
    ("--set selection.targets.dev.short=1", "no split \"dev\""),
    (
        "--set selection.splits=[{name=\"a\",percent=60},{name=\"b\",percent=30}]",
        "add up to 90",
    ),
    (
        "--set selection.buckets=[{name=\"a\",turns=[3,5]},{name=\"b\",turns=[5,9]}]",
        "overlap",
    ),
];

#[test]
fn wrong_settings_are_refused_in_words() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "");
    for (args, text) in REFUSED {
        let run = sandbox.run(&[&["plan", "--input", "a.jsonl"], &words(args)[..]].concat());
        run.says(2, &[text, "hint:"]);
    }
    let zero: Vec<String> = ["train", "val", "test"]
        .iter()
        .flat_map(|split| {
            ["short", "medium", "long"].map(|b| format!("selection.targets.{split}.{b}=0"))
        })
        .flat_map(|pair| ["--set".to_owned(), pair])
        .collect();
    let zero: Vec<&str> = zero.iter().map(String::as_str).collect();
    let run = sandbox.run(&[&["plan", "--input", "a.jsonl"], &zero[..]].concat());
    run.says(2, &["nothing to export"]);
}

#[test]
fn a_stronger_window_replaces_the_other_form() {
    let sandbox = Sandbox::new();
    sandbox.write("a.jsonl", "");
    sandbox.write("c.toml", "[window]\nlast = '15d'\n");
    let run = sandbox.run(&[
        "plan",
        "--json",
        "--config",
        "c.toml",
        "--input",
        "a.jsonl",
        "--window-start",
        "2025-01-01T00:00:00Z",
    ]);
    run.expect(0);
    assert_eq!(run.json()["window"]["start"], "2025-01-01T00:00:00Z");
    assert_eq!(run.json()["window"]["end"], serde_json::Value::Null);
}

#[test]
fn only_the_named_splits_are_exported() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&[
        "export",
        "--test",
        "--split",
        "val",
        "--set",
        "source.kind=synthetic",
        "--set",
        "source.synthetic.conversations=3000",
        "--name",
        "d",
        "--json",
        "--progress",
        "json",
        "--format",
        "jsonl",
    ]);
    run.expect(0);
    let strata = run.json()["strata"].clone();
    assert_eq!(strata.as_array().map(Vec::len), Some(3));
    assert_eq!(strata[0]["split"], "val");
    assert!(sandbox.path("out/d/val/short_3_to_5_turns.jsonl").exists());
    assert!(!sandbox.path("out/d/train").exists());
    for line in run.stderr.lines() {
        let event: serde_json::Value = serde_json::from_str(line).expect("progress is JSON");
        assert!(event["phase"].is_string());
    }
    let population = run.json()["population"].clone();
    assert!(
        population["no_target"].as_u64() > Some(1000),
        "{population}"
    );
}

/// A folder with a dataset `out/d` of one JSON array a file.
fn published() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[
            "export",
            "--test",
            "--set",
            "source.kind=synthetic",
            "--set",
            "source.synthetic.conversations=3000",
            "--format",
            "json",
            "--name",
            "d",
        ])
        .expect(0);
    sandbox
}

#[test]
fn sums_are_those_that_sha256sum_checks() {
    let sandbox = published();
    let check = std::process::Command::new("sha256sum")
        .args(["-c", "--strict", "SHA256SUMS"])
        .current_dir(sandbox.path("out/d"))
        .output()
        .expect("sha256sum runs");
    assert!(check.status.success(), "{check:?}");
}

#[test]
fn verify_finds_what_was_changed() {
    let sandbox = published();
    let file = sandbox.path("out/d/train/short_3_to_5_turns.json");
    let good = std::fs::read_to_string(&file).expect("a file");
    let mut lines: Vec<&str> = good.lines().collect();
    let swapped = {
        lines.swap(1, 2);
        lines.join("\n") + "\n"
    };
    let cases = [
        (
            good.replace("turnIndex\":2", "turnIndex\":9"),
            "turn_sequence",
        ),
        (swapped, "order of ranks"),
        (good.replacen("[\n", "[\n\n", 1), "line 2"),
        (good.replace("]\n", ""), "not closed"),
        (good.replacen('a', "b", 1), "SHA-256"),
    ];
    for (text, words) in cases {
        std::fs::write(&file, text).expect("writable");
        let run = sandbox.run(&["verify", "out/d"]);
        assert_eq!(run.code, Some(1));
        assert!(run.stdout.contains(words), "{words}: {}", run.stdout);
    }
    std::fs::write(&file, good.clone() + "\n").expect("writable");
    assert_eq!(
        sandbox.run(&["verify", "out/d", "--quick"]).code,
        Some(1),
        "the length"
    );
}

#[test]
fn verify_looks_at_the_dataset_alone() {
    let sandbox = published();
    sandbox.write("out/d/train/extra.json", "[]");
    assert!(
        sandbox
            .run(&["verify", "out/d"])
            .stdout
            .contains("not part of the dataset")
    );
    std::fs::remove_file(sandbox.path("out/d/train/extra.json")).expect("there");
    sandbox.run(&["verify", "out/d", "--json"]).expect(0);
    let other = sandbox.run(&[
        "verify",
        "out/d",
        "--set",
        "source.kind=synthetic",
        "--set",
        "selection.seed=other",
    ]);
    assert_eq!(
        other.code,
        Some(0),
        "the order is that of the dataset's own seed"
    );
    let run = sandbox.run(&["verify", "out"]);
    run.says(1, &["no dataset"]);
}

#[test]
fn completions_and_help_name_every_command() {
    let sandbox = Sandbox::new();
    let help = sandbox.run(&["--help"]).stdout;
    let bash = sandbox.run(&["completions", "bash"]).stdout;
    for command in ["export", "plan", "verify", "status", "synth", "completions"] {
        assert!(
            help.contains(command) && bash.contains(command),
            "{command}"
        );
    }
    sandbox.run(&["frobnicate"]).expect(2);
}

fn readme() -> String {
    std::fs::read_to_string(format!("{ROOT}/README.md")).expect("a README")
}

#[test]
fn the_commands_of_the_readme_work() {
    let sandbox = Sandbox::new();
    let readme = readme();
    let commands: Vec<&str> = readme
        .lines()
        .filter(|line| line.starts_with("gleaner ") || line.starts_with("cargo run "))
        .filter(|line| line.contains(" --"))
        .collect();
    assert_eq!(
        commands,
        [
            "cargo run --release -- export --config config/demo.toml",
            "gleaner export --input 'logs/*.jsonl.zst' --out datasets --seed s1",
        ]
    );
    let demo = format!("{ROOT}/config/demo.toml");
    let run = sandbox.run(&["export", "--config", &demo, "--json"]);
    run.expect(0);
    assert_eq!(run.json()["strata"].as_array().map(Vec::len), Some(9));
    sandbox
        .run(&["synth", "--conversations", "300", "--out", "synthetic"])
        .expect(0);
    let part = std::fs::read(sandbox.path("synthetic/part-00000.jsonl")).expect("a file");
    sandbox.write(
        "logs/a.jsonl.zst",
        zstd::encode_all(&part[..], 1).expect("memory"),
    );
    // Far fewer conversations than the default targets: published, with a shortfall.
    let args = [
        "export",
        "--input",
        "logs/*.jsonl.zst",
        "--out",
        "datasets",
        "--seed",
        "s1",
    ];
    let run = sandbox.run(&args);
    run.shows(
        3,
        &["no targets were set", "next: gleaner verify datasets/"],
    );
}

#[test]
fn the_documentation_names_every_key() {
    let page = std::fs::read_to_string(format!("{ROOT}/docs/configuration.md")).expect("the page");
    let text =
        std::fs::read_to_string(format!("{ROOT}/src/config/defaults.toml")).expect("defaults");
    let defaults: toml::Table = text.parse().expect("TOML");
    for (section, table) in &defaults {
        for (key, value) in table.as_table().into_iter().flatten() {
            // A sink's kind follows from --out.
            if section == "sink" && key == "kind" {
                continue;
            }
            let end = if value.is_table() { "." } else { "`" };
            let found = [format!("`{section}.{key}{end}"), format!("`.{key}{end}")];
            assert!(
                found.iter().any(|name| page.contains(name)),
                "docs/configuration.md lacks {section}.{key}"
            );
        }
    }
}
