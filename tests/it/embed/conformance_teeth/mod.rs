//! The conformance kits have teeth: every source and sink here breaks one clause of its contract, and
//! is refused with that clause; without its fault it passes.

mod broken;
mod careless;
mod censuses;
mod sinks;
mod sources;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;

/// What the kit says to something that breaks its contract.
async fn words(kit: impl Future<Output = ()>) -> String {
    match AssertUnwindSafe(kit).catch_unwind().await {
        Ok(()) => "nothing".to_owned(),
        Err(panic) => match panic.downcast::<String>() {
            Ok(words) => *words,
            Err(_) => "a panic without words".to_owned(),
        },
    }
}

/// Expects that the kit refuses it for this clause.
async fn refused(fault: &str, clause: &str, kit: impl Future<Output = ()>) {
    let words = words(kit).await;
    let found = words.contains(&format!("clause: {clause}"));
    assert!(found, "{fault}: not \"{clause}\", but: {words}");
    assert!(
        !words.contains("SECRET"),
        "{fault}: the text of a row: {words}"
    );
}
