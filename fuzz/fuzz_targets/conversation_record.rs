//! A conversation row that is called prevalidated has no fault; one that is put together from columns
//! stays as it is when it is put together again.
#![no_main]

use std::sync::LazyLock;

use gleaner::config::{Layers, validate as settings_of};
use gleaner::domain::record::assembler::{Assembler, Nested};
use gleaner::domain::record::row;
use gleaner::domain::record::row::RowKind;
use gleaner::domain::record::validation::validate;
use gleaner::domain::selection::stratum::Selection;
use libfuzzer_sys::fuzz_target;

static SELECTION: LazyLock<Selection> = LazyLock::new(|| {
    let layers = Layers::default().text("t", "[source]\nkind = 'synthetic'");
    settings_of(&layers.expect("TOML"), &[])
        .expect("the defaults")
        .selection
});

fuzz_target!(|line: &[u8]| {
    let text = row::trim(line);
    if std::str::from_utf8(text).is_err() {
        return;
    }
    let Ok(row) = row::read(text, &SELECTION) else {
        return;
    };
    let RowKind::Conversation { prevalidated, .. } = row.kind else {
        return;
    };
    let split = &SELECTION.split_of(&row.id).name;
    let verdict = validate(text, split, &SELECTION).expect("an object");
    assert!(!prevalidated || verdict.is_valid() && verdict.warnings.is_empty());
    let assembler = Assembler::new(&SELECTION, Nested::Sorted);
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    assembler
        .from_columns(text, &mut once)
        .expect("it was read");
    // Two levels deeper than a row may be, and then it is no row.
    if row::read(&once, &SELECTION).is_ok() {
        assembler
            .from_columns(&once, &mut twice)
            .expect("it was read");
        assert_eq!(once, twice);
    }
});
