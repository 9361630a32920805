//! A run over compressed telemetry that is killed anywhere goes on and gives the same bytes.

use gleaner::domain::record::row::RowShape;
use gleaner::source::synthetic::settings::{Synthetic, TelemetryFault, TelemetryStyle};
use gleaner::source::synthetic::telemetry::rows;

use crate::support::packed::{gzip, zst};
use crate::support::reference::Asked;
use crate::support::{Sandbox, corpus, kill_at};

fn asked() -> Asked {
    Asked::new("s", 3)
}

/// Two gz and two zst files; rows of a conversation, and the shared ones, lie in any of them.
fn input() -> corpus::Files {
    let settings = Synthetic {
        conversations: 24,
        seed: 5,
        schema: RowShape::CopilotChat,
    };
    let style = TelemetryStyle {
        era: None,
        faults: [TelemetryFault::Duplicates, TelemetryFault::Edits]
            .into_iter()
            .collect(),
    };
    let rows: Vec<Vec<u8>> = (0..24)
        .flat_map(|number| rows(settings, style, number))
        .collect();
    let packed = |(number, (name, bytes)): (usize, (String, Vec<u8>))| match number % 2 {
        0 => (format!("{name}.gz"), gzip(&bytes)),
        _ => (format!("{name}.zst"), zst(&bytes)),
    };
    corpus::shuffled(&rows, 4, 1)
        .into_iter()
        .enumerate()
        .map(packed)
        .collect()
}

#[test]
#[cfg_attr(
    not(feature = "fault-injection"),
    ignore = "needs the feature fault-injection: run ./test.sh"
)]
fn killed_at_a_seal_a_stage_or_a_commit_it_gives_the_same_bytes() {
    let files = input();
    let sandbox = Sandbox::new();
    sandbox.write_input(&files);
    sandbox.export(&asked(), &[]).expect(3);
    let expected = sandbox.dataset().digest();
    for point in [
        "spool.seal.before:1",
        "spool.seal.after:2",
        "spool.seal.after:4",
        "upload.stage.before:1",
        "upload.stage.after:3",
        "upload.commit.before:2",
        "upload.publish.before:1",
    ] {
        let sandbox = Sandbox::new();
        sandbox.write_input(&files);
        let args = sandbox.export_args(&asked());
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let killed = sandbox
            .command(&args)
            .envs(kill_at(point))
            .output()
            .expect("it runs");
        assert_eq!(killed.status.code(), None, "{point} was never reached");
        let run = sandbox.export(&asked(), &[]);
        run.expect(3);
        assert_eq!(run.json()["resumed"], true, "{point}");
        assert_eq!(sandbox.dataset().digest(), expected, "{point}");
        sandbox.run(&["verify", "out/d"]).expect(0);
    }
}
