//! Old names of keys and flags, the forms of addresses, and what beats `--test`.

use serde_json::Value;

use crate::support::{Sandbox, words};

/// The old names, with a value and the new ones.
const RENAMED: [(&str, &str, &str); 5] = [
    ("workers.patience", "20s", "workers.stall_timeout"),
    (
        "sink.azure_blob.patience",
        "20s",
        "sink.azure_blob.retry_timeout",
    ),
    ("window.settle", "2h", "window.ingestion_lag"),
    ("chaos.passages", "3", "chaos.max_hits"),
    (
        "source.synthetic.shape",
        "conversations",
        "source.synthetic.schema",
    ),
];

#[test]
fn old_keys_are_read_in_every_layer_with_a_warning() {
    let sandbox = Sandbox::new();
    let plan = ["plan", "--test", "--set", "source.kind=synthetic", "--json"];
    for (old, value, new) in RENAMED {
        let (table, key) = old.rsplit_once('.').expect("a table");
        sandbox.write("c.toml", format!("[{table}]\n{key} = '{value}'\n"));
        let set = format!("{old}={value}");
        let variable = format!("GLEANER__{}", old.replace('.', "__").to_uppercase());
        let mut in_environment = sandbox.command(&plan);
        in_environment.env(&variable, value);
        for run in [
            sandbox.run(&[&plan[..], &["--config", "c.toml"]].concat()),
            sandbox.run(&[&plan[..], &["--set", &set]].concat()),
            in_environment.output().expect("it runs").into(),
        ] {
            let warning = run.expect(0);
            assert!(
                warning.contains(&format!("{old} is now {new}")),
                "{old}: {warning}"
            );
        }
        let both = format!("{new}={value}");
        let refused = sandbox.run(&[&plan[..], &["--set", &set, "--set", &both]].concat());
        refused.says(2, &[new]);
        let renamed = sandbox.run(&[&plan[..], &["--set", &both]].concat());
        assert_eq!(renamed.expect(0), "", "no warning");
    }
}

#[test]
fn the_old_names_of_synth_are_read_with_a_warning() {
    let sandbox = Sandbox::new();
    let rows = |out: &str, flags: [&str; 2]| {
        let synth = ["synth", "--conversations", "40", "--json", "--out", out];
        let run = sandbox.run(&[&synth[..], &flags].concat());
        let warnings = run.expect(0).to_owned();
        (run.json()["rows"].clone(), warnings)
    };
    for (old, new, renamed) in [
        (
            ["--shape", "conversations"],
            ["--schema", "conversations"],
            "--shape is now --schema",
        ),
        (
            ["--schema", "events"],
            ["--schema", "turns"],
            "events is now --schema turns",
        ),
        (
            ["--shape", "events"],
            ["--schema", "turns"],
            "--shape is now --schema",
        ),
    ] {
        let (wanted, warnings) = rows(&format!("new-of{}", old.concat()), new);
        assert_eq!(warnings, "", "{new:?}");
        let (written, warnings) = rows(&format!("old{}", old.concat()), old);
        assert_eq!(written, wanted, "{old:?}");
        assert!(warnings.contains(renamed), "{old:?}: {warnings}");
    }
    let both = [
        "synth",
        "--conversations",
        "1",
        "--out",
        "o",
        "--shape",
        "turns",
        "--schema",
        "turns",
    ];
    sandbox.run(&both).expect(2);
    let help = sandbox.run(&["synth", "--help"]).stdout;
    assert!(
        help.contains("--schema") && !help.contains("--shape"),
        "{help}"
    );
    assert!(!help.contains("- events"), "{help}");
}

/// The plan of a small export.
#[track_caller]
fn plan(sandbox: &Sandbox, more: &[&str]) -> Value {
    let mut args = words("plan --json --test --set source.kind=synthetic");
    args.extend(more);
    let run = sandbox.run(&args);
    run.expect(0);
    run.json()
}

#[test]
fn an_old_key_means_what_the_new_one_means() {
    let sandbox = Sandbox::new();
    let window = |key: &str| {
        let run = plan(&sandbox, &["--window-last", "1d", "--set", key]);
        run["fingerprint"].clone()
    };
    assert_eq!(
        window("window.settle=3h"),
        window("window.ingestion_lag=3h")
    );
    assert_ne!(
        window("window.settle=3h"),
        window("window.ingestion_lag=1h")
    );
}

#[test]
#[cfg_attr(not(feature = "fault-injection"), ignore = "needs faults: ./test.sh")]
fn the_old_flag_is_read_with_a_warning() {
    let sandbox = Sandbox::new();
    let chaos = concat!(env!("CARGO_MANIFEST_DIR"), "/config/chaos.toml");
    let export = |flag: &str| {
        sandbox.run(&[
            "export",
            "--chaos",
            chaos,
            flag,
            "--out",
            "az://account/container/prefix",
            "--set",
            "sink.azure_blob.endpoint=http://example.invalid/",
            "--progress",
            "none",
        ])
    };
    // Both get past the question and fail at the address, which is no https.
    for (flag, warns) in [("--i-know", true), ("--allow-real-services", false)] {
        let run = export(flag);
        let stderr = run.says(2, &["https"]);
        let found = stderr.contains("--i-know is now --allow-real-services");
        assert_eq!(found, warns, "{stderr}");
    }
}

#[test]
fn an_address_of_azure_storage_is_read_in_every_form() {
    let sandbox = Sandbox::new();
    let location = |out: &str| {
        let plan = plan(&sandbox, &["--out", out]);
        (
            plan["location"].as_str().expect("a place").to_owned(),
            plan["fingerprint"].clone(),
        )
    };
    let plain = location("az://account/container/a/b");
    assert_eq!(plain.0, "az://account/container/a/b");
    for same in [
        "AZ://account/container/a/b/",
        "https://account.blob.core.windows.net/container/a/b",
        "HTTPS://Account.blob.Core.windows.net/container/a/b",
        "abfss://container@account.dfs.core.windows.net/a/b",
    ] {
        assert_eq!(location(same), plain, "{same}");
    }
    let china = location("abfss://container@account.dfs.core.chinacloudapi.cn/a");
    assert_eq!(
        china.0,
        "https://account.blob.core.chinacloudapi.cn/container/a"
    );
}

#[test]
fn other_addresses_are_refused_and_signatures_are_not_repeated() {
    let sandbox = Sandbox::new();
    let secret = "c2VjcmV0LXNpZ25hdHVyZQ";
    let outs = [
        "s3://bucket/prefix".to_owned(),
        format!("https://account.blob.core.windows.net/container/p?sv=2024-01-01&sig={secret}"),
        format!("https://account.blob.core.windows.net/container/p#{secret}"),
        format!("az://account/container/p?{secret}"),
        format!("https://user:{secret}@account.blob.core.windows.net/container"),
        format!("account.blob.core.windows.net/container?sig={secret}"),
    ];
    for out in &outs {
        let synthetic = ["--set", "source.kind=synthetic", "--test"];
        for command in [
            &[&["export", "--out", out, "--json"], &synthetic[..]].concat()[..],
            &[&["plan", "--out", out], &synthetic[..]].concat()[..],
            &["verify", out][..],
        ] {
            let run = sandbox.run(command);
            run.expect(2);
            let all = format!("{}{}", run.stdout, run.stderr);
            assert!(!all.contains(secret), "{out}: {all}");
        }
        let key = format!("sink.local.path={out}");
        let run = sandbox.run(&[&["export", "--set", &key], &synthetic[..]].concat());
        run.expect(2);
    }
    assert_eq!(
        std::fs::read_dir(sandbox.path(""))
            .expect("a folder")
            .count(),
        0,
        "nothing is written"
    );
}

#[test]
fn what_is_set_beats_test() {
    let sandbox = Sandbox::new();
    let synthetic = ["--set", "source.kind=synthetic"];
    let targets = |args: &[&str], variable: Option<&str>| {
        let mut command =
            sandbox.command(&[&["plan", "--json", "--test"], args, &synthetic[..]].concat());
        command.envs(variable.map(|value| ("GLEANER__SELECTION__TARGETS__TRAIN__SHORT", value)));
        let run = crate::support::Run::from(command.output().expect("it runs"));
        run.expect(0);
        let strata = run.json()["strata"].clone();
        (strata[0]["target"].clone(), strata[1]["target"].clone())
    };
    let of = |short: u64, medium: u64| (short.into(), medium.into());
    assert_eq!(targets(&[], None), of(34, 33));
    assert_eq!(
        targets(&["--set", "selection.targets.train.short=7"], None),
        of(7, 33)
    );
    assert_eq!(targets(&[], Some("8")), of(8, 33));
    sandbox.write("own.toml", "[selection.targets.train]\nshort = 9\n");
    assert_eq!(targets(&["--config", "own.toml"], None), of(9, 33));
    // A file that lists the defaults has not set them.
    let production = concat!(env!("CARGO_MANIFEST_DIR"), "/config/production.toml");
    let users = ["--set", "privacy.users=drop"];
    let small = [["--config", production, "--out", "out"].as_slice(), &users].concat();
    assert_eq!(targets(&small, None), of(34, 33));
}
