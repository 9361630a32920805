//! The description and the survey of a source.

use super::super::clause::{Clause, Verdict};
use crate::domain::scheduling::chunk::Chunk;
use crate::source::{ConversationSource, Survey};

const DESCRIBED: Clause = Clause("describe() is an object with a kind, always the same");
const AGAIN: Clause = Clause("asked again, a survey says the same");
const DISJOINT: Clause = Clause("the chunks of a survey are disjoint");
const KEPT: Clause = Clause("what a survey promises can be kept");

/// Surveys a source, and it again, and a later start of it.
pub(super) async fn surveyed(
    source: &dyn ConversationSource,
    later: &dyn ConversationSource,
) -> Verdict<Survey> {
    let survey = AGAIN.succeeds("survey()", source.survey().await)?;
    for (which, source) in [("the same source", source), ("a later start", later)] {
        let again = AGAIN.succeeds("survey(), asked again,", source.survey().await)?;
        same(which, &survey, &again)?;
    }
    described(source, later)?;
    promises(&survey)?;
    disjoint(&survey.chunks)?;
    Ok(survey)
}

fn same(which: &str, first: &Survey, again: &Survey) -> Verdict {
    AGAIN.check(first.chunks == again.chunks, || {
        let chunks = |survey: &Survey| survey.chunks.len();
        let (first, again) = (chunks(first), chunks(again));
        format!("the chunks of {which} are others ({first} at first, {again} then)")
    })?;
    AGAIN.check(first.input_fingerprints == again.input_fingerprints, || {
        format!("the input fingerprints of {which} is another")
    })?;
    let rest = |survey: &Survey| {
        (
            (survey.self_contained, survey.census, survey.only_complete),
            (
                survey.max_concurrency,
                survey.operation_timeout,
                survey.bytes,
            ),
        )
    };
    AGAIN.check(rest(first) == rest(again), || {
        format!("{which} first said {first:?}, then {again:?}")
    })
}

fn described(source: &dyn ConversationSource, later: &dyn ConversationSource) -> Verdict {
    let described = source.describe();
    let kind = described.get("kind").and_then(serde_json::Value::as_str);
    DESCRIBED.check(kind.is_some_and(|kind| !kind.is_empty()), || {
        format!("it has no text under \"kind\": {described}")
    })?;
    for again in [source.describe(), later.describe()] {
        DESCRIBED.check(again == described, || {
            format!("at first it is {described}, then {again}")
        })?;
    }
    Ok(())
}

fn promises(survey: &Survey) -> Verdict {
    KEPT.check(survey.max_concurrency != Some(0), || {
        "max_concurrency is 0, so nothing can be fetched; None is no limit".to_owned()
    })?;
    KEPT.check(
        survey.operation_timeout.is_none_or(|time| !time.is_zero()),
        || "operation_timeout is no time at all; None is the usual time".to_owned(),
    )?;
    KEPT.check(!survey.chunks.is_empty(), || {
        "there are no chunks; the kit needs a source with rows".to_owned()
    })?;
    for chunk in &survey.chunks {
        let sound = match chunk {
            Chunk::Hash(hash) => hash.index < hash.count && hash.depth == 0,
            Chunk::Piece(piece) => !survey.census && piece.start <= piece.end,
        };
        KEPT.check(sound, || {
            format!("the chunk {chunk:?} cannot be: a hash chunk has an index below its count and depth 0, a piece has its start before its end and no census")
        })?;
    }
    Ok(())
}

fn disjoint(chunks: &[Chunk]) -> Verdict {
    for (number, one) in chunks.iter().enumerate() {
        let clash = chunks[..number].iter().find(|other| overlap(one, other));
        if let Some(other) = clash {
            return DISJOINT.broken(format!("{one} and {other} overlap"));
        }
    }
    Ok(())
}

fn overlap(one: &Chunk, other: &Chunk) -> bool {
    match (one, other) {
        // By the Chinese remainder theorem a hash can be in both if and only if this holds.
        (Chunk::Hash(a), Chunk::Hash(b)) => {
            let modulus = gcd(a.count, b.count);
            a.index % modulus == b.index % modulus
        }
        (Chunk::Piece(a), Chunk::Piece(b)) => {
            one == other || (a.file == b.file && a.start < b.end && b.start < a.end)
        }
        _ => false,
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}
