//! Numbers with their nouns and units.

use bytesize::ByteSize;

/// `64.0 MB`: bytes in units of powers of ten.
pub fn size(bytes: u64) -> String {
    ByteSize::b(bytes).display().si().to_string()
}

/// `1 file`, `2 files`, `0 files`; a noun in `y` or a sibilant takes its own plural.
pub fn count(number: u64, noun: &str) -> String {
    if number == 1 {
        format!("1 {noun}")
    } else {
        format!("{number} {}", plural(noun))
    }
}

fn plural(noun: &str) -> String {
    let before_y = noun.strip_suffix('y');
    match before_y {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{stem}ies"),
        _ if noun == "stratum" => "strata".to_owned(),
        _ if noun.ends_with('s') || noun.ends_with("ch") || noun.ends_with('x') => {
            format!("{noun}es")
        }
        _ => format!("{noun}s"),
    }
}

/// The noun of an event kind for so many of it: `lease_losses` is `lease loss` for one.
pub fn of_kind(number: u64, kind: &str) -> String {
    let words = kind.replace('_', " ");
    let single = match words.as_str() {
        "missing" => return format!("{number} missing"),
        "rebuilds" | "restarts" | "requeues" | "splits" | "actor exits" | "throttles" => {
            words.trim_end_matches('s').to_owned()
        }
        "census refetches" => "census refetch".to_owned(),
        other => match other.strip_suffix("losses") {
            Some(stem) => format!("{stem}loss"),
            None => other.strip_suffix('s').unwrap_or(other).to_owned(),
        },
    };
    count(number, &single)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::events::KINDS;

    #[test]
    fn one_is_one_and_others_are_many() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(count(2, "query"), "2 queries");
        assert_eq!(count(2, "day"), "2 days");
        assert_eq!(count(3, "batch"), "3 batches");
        assert_eq!(count(2, "lease loss"), "2 lease losses");
    }

    #[test]
    fn every_kind_of_event_reads_right_for_one_and_for_two() {
        for kind in KINDS {
            let words = kind.replace('_', " ");
            assert_eq!(of_kind(2, kind), format!("2 {words}"));
            if kind != "missing" {
                assert!(!of_kind(1, kind).ends_with("ses"), "{kind}");
                assert_ne!(of_kind(1, kind), format!("1 {words}"), "{kind}");
            }
        }
        assert_eq!(of_kind(1, "lease_losses"), "1 lease loss");
        assert_eq!(of_kind(1, "actor_exits"), "1 actor exit");
    }
}
