//! A published dataset as others read it: the official Python client, pandas, DuckDB, datasets.

use std::process::Command;

use crate::support::blob::{Blob, SIGNATURE, emulator, in_a_folder};
use crate::support::cloud::tool;
use crate::support::{Run, Sandbox};

#[test]
#[ignore = "needs Azurite and Python: run ./test.sh"]
fn others_read_what_a_folder_would_have_got() {
    for format in ["json", "jsonl"] {
        let sandbox = Sandbox::new();
        let blob = Blob::new(&sandbox, emulator(), &format!("read-{format}"));
        let format = ["--format", format];
        in_a_folder(&sandbox, &format);
        blob.export(&format).expect(0);
        let mut python = Command::new(tool("GLEANER_TEST_PYTHON"));
        python
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/tools/read_back.py"
            ))
            .arg(format!("{}/{}", blob.endpoint, blob.container))
            .arg("some/prefix/d/")
            .arg(sandbox.path("out/d"))
            .env("SIGNATURE", SIGNATURE)
            .current_dir(sandbox.path(""));
        let run = Run::from(python.output().expect("Python"));
        run.expect(0);
        let seen = run.json();
        assert_eq!(seen["records"], 76, "{seen}");
        assert_eq!(seen["splits"], serde_json::json!(["test", "train", "val"]));
        // Nine files, two reports, the card, the sums, the manifest.
        assert_eq!(seen["files"], 14, "{seen}");
    }
}
