//! The real binary, killed again and again at any point, until it gets through: the dataset is the
//! one of a run that nobody disturbed. Local files, Kusto and a container in turn, with names, secrets
//! and near-duplicates seen to.
//!
//! `GLEANER_KILLS=1000` makes a thousand starts, each with a kill in its plan; the first start of a
//! run must meet it, later ones may get through. The seed of the points is `GLEANER_KILL_SEED`.
#![cfg(all(feature = "fault-injection", feature = "kusto-emulator"))]

use std::process::Command;

use crate::support::blob::{SIGNATURE, ask, emulator};
use crate::support::kusto::Emulator;
use crate::support::reference::trust;
use crate::support::{Run, Sandbox, corpus, kill_at};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Where a run dies, and how often the point is passed at most before that.
const POINTS: [(&str, u32); 9] = [
    ("supervisor", 6),
    ("spool.seal.before", 6),
    ("spool.seal.after", 6),
    ("upload.stage.before", 24),
    ("upload.stage.after", 24),
    ("upload.commit.before", 9),
    ("upload.commit.after", 9),
    ("upload.publish.before", 1),
    ("upload.publish.after", 1),
];

const TARGETS: &str = "--set selection.targets.train={short=60,medium=60,long=30} \
    --set selection.targets.val={short=6,medium=6,long=3} --set selection.targets.test={short=6,medium=6,long=3}";

const TRUST: &str = "--set privacy.secrets=redact --set privacy.personal=redact --set privacy.users=pseudonym \
    --set privacy.key_file=key --set near_duplicates.scope=all";

#[derive(Debug, Clone, Copy)]
enum RowLocation {
    Local,
    Kusto,
    Container,
}

impl RowLocation {
    /// The export, to `out/d` or to the container.
    fn command(self, sandbox: &Sandbox, cluster: &str, container: &str) -> Command {
        let mut args: Vec<String> =
            "export --name d --work-dir work --progress none --json --chunks 6"
                .split(' ')
                .chain(TARGETS.split_whitespace())
                .chain(TRUST.split_whitespace())
                .map(str::to_owned)
                .collect();
        let more = match self {
            Self::Local => "--input in --out out --max-malformed 100 --exclude list".to_owned(),
            Self::Kusto => format!(
                "--out out --schema turns --set source.kind=kusto --set source.kusto.cluster={cluster} --window-start 2025-01-01T00:00:00Z --window-end 2025-06-01T00:00:00Z"
            ),
            Self::Container => format!(
                "--out az://devstoreaccount1/{container} --set sink.azure_blob.endpoint={} --set sink.azure_blob.credential=sas --set sink.azure_blob.block=64KiB --set source.kind=synthetic --set source.synthetic.conversations=800",
                emulator()
            ),
        };
        args.extend(more.split(' ').map(str::to_owned));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&args);
        command.env("AZURE_STORAGE_SAS_TOKEN", SIGNATURE);
        command
    }
}

impl RowLocation {
    /// The digest of what is published there.
    fn published(self, sandbox: &Sandbox, container: &str) -> String {
        let manifest = match self {
            Self::Local | Self::Kusto => {
                let manifest = std::fs::read_to_string(sandbox.path("out/d/metadata.json"));
                manifest.expect("a manifest")
            }
            Self::Container => {
                let answer = ask("GET", &format!("{container}/d/metadata.json?"), &[], b"");
                let (_, manifest) = answer.split_once("\r\n\r\n").expect("a body");
                manifest.to_owned()
            }
        };
        let manifest: serde_json::Value = serde_json::from_str(&manifest).expect("JSON");
        manifest["content_sha256"].to_string()
    }
}

fn digest(run: &Run) -> String {
    assert!(
        matches!(run.code, Some(0 | 3)),
        "{}{}",
        run.stdout,
        run.stderr
    );
    run.json()["content_sha256"].to_string()
}

fn number(variable: &str, or: u64) -> u64 {
    let reported = std::env::var(variable).ok();
    reported.map_or(or, |text| text.parse().expect("a number"))
}

/// A folder with something to read.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let rows = corpus::events(8, 600).into_iter().map(|row| {
        let (message, secret) = ("\"userMessage\":\"", trust::planted_secret());
        let row = String::from_utf8_lossy(&row).replace(message, &format!("{message}{secret} "));
        row.into_bytes()
    });
    let rows: Vec<_> = rows.collect();
    sandbox.write_compressed_input(&corpus::in_files(&rows, 4, "a"));
    sandbox.write("key", trust::KEY);
    let ids: Vec<_> = (0..600).step_by(9).map(|n| format!("id-{n}")).collect();
    sandbox.write("list", ids.join("\n"));
    sandbox
}

/// Makes a container.
fn make(name: String) -> String {
    let made = ask("PUT", &format!("{name}?restype=container"), &[], b"");
    assert!(made.contains("201"), "{made}");
    name
}

/// Where to kill a run, `SITE:COUNT`. Its first start dies at the first passage of a site, each site
/// in turn, since every run comes there; later starts at any.
fn point(turn: usize, is_first: bool, chance: &mut Pcg64Mcg) -> String {
    let (site, most) = match is_first {
        true => (POINTS[turn / 3 % POINTS.len()].0, 1),
        false => *POINTS.choose(chance).expect("some"),
    };
    format!("{site}:{}", chance.random_range(1..=most))
}

#[test]
fn killed_until_it_gets_through() {
    let kills = number("GLEANER_KILLS", 50);
    let seed = number("GLEANER_KILL_SEED", 1);
    let mut chance = Pcg64Mcg::seed_from_u64(seed);
    let helper = Sandbox::new();
    let cluster = Emulator::start(&helper, "", 0, &[]);
    let mut numbers = 1..;
    let mut container = || {
        let number = numbers.next().expect("endless");
        make(format!("killed{number}-{}", std::process::id()))
    };
    let places = [
        RowLocation::Local,
        RowLocation::Kusto,
        RowLocation::Container,
    ];
    let expected = places.map(|place| {
        let output = place
            .command(&sandbox(), &cluster.address, &container())
            .output();
        digest(&output.expect("it runs").into())
    });
    let (mut starts, mut killed, mut published) = (0, 0, 0);
    for turn in 0.. {
        if starts >= kills {
            break;
        }
        let (place, expected) = (places[turn % 3], &expected[turn % 3]);
        let (sandbox, container) = (sandbox(), container());
        let mut history = Vec::new();
        loop {
            starts += 1;
            let mut command = place.command(&sandbox, &cluster.address, &container);
            let point = point(turn, history.is_empty(), &mut chance);
            let output = command.envs(kill_at(&point)).output();
            history.push(point);
            let run: Run = output.expect("it runs").into();
            if run.code.is_some() {
                let reported = format!("seed {seed}, {place:?}, {history:?}");
                assert!(history.len() > 1, "not killed: {reported}");
                // Killed when all was done, and only the end of the process was missing.
                let was_done = run.stderr.contains("exists already");
                let found = match was_done {
                    true => place.published(&sandbox, &container),
                    false => digest(&run),
                };
                assert_eq!(found, *expected, "{reported}");
                published += 1;
                break;
            }
            killed += 1;
        }
    }
    eprintln!(
        "{starts} starts, killed {killed} times, published {published} times, each time the same"
    );
}
