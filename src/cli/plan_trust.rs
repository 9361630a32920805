//! What an export would take out of the data and change in it: for `gleaner plan`.

use serde_json::{Value, json};

use super::words::count;
use crate::config::settings::Settings;

/// What is done, for a machine.
pub fn record(settings: &Settings) -> Value {
    let benchmarks = settings.decontamination.as_ref();
    let near = settings.near_duplicates.as_ref();
    json!({
        "privacy": settings.privacy.record(),
        "near_duplicates": near.map(|near| json!({
            "scope": near.scope.name(),
            "threshold": near.threshold.share(),
        })),
        "benchmarks": benchmarks.map(|benchmarks| benchmarks.record(|_| 0).benchmarks),
        "excluded": settings.exclude.listed(),
        "convert_for": settings.convert_for.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// The same for a person, lines of their own.
pub fn text(settings: &Settings) -> String {
    let mut lines = Vec::new();
    let policy = &settings.privacy;
    if !policy.is_off() {
        lines.push((
            "privacy",
            format!(
                "secrets {}, personal data {}, users {}",
                policy.secrets.name(),
                policy.personal.name(),
                policy.users.name()
            ),
        ));
    }
    if let Some(near) = &settings.near_duplicates {
        let (scope, share) = (near.scope.name(), near.threshold.share());
        lines.push((
            "repeats",
            format!("near-duplicates of {share} and more are left out ({scope})"),
        ));
    }
    for benchmark in settings
        .decontamination
        .iter()
        .flat_map(|all| all.record(|_| 0).benchmarks)
    {
        let texts = count(benchmark.texts, "text");
        lines.push((
            "without",
            format!("what repeats the benchmark {:?} ({texts})", benchmark.name),
        ));
    }
    if settings.exclude.listed() > 0 {
        let listed = count(settings.exclude.listed(), "line");
        lines.push(("without", format!("{listed} of selection.exclude")));
    }
    for preset in &settings.convert_for {
        lines.push(("then", format!("a copy for {preset}")));
    }
    let line = |(word, text): (&str, String)| format!("{word:<8} {text}\n");
    lines.into_iter().map(line).collect()
}
