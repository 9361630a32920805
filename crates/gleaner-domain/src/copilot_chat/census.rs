//! Conversations as a census counts them: of each request what decides whether it is a turn, as a
//! cluster has summarized it. The rule is that of the rows themselves.

use super::event::EventKind;
use super::header::{Mode, TelemetryHeader};
use super::membership::{MembershipRules, Outcome, decide};
use super::row::id_hash;
use crate::json::{JsonError, Kind, Scanner, Value, number, text};
use crate::record::fields::key_text;
use crate::record::timestamp::Ticks;
use crate::selection::group::GroupMark;

/// 1970-01-01 in ticks since the year 1, from which Kusto counts.
const UNIX_EPOCH: i64 = 621_355_968_000_000_000;

/// How many turns a conversation has whose requests a census lists, and its group; `None` if it is not whole.
///
/// `requests` is a JSON array. Each element (an object, or a text that holds one) has `id`, empty where
/// the rows do not name it; `begun`, in ticks since the year 1; `first` and `last`, the least and the
/// greatest position of its rows, or none in range; `agent` and `other`, how many rows name each mode; where groups
/// decide the split, `group`: what the first name of its rows leaves divided by 100, or a number below 0.
///
/// # Errors
/// If it is anything else.
pub fn turns(
    requests: &[u8],
    rules: &MembershipRules,
) -> Result<Option<(u32, GroupMark)>, JsonError> {
    let mut headers = Vec::new();
    let mut scanner = Scanner::new(requests);
    scanner.each_element(|scanner| {
        let value = scanner.value()?;
        match value.kind {
            Kind::String => {
                let mut inner = Vec::new();
                text::decode(value.string_body().unwrap_or_default(), &mut inner);
                add(&inner, &mut headers)
            }
            _ => add(value.text, &mut headers),
        }
    })?;
    scanner.end()?;
    let decided = decide(&headers, rules);
    Ok(match decided.outcome {
        Outcome::Complete { turns } => Some((turns, decided.group(&headers))),
        Outcome::Faulty(_) | Outcome::Filtered(_) => None,
    })
}

/// What is known of a request.
#[derive(Default)]
struct Request {
    id: i64,
    begun: Ticks,
    first: i64,
    last: i64,
    agent: i64,
    other: i64,
    group: GroupMark,
}

/// Adds headers that say of a request what its rows say.
fn add(object: &[u8], headers: &mut Vec<TelemetryHeader>) -> Result<(), JsonError> {
    let mut request = Request::default();
    let mut scanner = Scanner::new(object);
    scanner.each_member(|key, scanner| {
        let value = scanner.value()?;
        match &*key_text(key) {
            b"id" => {
                let id = key_text(&value);
                request.id = if id.is_empty() { 0 } else { id_hash(&id) };
            }
            b"begun" => request.begun = integer(&value).saturating_sub(UNIX_EPOCH),
            b"first" => request.first = integer(&value),
            b"last" => request.last = integer(&value),
            b"agent" => request.agent = integer(&value),
            b"other" => request.other = integer(&value),
            b"group" => request.group = GroupMark::of_residue(integer(&value)),
            _ => {}
        }
        Ok(())
    })?;
    scanner.end()?;
    let mode = match (request.other, request.agent) {
        (1.., _) => Mode::Other,
        (_, 1..) => Mode::Agent,
        _ => Mode::Unknown,
    };
    let position = |at: i64| u32::try_from(at).unwrap_or(0);
    let last = position(request.last);
    // Without any position the least is whatever the query says of none.
    let first = if last == 0 {
        0
    } else {
        position(request.first)
    };
    let mut positions = vec![first, last];
    positions.dedup();
    for position in positions {
        headers.push(TelemetryHeader {
            at: request.begun,
            request: request.id,
            call: 0,
            // Each is one of its own.
            content: headers.len() as u64,
            position,
            event: EventKind::UserText,
            mode,
            group: request.group,
        });
    }
    Ok(())
}

fn integer(value: &Value<'_>) -> i64 {
    number::integer(value.text).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(id: &str, begun: i64, first: i64, last: i64, agent: u32, other: u32) -> String {
        let begun = begun + UNIX_EPOCH;
        format!(
            r#"{{"id":"{id}","begun":{begun},"first":{first},"last":{last},"agent":{agent},"other":{other}}}"#
        )
    }

    fn turns_of(requests: &[String]) -> Option<u32> {
        let list = format!("[{}]", requests.join(","));
        let found = turns(list.as_bytes(), &MembershipRules::ALL).expect("a list");
        // Some engines give texts.
        let texts: Vec<String> = requests.iter().map(|r| format!("{r:?}")).collect();
        let texts = format!("[{}]", texts.join(", "));
        let of_texts = turns(texts.as_bytes(), &MembershipRules::ALL).expect("a list");
        assert_eq!(found, of_texts);
        let (turns, group) = found?;
        assert_eq!(group, GroupMark::ABSENT, "nothing asks for it");
        Some(turns)
    }

    #[test]
    fn the_first_turn_that_names_a_group_decides() {
        let with = |place: i64, group: i64| {
            let id = ["a", "b", "c", "d"][place as usize - 1];
            let request = request(id, 10 * place, place, place, 1, 0);
            request.replace('}', &format!(",\"group\":{group}}}"))
        };
        let replaced = request("x", 5, 1, 1, 1, 0).replace('}', ",\"group\":7}");
        for (requests, group) in [
            (vec![with(1, -1), with(2, 51), with(3, 52)], Some(51)),
            (vec![with(3, 52), with(2, 51), with(1, 0)], Some(0)),
            (vec![with(1, -1)], None),
            (vec![replaced, with(1, -1), with(2, 8)], Some(8)),
        ] {
            let list = format!("[{}]", requests.join(","));
            let found = turns(list.as_bytes(), &MembershipRules::ALL).expect("a list");
            let (_, found) = found.expect("whole");
            assert_eq!(found.residue(), group, "{list}");
        }
    }

    #[test]
    fn requests_are_turns_by_the_rule_of_rows() {
        let [a, b, c] = ["a", "b", "c"].map(|id| {
            let place = i64::from(id.as_bytes()[0] - b'a') + 1;
            request(id, 10 * place, place, place, 1, 0)
        });
        let whole = [c.clone(), a.clone(), b.clone()];
        assert_eq!(turns_of(&whole), Some(3), "in any order");
        assert_eq!(turns_of(&[a.clone(), c.clone()]), None, "a gap");
        let again = request("d", 40, 2, 2, 1, 0);
        assert_eq!(turns_of(&[a.clone(), b.clone(), c, again]), Some(2));
        for (odd, turns) in [
            (request("d", 30, 3, 4, 1, 0), None),
            (request("d", 30, 3, 3, 1, 1), None),
            (request("d", 30, 3, 3, 0, 0), None),
            // It has no place, or no id.
            (request("d", 30, 4_294_967_295, 0, 1, 0), Some(2)),
            (request("", 30, 3, 3, 1, 0), Some(2)),
        ] {
            assert_eq!(
                turns_of(&[a.clone(), b.clone(), odd.clone()]),
                turns,
                "{odd}"
            );
        }
        assert_eq!(turns_of(&[]), None);
    }

    #[test]
    fn what_is_no_list_of_requests_is_an_error() {
        for odd in ["", "{}", "[1]", "[\"x\"]", "[{}", "[{}] x"] {
            assert!(
                turns(odd.as_bytes(), &MembershipRules::ALL).is_err(),
                "{odd}"
            );
        }
    }
}
