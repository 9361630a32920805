//! A line is read exactly if `serde_json` reads it, and what an event becomes is JSON again that the
//! rules judge as they judge its parts.
#![no_main]

use std::sync::LazyLock;

use gleaner::config::{Layers, validate as settings_of};
use gleaner::domain::json;
use gleaner::domain::record::assembler::{Assembler, Nested};
use gleaner::domain::record::row;
use gleaner::domain::record::row::{MalformedReason, RowKind};
use gleaner::domain::record::validation::validate;
use gleaner::domain::selection::stratum::Selection;
use libfuzzer_sys::fuzz_target;
use serde::Deserialize;

static SELECTION: LazyLock<Selection> = LazyLock::new(|| {
    let layers = Layers::default().text("t", "[source]\nkind = 'synthetic'");
    settings_of(&layers.expect("TOML"), &[])
        .expect("the defaults")
        .selection
});

fn is_json(text: &[u8]) -> bool {
    let mut de = serde_json::Deserializer::from_slice(text);
    de.disable_recursion_limit();
    serde::de::IgnoredAny::deserialize(&mut de).is_ok()
        && de.end().is_ok()
        && std::str::from_utf8(text).is_ok()
}

fuzz_target!(|line: &[u8]| {
    let text = row::trim(line);
    if std::str::from_utf8(text).is_err() || text.len() > 1 << 16 {
        return;
    }
    let read = row::read(text, &SELECTION);
    match &read {
        Ok(_) => assert!(is_json(text)),
        Err(malformed) if malformed.reason == MalformedReason::NotJson => assert!(!is_json(text)),
        Err(_) => {}
    }
    let Ok(row) = read else { return };
    let RowKind::Turn { .. } = row.kind else {
        return;
    };
    let Ok(id) = std::str::from_utf8(&row.id) else {
        panic!("an id is UTF-8");
    };
    for nested in [Nested::AsIs, Nested::Sorted] {
        let mut record = Vec::new();
        let prevalidated = Assembler::new(&SELECTION, nested)
            .from_turns(id, [text; 3].into_iter(), &mut record)
            .expect("it was read");
        assert!(json::check(&record).is_ok() || record.len() > text.len());
        let split = &SELECTION.split_of(id.as_bytes()).name;
        let verdict = validate(&record, split, &SELECTION).expect("an object");
        let nothing = verdict.is_valid() && verdict.warnings.is_empty();
        assert!(!prevalidated || nothing);
    }
});
