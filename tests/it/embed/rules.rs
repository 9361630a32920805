//! Rules of the host's own.

use gleaner::domain::record::rule::{Candidate, Rule};
use gleaner::pipeline::BuildError;
use gleaner::pipeline::state::work_dir::WorkDirError;
use gleaner::sink::reader::LocalDataset;
use gleaner::verify;

use crate::support::embedded::{folder, run_in};

/// A rule of the host's own.
struct Own {
    version: u32,
    fatal: bool,
    longest: usize,
}

impl Rule for Own {
    fn name(&self) -> &'static str {
        if self.fatal {
            "over_size"
        } else {
            "rather_long"
        }
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn is_fatal(&self) -> bool {
        self.fatal
    }

    fn check(&self, record: &Candidate<'_>) -> Option<String> {
        let bytes = record.bytes.len();
        (bytes > self.longest).then(|| format!("{bytes} bytes"))
    }
}

fn own(version: u32, fatal: bool, longest: usize) -> Own {
    Own {
        version,
        fatal,
        longest,
    }
}

#[test]
fn rules_of_the_host_decide_are_counted_and_are_part_of_the_run() {
    let folder = folder();
    let with_rules = |version| {
        run_in(folder.path())
            .rule(own(version, true, 6000))
            .rule(own(1, false, 3000))
    };
    let run = with_rules(1)
        .build()
        .expect("ready")
        .spawn_thread()
        .expect("a thread");
    let controller = run.controller();
    let manifest = run.join_blocking().expect("published").manifest;
    assert_eq!(manifest.rules["over_size"], 1);
    assert!(
        manifest.warnings["rather_long"] > 0,
        "{:?}",
        manifest.warnings
    );
    let view = controller.status();
    assert!(view.invalid["over_size"] > 0, "{:?}", view.invalid);
    assert_eq!(
        view.warnings["rather_long"],
        manifest.warnings["rather_long"]
    );
    let mut longest = 0;
    for file in manifest.strata.iter().filter_map(|s| s.file.as_ref()) {
        let text = std::fs::read_to_string(folder.path().join("out/d").join(file));
        let text = text.expect("a file");
        let records = text.lines().filter(|line| line.starts_with('{'));
        longest = records
            .map(|line| line.trim_end_matches(',').len())
            .max()
            .max(Some(longest))
            .expect("one");
    }
    assert!((3000..=6000).contains(&longest), "{longest}");
    let dataset = LocalDataset::new(folder.path().join("out/d"));
    let findings = verify::verify(&dataset, None, false)
        .expect("readable")
        .findings;
    assert!(findings.is_empty(), "{findings:?}");
    let other = with_rules(2).build().err().expect("another version");
    assert!(
        matches!(
            other,
            BuildError::WorkDir(WorkDirError::OtherSettings { .. })
        ),
        "{other}"
    );
}

#[test]
fn the_name_of_a_rule_is_its_own() {
    let folder = folder();
    for name in ["token_counts", "too long", ""] {
        struct Named(&'static str);
        impl Rule for Named {
            fn name(&self) -> &'static str {
                self.0
            }
            fn check(&self, _: &Candidate<'_>) -> Option<String> {
                None
            }
        }
        let refused = run_in(folder.path()).rule(Named(name)).build().err();
        assert!(matches!(refused, Some(BuildError::RuleName(_))), "{name:?}");
    }
}
