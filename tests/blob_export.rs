//! Whole exports into the storage emulator, through every way in which a network or a service fails.

mod support;

use support::blob::{Fault, On, Plan, Proxy, SIGNATURE, ask};
use support::{Run, Sandbox};

/// Telemetry and targets that give files of several blocks.
const EXPORT: &str = "export --name d --work-dir work --progress none --json \
    --set source.kind=synthetic --set source.synthetic.conversations=1500 --set source.synthetic.seed=7 \
    --set selection.targets.train.short=150 --set selection.targets.train.medium=100 --set selection.targets.train.long=40 \
    --set selection.targets.val.short=10 --set selection.targets.val.medium=10 --set selection.targets.val.long=5 \
    --set selection.targets.test.short=10 --set selection.targets.test.medium=10 --set selection.targets.test.long=5";

/// A container of its own for each test.
struct Blob<'a> {
    sandbox: &'a Sandbox,
    endpoint: String,
    container: String,
}

impl<'a> Blob<'a> {
    fn new(sandbox: &'a Sandbox, proxy: &Proxy, container: &str) -> Self {
        let made = ask("PUT", &format!("{container}?restype=container"));
        assert!(made.contains("201"), "{made}");
        Self {
            sandbox,
            endpoint: proxy.endpoint(),
            container: container.to_owned(),
        }
    }

    fn run(&self, args: &[&str], more: &[&str]) -> Run {
        let endpoint = format!("sink.azure_blob.endpoint={}", self.endpoint);
        let mut all = args.to_vec();
        all.extend([
            "--set",
            &endpoint,
            "--set",
            "sink.azure_blob.credential=sas",
        ]);
        all.extend(["--set", "sink.azure_blob.block=64KiB"]);
        all.extend(["--set", "sink.azure_blob.checksum=md5"]);
        all.extend(more);
        let mut command = self.sandbox.command(&all);
        command.env("AZURE_STORAGE_SAS_TOKEN", SIGNATURE);
        command.env("RUST_LOG", "debug");
        let run: Run = command.output().expect("the binary runs").into();
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains("YKAtmJud"), "a signature was told: {text}");
        }
        run
    }

    fn export(&self, more: &[&str]) -> Run {
        let out = format!("az://devstoreaccount1/{}/some/prefix", self.container);
        let mut args: Vec<&str> = EXPORT.split_whitespace().collect();
        args.extend(["--out", &out]);
        self.run(&args, more)
    }

    fn verify(&self, more: &[&str]) -> Run {
        let dataset = format!("az://devstoreaccount1/{}/some/prefix/d", self.container);
        self.run(&["verify", &dataset, "--json"], more)
    }

    /// Publishes, and what is there is what a folder would have got.
    fn finishes(&self, expected: &str, told: &str) -> Run {
        let run = self.export(&[]);
        run.expect(0);
        assert_eq!(run.json()["content_sha256"], expected, "{told}");
        let verified = self.verify(&[]);
        verified.expect(0);
        run
    }
}

fn in_a_folder(sandbox: &Sandbox) -> String {
    let mut args: Vec<&str> = EXPORT.split_whitespace().collect();
    args.extend(["--out", "out", "--work-dir", "local-work"]);
    args.retain(|arg| *arg != "work");
    let at = args
        .iter()
        .position(|arg| *arg == "--work-dir")
        .expect("there");
    args.remove(at);
    let run = sandbox.run(&args);
    run.expect(0);
    run.json()["content_sha256"]
        .as_str()
        .expect("a digest")
        .to_owned()
}

#[test]
fn faults_on_the_way_cost_nothing() {
    let sandbox = Sandbox::new();
    let expected = in_a_folder(&sandbox);
    let proxy = Proxy::start();
    let faults = [
        ("early", On::Block, 1, Fault::Reset(100)),
        ("late", On::Block, 2, Fault::Reset(60_000)),
        (
            "s500",
            On::Block,
            2,
            Fault::Status(500, "InternalError", false),
        ),
        ("s503", On::Block, 2, Fault::Status(503, "ServerBusy", true)),
        (
            "s429",
            On::Block,
            2,
            Fault::Status(429, "TooManyRequests", true),
        ),
        ("slow", On::Block, 1, Fault::Slow(100_000)),
        ("lostblock", On::Block, 2, Fault::LostReply),
        ("flipped", On::Block, 0, Fault::Flip),
        ("lostcommit", On::Commit, 2, Fault::LostReply),
        ("lostmanifest", On::Manifest, 1, Fault::LostReply),
    ];
    for (name, on, times, fault) in faults {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, &proxy, name);
        proxy.fail(Some(Plan {
            on,
            skip: 0,
            times,
            fault,
        }));
        blob.finishes(&expected, name);
        assert_eq!(proxy.hits(), times, "{name}");
    }
}
