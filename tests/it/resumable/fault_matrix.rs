//! The matrix of faults in the documentation is that of the code.

use std::fs;

use gleaner::fault;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/faults.md");
const MARK: &str =
    "UPDATE_DOCS=1 cargo test --features fault-injection --test it fault_matrix -->\n";

#[test]
fn the_page_has_the_matrix_of_the_code() {
    let page = fs::read_to_string(PAGE).expect("the page");
    let (text, table) = page.split_once(MARK).expect("the mark");
    let cells = fault::cells().len();
    let wanted = format!("\n{cells} cells.\n\n{}", fault::table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, format!("{text}{MARK}{wanted}")).expect("writable");
    } else {
        assert_eq!(
            table, wanted,
            "run UPDATE_DOCS=1 cargo test --features fault-injection --test it fault_matrix"
        );
    }
}
