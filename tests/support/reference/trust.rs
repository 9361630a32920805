//! What is done so that records may be trained on, from TRUST.md: names of users, texts of benchmarks.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::Asked;
use super::json::{Object, as_text, is_missing};
use super::near_duplicates::words;

/// `privacy.users`
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Users {
    Keep,
    Pseudonym,
    Drop,
}

/// The key of pseudonyms.
pub const KEY: &[u8] = b"a key of thirty-two bytes or more";

/// What is planted where secrets are redacted: the form of a key of AWS, in two parts, as it is none.
pub fn planted_secret() -> String {
    ["AKIA", "QX7B2ZK4M3WJ5T6D"].concat()
}

/// A record as it leaves. Members stand without white space, and userName is never the first.
pub fn written(record: String, asked: &Asked) -> String {
    let record = match asked.redacts {
        true => redacted(&record),
        false => record,
    };
    let object: Object = serde_json::from_str(&record).expect("checked");
    let Some(name) = object
        .get("userName")
        .filter(|_| asked.users != Users::Keep)
    else {
        return record;
    };
    let member = format!(",\"userName\":{}", name.get());
    assert_eq!(record.matches(",\"userName\":").count(), 1, "{record}");
    match asked.users {
        Users::Drop => record.replace(&member, ""),
        _ if is_missing(Some(name)) => record,
        _ => {
            let text = as_text(Some(name)).unwrap_or_else(|| name.get().to_owned());
            let mac = hmac(format!("userName\0{text}").as_bytes());
            let digits: String = mac[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            record.replace(&member, &format!(",\"userName\":\"user_{digits}\""))
        }
    }
}

/// Without the secret that was planted.
fn redacted(record: &str) -> String {
    let secret = planted_secret();
    let mac = hmac(format!("aws-access-key-id\0{secret}").as_bytes());
    let digits: String = mac[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    record.replace(&secret, &format!("<AWS_KEY_{digits}>"))
}

/// HMAC-SHA256 by [`KEY`], as RFC 2104 has it.
fn hmac(text: &[u8]) -> Vec<u8> {
    let padded = |with: u8| {
        let mut block = [with; 64];
        block
            .iter_mut()
            .zip(KEY)
            .for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new_with_prefix(padded(0x36)).chain_update(text);
    let outer = Sha256::new_with_prefix(padded(0x5c)).chain_update(inner.finalize());
    outer.finalize().to_vec()
}

/// Whether 13 words in a row of a record are 13 words in a row of the benchmark.
pub fn is_contaminated(record: &str, asked: &Asked) -> bool {
    let Some(benchmark) = &asked.benchmark else {
        return false;
    };
    let benchmark: Vec<_> = (benchmark.split_whitespace())
        .map(str::to_lowercase)
        .collect();
    let runs: BTreeSet<_> = benchmark.windows(13).collect();
    words(record).windows(13).any(|run| runs.contains(run))
}
