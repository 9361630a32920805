//! How a run of the binary ended.

use std::process::Output;

use serde_json::Value;

/// The exit code and what was printed.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The result of a run with `--json`.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("{e}: {:?} {}{}", self.code, self.stdout, self.stderr))
    }

    /// Expects an exit code; gives what was written to standard error.
    #[track_caller]
    pub fn expect(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        &self.stderr
    }

    /// Expects an exit code, and each of the texts on standard error; gives what was written there.
    #[track_caller]
    pub fn says(&self, code: i32, texts: &[&str]) -> &str {
        let reported = self.expect(code);
        assert_contains(reported, texts);
        reported
    }

    /// Expects an exit code, and each of the texts on standard output.
    #[track_caller]
    pub fn shows(&self, code: i32, texts: &[&str]) {
        self.expect(code);
        assert_contains(&self.stdout, texts);
    }
}

#[track_caller]
fn assert_contains(all: &str, texts: &[&str]) {
    for text in texts {
        assert!(all.contains(text), "no {text:?} in: {all}");
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
