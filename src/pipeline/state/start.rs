//! What a start of a command does with what its work directory remembers. Pure.

use super::work_dir::{RunRecord, RunState};
use crate::domain::record::timestamp::UtcInstant;

/// What decides, besides the records, how a command goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StartOptions {
    /// Start over, whatever is remembered (`--fresh`).
    pub fresh: bool,
    /// The dataset's name is the same in every run: there is no `{timestamp}` in it.
    pub fixed_name: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// A new run.
    Begin,
    /// The run that is remembered is continued.
    Resume,
    /// The run that is remembered has published just this dataset: nothing is left to do.
    AlreadyPublished,
    /// It has published a dataset of this name, of another window.
    OtherWindow,
    /// It is a run with other settings.
    OtherSettings,
}

/// Decides. `new` is the run that would begin now.
pub fn decide(found: Option<&RunRecord>, new: &RunRecord, options: StartOptions) -> Start {
    let Some(found) = found.filter(|_| !options.fresh) else {
        return Start::Begin;
    };
    if found.fingerprint != new.fingerprint {
        return Start::OtherSettings;
    }
    match found.state {
        RunState::Running => Start::Resume,
        RunState::Published if !options.fixed_name => Start::Begin,
        RunState::Published if window(found) == window(new) => Start::AlreadyPublished,
        RunState::Published => Start::OtherWindow,
    }
}

fn window(record: &RunRecord) -> (Option<UtcInstant>, Option<UtcInstant>) {
    (record.window_start, record.window_end)
}

/// A run's window, for a person.
pub fn window_text(record: &RunRecord) -> String {
    let side = |at: Option<UtcInstant>| at.map_or_else(|| "open".to_owned(), |at| at.to_string());
    format!(
        "{} to {}",
        side(record.window_start),
        side(record.window_end)
    )
}

#[cfg(test)]
mod tests {
    use super::super::work_dir::tests::record;
    use super::*;

    const FIXED: StartOptions = StartOptions {
        fresh: false,
        fixed_name: true,
    };
    const STAMPED: StartOptions = StartOptions {
        fresh: false,
        fixed_name: false,
    };
    const FRESH: StartOptions = StartOptions {
        fresh: true,
        fixed_name: true,
    };

    fn until_1970() -> RunRecord {
        RunRecord {
            window_end: UtcInstant::from_ticks(0),
            ..record("a")
        }
    }

    fn published() -> RunRecord {
        RunRecord {
            state: RunState::Published,
            ..record("a")
        }
    }

    #[test]
    fn without_a_run_one_begins_and_an_unfinished_one_is_continued() {
        for options in [FIXED, STAMPED] {
            assert_eq!(decide(None, &record("a"), options), Start::Begin);
            let found = record("a");
            assert_eq!(decide(Some(&found), &record("a"), options), Start::Resume);
        }
    }

    #[test]
    fn an_unfinished_run_keeps_its_window() {
        let later = until_1970();
        assert_eq!(decide(Some(&record("a")), &later, FIXED), Start::Resume);
    }

    #[test]
    fn other_settings_are_refused_whatever_became_of_the_run() {
        for found in [record("a"), published()] {
            let start = decide(Some(&found), &record("b"), FIXED);
            assert_eq!(start, Start::OtherSettings);
        }
    }

    #[test]
    fn what_is_published_is_published() {
        let start = |new, options| decide(Some(&published()), &new, options);
        assert_eq!(start(record("a"), FIXED), Start::AlreadyPublished);
        assert_eq!(start(record("a"), STAMPED), Start::Begin);
        for (window_start, window_end) in [
            (UtcInstant::from_ticks(0), None),
            (None, UtcInstant::from_ticks(0)),
        ] {
            let other = RunRecord {
                window_start,
                window_end,
                ..record("a")
            };
            assert_eq!(start(other, FIXED), Start::OtherWindow);
        }
    }

    #[test]
    fn fresh_starts_over_whatever_is_there() {
        for found in [record("a"), record("b"), published()] {
            assert_eq!(decide(Some(&found), &record("a"), FRESH), Start::Begin);
        }
    }

    #[test]
    fn a_window_is_shown_with_both_ends() {
        assert_eq!(window_text(&until_1970()), "open to 1970-01-01T00:00:00Z");
    }
}
