//! Copilot Chat telemetry, whose conversations name rows of other chunks.

use gleaner::domain::copilot_chat::sender::Era;
use gleaner::domain::dataset::accounting::FilterReason;
use serde_json::json;

use super::equal::{same, same_in};
use super::{on_engine, run_over, write};
use crate::support::copilot_rows;
use crate::support::corpus::{shuffled, telemetry};
use crate::support::embedded::folder;
use crate::support::engine::LocalEngine;

use crate::support::files::files_below;
use crate::support::shared;

const USER: &str = "who-asked-to-be-left-out";

const SAMPLED: &str = "source.allow_sampled = true";

#[test]
fn rows_of_every_era_with_every_fault() {
    let eras = [
        None,
        Some(Era::V030),
        Some(Era::V031),
        Some(Era::V035),
        Some(Era::V052),
        Some(Era::AgentHost),
    ];
    let (mut shared, mut twice) = (0, 0);
    for (seed, era) in (1..).zip(eras) {
        let files = shuffled(&telemetry(seed, era, 24), 4, seed);
        let unknown = match era {
            Some(Era::AgentHost) => "source.mode_unknown = 'agent'",
            _ => "",
        };
        let manifest = same(&files, &format!("{SAMPLED}\n{unknown}"));
        assert!(manifest.population.damaged > Some(0), "{era:?}");
        shared += manifest.population.shared_rows.unwrap_or(0);
        twice += manifest.population.duplicate_rows.unwrap_or(0);
    }
    assert!(shared > 100 && twice > 100, "{shared} {twice}");
}

#[test]
fn a_window_and_a_split_by_users() {
    let files = shuffled(&telemetry(11, None, 30), 3, 11);
    let window =
        "window = { start = '2025-01-15T00:00:00Z', end = '2025-02-20T00:00:00Z', slack = '2d' }";
    for more in [
        "selection.split_by = 'userName'",
        window,
        &format!("selection.cut = 'keep'\n{window}"),
    ] {
        let manifest = same(&files, &format!("{SAMPLED}\n{more}"));
        let left_out = manifest.population.filtered_by.get(&FilterReason::Window);
        assert_eq!(left_out.is_some(), more.contains("window"), "{more}");
    }
}

#[test]
fn conversations_that_are_left_out_and_what_they_have_sent_first() {
    let folder = folder();
    let list = folder.path().join("list.txt");
    let ids: String = (0..40)
        .map(|number| format!("conversation-{number}\n"))
        .collect();
    std::fs::write(&list, format!("{ids}userName:{USER}\nuserName:nobody\n")).expect("written");
    let mut rows = copilot_rows::conversations(120);
    for row in &mut rows {
        let id = row["Properties"]["conversationId"].as_str();
        match id.unwrap_or_default() {
            "somebody-else" => row["Properties"]["conversationId"] = json!("conversation-4"),
            "conversation-77" => row["Properties"]["common.userName"] = json!(USER),
            _ => {}
        }
    }
    let rows: Vec<_> = rows
        .iter()
        .map(|row| row.to_string().into_bytes())
        .collect();
    write(folder.path(), &shuffled(&rows, 3, 1));
    let more = format!("selection.exclude = '{}'", list.display());
    let (_, died) = on_engine(
        run_over(folder.path(), "died", &more),
        LocalEngine::new(1).dying(3, 2),
    );
    died.expect_err("died");
    let work = folder.path().join("died-work");
    for name in files_below(&work) {
        let bytes = std::fs::read(work.join(&name)).expect("a file");
        for text in [USER, "conversation-77", "conversation-4\""] {
            assert_eq!(
                memchr::memmem::find(&bytes, text.as_bytes()),
                None,
                "{name}"
            );
        }
    }
    let manifest = same_in(folder.path(), &more);
    assert_eq!(manifest.population.excluded, Some(41));
    assert!(manifest.population.shared_rows > Some(0));
}

/// `GLEANER_SHARED` names the folder that holds `data/appevents`.
#[test]
fn rows_of_the_extensions_own_code() {
    let Some(data) = shared().map(|shared| shared.join("data/appevents")) else {
        return;
    };
    let folder = folder();
    std::fs::create_dir_all(folder.path().join("in")).expect("a folder");
    for name in ["appevents-0.jsonl.zst", "appevents-1.jsonl.zst"] {
        let copied = std::fs::copy(data.join(name), folder.path().join("in").join(name));
        copied.expect("a file of the data");
    }
    let manifest = same_in(folder.path(), SAMPLED);
    assert!(manifest.population.conversations > 500);
}
