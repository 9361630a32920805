//! Lists that cannot be used, and lists that changed.

use super::{id, turns};
use crate::support::Sandbox;
use crate::support::reference::Asked;

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("in/a.jsonl", turns());
    sandbox
}

#[test]
fn a_list_that_cannot_be_read_is_refused_with_what_to_do() {
    let sandbox = sandbox();
    sandbox.write("latin1", b"a\n# \xe9\n");
    for (file, says) in [
        ("missing", "it cannot be read: No such file"),
        ("in", "it cannot be read: Is a directory"),
        ("latin1", "line 2 is not UTF-8; save the file as UTF-8"),
    ] {
        let run = sandbox.export(&Asked::new("s", 3), &["--exclude", file]);
        run.says(2, &["selection.exclude", file, says]);
    }
    assert!(!sandbox.path("work").exists() && !sandbox.path("out").exists());
}

#[test]
fn users_are_not_sought_on_a_cluster() {
    let sandbox = sandbox();
    sandbox.write("list", "userName:ann\n");
    let run = sandbox.run(&[
        "plan",
        "--exclude",
        "list",
        "--set",
        "source.kind=kusto",
        "--set",
        "source.kusto.cluster=https://c.westeurope.kusto.windows.net",
    ]);
    let said = run.says(
        2,
        &["it names users", "list the conversations' ids instead"],
    );
    assert!(!said.contains("ann"), "{said}");
}

#[test]
fn a_list_that_changed_is_another_run_and_one_that_says_the_same_is_not() {
    let sandbox = sandbox();
    let [one, two] = [id(1), id(2)];
    sandbox.write("list", format!("{one}\n{two}\n"));
    let export = || sandbox.export(&Asked::new("s", 2), &["--exclude", "list"]);
    export().expect(3);
    sandbox.write("list", format!("# again\n{two}\n\n{one}\n"));
    let again = export();
    again.expect(3);
    assert_eq!(again.json()["already_published"], true);
    sandbox.write("list", format!("{one}\n"));
    let refused = export();
    let said = refused.says(2, &["selection.exclude: ", "other settings"]);
    assert!(!said.contains("retracted"), "{said}");
}

#[test]
fn a_plan_reads_the_list_and_leaves_nothing() {
    let sandbox = sandbox();
    sandbox.write("list", format!("{}\n", id(1)));
    sandbox
        .run(&[
            "plan",
            "--input",
            "in",
            "--targets",
            "all",
            "--exclude",
            "list",
        ])
        .expect(0);
    assert!(!sandbox.path(".gleaner").exists());
}
