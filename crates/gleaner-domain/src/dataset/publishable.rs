//! Whether what was gathered makes a dataset: without one valid record there is none, and the counts say
//! why. Pure.

use std::collections::BTreeMap;

use crate::dataset::accounting::{FilterReason, Population};

/// First turns that are named at most; the others are summed up by the counts themselves.
const NAMED: usize = 3;

/// What a decision is made from.
#[derive(Debug, Default)]
pub struct Gathered<'a> {
    /// Valid records in all strata.
    pub records: u64,
    /// Counts of rows and conversations.
    pub population: Population,
    /// Malformed rows by the name of their reason.
    pub malformed: BTreeMap<String, u64>,
    /// The first malformed row: where it is and what is wrong with it.
    pub first_malformed: Option<String>,
    /// What the rows themselves say, a sentence each: other modes, no user message.
    pub explained: Vec<String>,
    /// Conversations that do not begin at turn 1, by their first turn.
    pub first_turns: BTreeMap<i64, u64>,
    /// Invalid records.
    pub invalid: u64,
    /// Their codes; a record may have several.
    pub codes: BTreeMap<&'a str, u64>,
}

/// Why there is nothing to publish; `None` if there is something. Never empty.
pub fn why_nothing(gathered: &Gathered<'_>) -> Option<Vec<String>> {
    if gathered.records > 0 {
        return None;
    }
    let mut reasons = Vec::new();
    if gathered.population.rows_read == Some(0) {
        reasons.push("the input has no rows".to_owned());
    }
    rows(gathered, &mut reasons);
    conversations(gathered, &mut reasons);
    if gathered.invalid > 0 {
        let codes = gathered.codes.iter();
        let codes = codes.map(|(code, count)| format!("{code} {count}"));
        reasons.push(format!(
            "{} invalid: {}",
            number(gathered.invalid, "record", "records"),
            codes.collect::<Vec<_>>().join(", ")
        ));
    }
    if reasons.is_empty() {
        reasons.push("no conversation was found".to_owned());
    }
    Some(reasons)
}

fn rows(gathered: &Gathered<'_>, reasons: &mut Vec<String>) {
    let malformed: u64 = gathered.malformed.values().sum();
    if malformed > 0 {
        let of_reason = gathered.malformed.iter();
        let of_reason = of_reason.map(|(reason, count)| format!("{reason} {count}"));
        reasons.push(format!(
            "{} malformed: {}",
            number(malformed, "row is", "rows are"),
            of_reason.collect::<Vec<_>>().join(", ")
        ));
        if let Some(first) = &gathered.first_malformed {
            reasons.push(format!("the first malformed row is {first}"));
        }
    }
    reasons.extend(gathered.explained.iter().cloned());
    for (reason, &count) in &gathered.population.filtered_by {
        let (one, many, what) = match reason {
            // The rows have said which.
            FilterReason::Mode if !gathered.explained.is_empty() => continue,
            FilterReason::Mode => ("row has", "rows have", "another mode than \"agent\""),
            FilterReason::Window => ("row is", "rows are", "outside the window"),
            FilterReason::IgnoredIds => ("row has", "rows have", "an id in source.ignore_ids"),
            FilterReason::OtherEvents => ("row is", "rows are", "of other events"),
            FilterReason::Excluded => ("row is", "rows are", "named by selection.exclude"),
        };
        reasons.push(format!("{} {what}", number(count, one, many)));
    }
}

fn conversations(gathered: &Gathered<'_>, reasons: &mut Vec<String>) {
    let population = &gathered.population;
    let mut incomplete = population.incomplete.unwrap_or(0);
    let mut first_turns: Vec<_> = gathered.first_turns.iter().collect();
    first_turns.sort_by_key(|&(turn, &count)| (std::cmp::Reverse(count), turn));
    for (turn, &count) in first_turns.into_iter().take(NAMED) {
        incomplete = incomplete.saturating_sub(count);
        reasons.push(format!(
            "{} at turn {turn}, wanted 1",
            number(count, "conversation starts", "conversations start")
        ));
    }
    let counted = [
        (population.excluded, "named by selection.exclude"),
        (population.damaged, "damaged by malformed rows"),
        (
            population.cut_by_mode,
            "cut by the mode: some turns have another one",
        ),
        (population.cut_by_window, "cut by the window"),
        (
            Some(incomplete),
            "incomplete: they do not start at turn 1, or turns are missing",
        ),
        (
            Some(population.out_of_range),
            "in no bucket: too few or too many turns",
        ),
        (
            Some(population.no_target),
            "in a split and bucket without a target",
        ),
    ];
    for (count, what) in counted {
        if let Some(count) = count.filter(|&count| count > 0) {
            reasons.push(format!(
                "{} {what}",
                number(count, "conversation is", "conversations are")
            ));
        }
    }
}

fn number(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(gathered: &Gathered<'_>) -> Vec<String> {
        why_nothing(gathered).expect("nothing")
    }

    #[test]
    fn one_valid_record_is_a_dataset() {
        let gathered = Gathered {
            records: 1,
            invalid: 100,
            ..Gathered::default()
        };
        assert_eq!(why_nothing(&gathered), None);
    }

    #[test]
    fn what_the_rows_say_stands_for_the_count() {
        let mut gathered = Gathered::default();
        gathered.population.filtered_by = BTreeMap::from([(FilterReason::Mode, 240)]);
        assert_eq!(
            why(&gathered),
            ["240 rows have another mode than \"agent\""]
        );
        gathered.explained = vec!["240 rows have mode \"Agent\", wanted \"agent\"".to_owned()];
        assert_eq!(why(&gathered), gathered.explained);
    }

    #[test]
    fn conversations_and_records_say_what_is_wrong_with_them() {
        let mut gathered = Gathered {
            first_turns: BTreeMap::from([(0, 60)]),
            ..Gathered::default()
        };
        gathered.population.incomplete = Some(61);
        assert_eq!(
            why(&gathered),
            [
                "60 conversations start at turn 0, wanted 1",
                "1 conversation is incomplete: they do not start at turn 1, or turns are missing",
            ]
        );
        let gathered = Gathered {
            invalid: 200,
            codes: BTreeMap::from([("missing_field:bucket", 200)]),
            ..Gathered::default()
        };
        assert_eq!(
            why(&gathered),
            ["200 records invalid: missing_field:bucket 200"]
        );
    }

    #[test]
    fn there_is_always_a_reason() {
        let mut gathered = Gathered::default();
        assert_eq!(why(&gathered), ["no conversation was found"]);
        gathered.population.rows_read = Some(0);
        assert_eq!(why(&gathered), ["the input has no rows"]);
        gathered.malformed = BTreeMap::from([("not_json".to_owned(), 1)]);
        gathered.population.rows_read = Some(1);
        gathered.population.damaged = Some(1);
        assert_eq!(
            why(&gathered),
            [
                "1 row is malformed: not_json 1",
                "1 conversation is damaged by malformed rows",
            ]
        );
    }
}
