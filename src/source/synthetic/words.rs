//! What synthetic dialogues are made of.

pub const VERBS: [&str; 12] = [
    "fix", "rename", "explain", "test", "refactor", "document", "profile", "simplify", "port",
    "review", "split", "cache",
];

pub const OBJECTS: [&str; 14] = [
    "the parser",
    "this function",
    "the login form",
    "our CI pipeline",
    "the SQL query",
    "the retry loop",
    "die Übersetzungen",
    "the 日本語 tests",
    "the cache layer",
    "this panic",
    "the build script",
    "the \"unknown field\" error",
    "C:\\src\\main.rs",
    "the naïve sort 🙂",
];

pub const REASONS: [&str; 8] = [
    "it fails on Windows",
    "the reviewer asked for it",
    "it is too slow for large inputs",
    "nobody understands it any more",
    "the types do not line up",
    "we see timeouts in production",
    "the tests are flaky",
    "I would like to learn how it works",
];

pub const TOOLS: [&str; 6] = [
    "read_file",
    "grep_search",
    "run_in_terminal",
    "apply_patch",
    "list_dir",
    "run_tests",
];

pub const CODE: [&str; 6] = [
    "fn main() {\n    println!(\"{}\", answer());\n}\n",
    "for (i, item) in items.iter().enumerate() {\n\tif item.is_empty() { continue; }\n}\n",
    "SELECT id, name FROM users WHERE name = 'O''Brien';\n",
    "error[E0308]: mismatched types\n  --> src/lib.rs:42:9\n   |\n42 |         \"text\"\n",
    "def test_round_trip(tmp_path):\n    assert load(save(tmp_path)) == {\"a\": 1}\n",
    "- uses: actions/checkout@v4\n  with:\n    fetch-depth: 0\n",
];
