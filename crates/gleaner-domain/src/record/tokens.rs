//! How many tokens a record says it has.

use super::fields::Field;
use crate::json::number;
use crate::json::{JsonError, MAX_DEPTH, Scanner};

/// The sum of a record's `promptTokens` and `completionTokens`; `None` if it says neither, or
/// nothing above 0.
pub fn tokens(record: &[u8]) -> Option<u64> {
    read(record).ok().filter(|tokens| *tokens > 0)
}

fn read(record: &[u8]) -> Result<u64, JsonError> {
    let mut scanner = Scanner::with_max_depth(record, MAX_DEPTH + 2);
    let mut sum = 0u64;
    scanner.each_member(|key, scanner| {
        let value = scanner.value()?;
        if let Some(Field::PromptTokens | Field::CompletionTokens) = Field::named(key) {
            let count = number::integer(value.text).and_then(|n| u64::try_from(n).ok());
            sum = sum.saturating_add(count.unwrap_or(0));
        }
        Ok(())
    })?;
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_summed_and_those_of_turns_are_not() {
        let record = br#"{"promptTokens": 40, "turnsArray": [{"promptTokens": 7}], "completionTokens": 2.0}"#;
        assert_eq!(tokens(record), Some(42));
        assert_eq!(
            tokens(br#"{"promptTokens": -3, "completionTokens": 5}"#),
            Some(5)
        );
        for without in [
            "{}",
            r#"{"promptTokens": "4"}"#,
            r#"{"promptTokens": 0}"#,
            "[",
        ] {
            assert_eq!(tokens(without.as_bytes()), None, "{without}");
        }
    }

    #[test]
    fn a_record_is_nested_two_levels_deeper_than_a_row_may_be() {
        let nested = |depth: usize| {
            let inner = "[".repeat(depth - 1) + &"]".repeat(depth - 1);
            tokens(format!("{{\"promptTokens\":3,\"x\":{inner}}}").as_bytes())
        };
        assert_eq!(nested(MAX_DEPTH as usize + 2), Some(3));
        assert_eq!(nested(MAX_DEPTH as usize + 3), None);
    }
}
