//! A third party's engine, which really runs the queries over rows that it loads as a table.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use crate::support::cloud::tool;
use crate::support::{Run, Sandbox};

/// A third party's engine with a table of rows, which ends with the test.
pub struct Endpoint {
    process: Child,
    cluster: String,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A table, and the script that loads rows of JSON lines as `events.parquet`.
pub struct Table {
    name: &'static str,
    load: &'static str,
    json_columns: &'static str,
}

/// One row a turn.
pub const AGENT_TURNS: Table = Table {
    name: "AgentTurnEvents",
    load: LOAD,
    json_columns: "trajectory",
};

/// Rows of Copilot Chat telemetry.
pub const APP_EVENTS: Table = Table {
    name: "AppEvents",
    load: LOAD_APP_EVENTS,
    json_columns: "Properties,Measurements",
};

const LOAD: &str = "
import duckdb, sys
connection = duckdb.connect()
connection.execute(\"SET TimeZone='UTC'\")
text = ['conversationId', 'userName', 'mode', 'userMessage', 'modelMessage']
number = ['turnIndex', 'promptTokens', 'completionTokens', 'llmCallCount']
columns = {'Timestamp': 'VARCHAR', 'trajectory': 'JSON', **{c: 'VARCHAR' for c in text}, **{c: 'BIGINT' for c in number}}
spec = ', '.join(f\"{name}: '{kind}'\" for name, kind in columns.items())
kept = ', '.join(text + number)
connection.execute(f\"\"\"copy (select Timestamp::TIMESTAMPTZ::TIMESTAMP as Timestamp, {kept}, trajectory::VARCHAR as trajectory
    from read_json('{sys.argv[1]}', columns={{{spec}}}, format='newline_delimited')) to 'events.parquet' (format parquet)\"\"\")
";

/// The engine takes no lone half of a character in JSON: it is replaced in what files have, too. Its times
/// have microseconds.
const LOAD_APP_EVENTS: &str = r#"
import duckdb, re, sys
PAIR = re.compile(r'\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}')
LONE = re.compile(r'\\u[dD][89a-fA-F][0-9a-fA-F]{2}')
with open(sys.argv[1], encoding='utf-8') as raw, open('rows.jsonl', 'w', encoding='utf-8') as out:
    for line in raw:
        out.write(LONE.sub(r'\\ufffd', PAIR.sub('x', line)))
connection = duckdb.connect()
connection.execute("SET TimeZone='UTC'")
connection.execute("""copy (select TimeGenerated::TIMESTAMPTZ::TIMESTAMP as TimeGenerated, Name, Properties::VARCHAR as Properties, Measurements::VARCHAR as Measurements, ItemCount
    from read_json('rows.jsonl', columns={TimeGenerated: 'VARCHAR', Name: 'VARCHAR', Properties: 'JSON', Measurements: 'JSON', ItemCount: 'INTEGER'}, format='newline_delimited', maximum_object_size=100000000)) to 'events.parquet' (format parquet)""")
"#;

impl Endpoint {
    /// Serves the rows of these files.
    pub fn start(sandbox: &Sandbox, shared: &str, input: &str, table: &Table) -> Self {
        let python = tool("GLEANER_TEST_PYTHON");
        let loaded = Command::new(&python)
            .args(["-c", table.load, input])
            .current_dir(sandbox.path(""))
            .status();
        assert!(loaded.expect("Python runs").success());
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let mut process = Command::new(&python)
            .arg(format!("{shared}/kusto/standin/standin.py"))
            .args(["--port", &port.to_string(), "--gzip"])
            .args(["--sql", "SET memory_limit='2GB'; SET threads=1"])
            .arg("--table")
            .arg(format!(
                "{}=events.parquet:{}",
                table.name, table.json_columns
            ))
            .current_dir(sandbox.path(""))
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python runs");
        let out = process.stdout.take().expect("its output");
        let endpoint = Self {
            process,
            cluster: format!("source.kusto.cluster=http://127.0.0.1:{port}"),
        };
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert!(line.starts_with("listening"), "{line}");
        endpoint
    }

    /// The digest of what two passes and one give, which must be what the files give.
    pub fn agrees_with_files(
        &self,
        sandbox: &Sandbox,
        schema: &str,
        name: &str,
        input: &str,
        more: &[&str],
    ) -> Run {
        let export = |suffix: &str, source: &[&str]| {
            let name = format!("{name}-{suffix}");
            let mut args = vec!["export", "--name", &name, "--out", "out"];
            args.extend(["--progress", "none", "--json"]);
            args.extend(["--set", "sink.sort_keys=always"]);
            args.extend(more);
            args.extend(source);
            sandbox.run(&args)
        };
        let files = export("files", &["--input", input]);
        let kusto = [
            "--set",
            "source.kind=kusto",
            "--schema",
            schema,
            "--set",
            &self.cluster,
        ];
        let thresholds = [
            "--chunks",
            "2",
            "--set",
            "source.kusto.census_mode=thresholds",
        ];
        let ways = [
            ("two", &["--chunks", "6"][..]),
            ("one", &["--chunks", "4", "--set", "source.kusto.passes=1"]),
            ("thresholds", &thresholds),
        ];
        // Of telemetry a census is always full.
        let ways = ways.into_iter().take(if schema == "turns" { 3 } else { 2 });
        for (suffix, more) in ways {
            let args: Vec<&str> = kusto.iter().chain(more).copied().collect();
            let run = export(suffix, &args);
            assert_eq!(run.code, files.code, "{name}-{suffix}: {}", run.stderr);
            if files.code != Some(1) {
                let digest = |run: &Run| run.json()["content_sha256"].clone();
                assert_eq!(digest(&run), digest(&files), "{name}-{suffix}");
            }
        }
        files
    }
}

pub fn engine_shared() -> Option<String> {
    let shared = std::env::var("GLEANER_SHARED").ok();
    if shared.is_none() {
        eprintln!("GLEANER_SHARED is not set: the queries were not run on an engine");
    }
    shared
}
