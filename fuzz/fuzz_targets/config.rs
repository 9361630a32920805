//! A configuration is understood or refused with a sentence.
#![no_main]

use gleaner::config::{Layers, validate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(layers) = Layers::default().text("config.toml", text) else {
        return;
    };
    match validate(&layers, &[]) {
        Ok(settings) => {
            // What is accepted is accepted again.
            let again = validate(&layers, &[]).expect("as before");
            assert_eq!(format!("{settings:?}"), format!("{again:?}"));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
