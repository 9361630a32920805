//! Deliveries of one turn that differ only where the rule for ties does not look: whichever of them
//! is taken, it must not depend on the order in which they arrive.

use crate::support::reference::Asked;
use crate::support::{Sandbox, corpus};

/// Exports the rows in this order and gives the dataset's digest.
fn digest(rows: &[String]) -> String {
    let rows: Vec<Vec<u8>> = rows.iter().map(|row| row.clone().into_bytes()).collect();
    let sandbox = Sandbox::new();
    sandbox.write_input(&corpus::in_files(&rows, 2, "a"));
    sandbox.export(&Asked::new("s", 1000), &[]).expect(3);
    sandbox.dataset().digest()
}

#[track_caller]
fn order_does_not_matter(one: &str, other: &str) {
    let mut rows = Vec::new();
    for id in 0..20 {
        for turn in 1..=3 {
            for more in [one, other] {
                rows.push(format!(
                    r#"{{"Timestamp":"2025-01-01T00:00:00Z","conversationId":"c{id}","mode":"agent","turnIndex":{turn},"userMessage":"u","modelMessage":"m","promptTokens":1,"completionTokens":1,{more}}}"#
                ));
            }
        }
    }
    let forward = digest(&rows);
    rows.reverse();
    assert_eq!(digest(&rows), forward, "{one} and {other}");
}

#[test]
fn white_space_inside_nested_values() {
    order_does_not_matter(
        r#""userName":"n","trajectory":[1,2]"#,
        r#""userName":"n","trajectory":[1, 2]"#,
    );
}

#[test]
fn the_order_of_keys_and_the_escapes_inside_nested_values() {
    order_does_not_matter(
        r#""userName":"n","trajectory":{"a":1,"b":"x"}"#,
        r#""userName":"n","trajectory":{"b":"\u0078","a":1}"#,
    );
}

#[test]
fn a_user_who_is_a_number_and_one_who_is_its_text() {
    order_does_not_matter(r#""userName":7"#, r#""userName":"7""#);
}

#[test]
fn fields_in_another_order_and_escaped() {
    order_does_not_matter(
        r#""userName":"n","trajectory":[]"#,
        r#""trajectory" : [], "user\u004eame":"\u006e""#,
    );
}
