//! Kusto as others see it: Microsoft's language service reads the queries, the official Python
//! client reads the emulator, and a third party's engine runs the queries over real telemetry.
#![cfg(feature = "kusto-emulator")]

use std::process::Command;

use gleaner::domain::record::row::RowShape;
use gleaner::domain::sampling::rank_ranges::{RankRange, RankRanges};
use gleaner::domain::scheduling::chunk::HashChunk;
use gleaner::domain::selection::cut::Cut;
use gleaner::domain::selection::rank::Rank;
use gleaner::domain::selection::stratum::Selection;
use gleaner::source::kusto::query::{
    Asked as AskedIds, CERTIFICATE, COUNTS, GROUP_COUNTS, Reading, Template, Values, counted,
    selected,
};
use gleaner::source::kusto::query_file::SHIPPED;
use gleaner::source::synthetic::settings::Synthetic;
use serde_json::Value;

use super::engine::{AGENT_TURNS, Endpoint, engine_shared};
use crate::support::cloud::tool;
use crate::support::kusto::{CONVERSATIONS, Emulator};
use crate::support::{Run, Sandbox};

/// Those that ask a table of one row a turn: the payload's and the census first.
const TURNS: [(&str, &str); 4] = [SHIPPED[4], SHIPPED[5], SHIPPED[6], SHIPPED[7]];

fn check(sandbox: &Sandbox, files: &[&str]) -> Run {
    let mut args = vec!["queries", "check", "--json"];
    args.extend(files);
    let mut command = sandbox.command(&args);
    command.env("GLEANER_KUSTO_NODE", tool("GLEANER_TEST_NODE"));
    command.output().expect("the binary runs").into()
}

fn selection() -> Selection {
    crate::support::selection(
        "a \"seed\"\\ \n with 🙂 and //",
        &[("train", 83), ("none", 0), ("test", 17)],
        &[("short", [3, 5]), ("endless", [6, u64::MAX])],
        &[
            ("train", "short"),
            ("test", "short"),
            ("none", "short"),
            ("train", "endless"),
        ],
    )
}

#[test]
#[ignore = "needs Node: run ./test.sh"]
fn the_language_service_finds_nothing_in_the_shipped_queries() {
    let sandbox = Sandbox::new();
    let found = check(&sandbox, &[]);
    found.expect(0);
    let found = found.json();
    assert_eq!(found["language_service"], true);
    assert_eq!(
        found["files"].as_array().expect("files").len(),
        SHIPPED.len()
    );
    assert_eq!(found["files"][0]["columns"]["Properties"], "dynamic");
    assert_eq!(found["files"][1]["columns"]["requests"], "dynamic");
    assert_eq!(found["files"][4]["columns"]["turnsArray"], "dynamic");
}

#[test]
#[ignore = "needs Node: run ./test.sh"]
fn nor_with_the_values_of_any_run() {
    let selection = selection();
    let ignored = [
        "unknown",
        "\"); drop //",
        "\\",
        "\u{2028}\u{0}\r\n\t",
        "日本語 🙂",
    ];
    let ignored = ignored.map(str::to_owned);
    let range = |above: Option<i64>, up_to: Option<i64>| RankRange {
        above: above.map(Rank),
        up_to: up_to.map(Rank),
    };
    let ranges = [
        range(None, None),
        range(Some(i64::MIN), Some(i64::MAX)),
        range(None, Some(i64::MIN)),
        range(Some(-1), None),
    ];
    let ranks = RankRanges::from_iter(selection.strata().zip(ranges));
    let sandbox = Sandbox::new();
    let mut files = Vec::new();
    for (path, text) in SHIPPED {
        let template = Template::new(text).expect("shipped");
        for (at, wanted) in [None, Some(&ranks), Some(&RankRanges::default())]
            .into_iter()
            .enumerate()
        {
            let values = Values {
                start: (at > 0)
                    .then(|| "2025-01-01T00:00:00.1234567Z".parse().expect("an instant")),
                end: None,
                look_end: None,
                cut: [Cut::Drop, Cut::Keep][at % 2],
                chunk: HashChunk {
                    count: 80,
                    index: 47,
                    depth: 1,
                },
                ignored: &ignored,
                selection: &selection,
                wanted,
                reading: Reading::Rows,
                asked: AskedIds {
                    conversations: &ignored[..at],
                    shared: &ignored[at..],
                    by_words: at > 0,
                },
            };
            let name = path.replace('/', "-").replace(".kql", "");
            let name = format!("{name}-{at}.kql");
            sandbox.write(&name, template.with(&values, ""));
            files.push(name);
        }
    }
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    check(&sandbox, &names).expect(0);
}

/// A suffix that counts changes the columns, which is all that the check may say of it.
#[test]
#[ignore = "needs Node: run ./test.sh"]
fn nor_with_the_suffixes() {
    let (sandbox, selection) = (Sandbox::new(), selection());
    let ranks = selection
        .strata()
        .map(|stratum| (stratum, RankRange::default()));
    let ranks = RankRanges::from_iter(ranks);
    for (census, suffix) in [SHIPPED[1].1, TURNS[1].1]
        .into_iter()
        .flat_map(|census| {
            [
                (census, CERTIFICATE.to_owned()),
                (census, COUNTS.to_owned()),
            ]
        })
        .chain([8, 9].map(|place| (SHIPPED[place].1, GROUP_COUNTS.to_owned())))
        .chain([selected(false), counted(false)].map(|suffix| (TURNS[1].1, suffix)))
        .chain([selected(true), counted(true)].map(|suffix| (SHIPPED[9].1, suffix)))
    {
        let census = Template::new(census).expect("shipped");
        let reading = match suffix.contains("summarize") {
            true => Reading::Counts,
            false => Reading::Census,
        };
        let values = Values {
            start: None,
            end: None,
            look_end: None,
            cut: Cut::Drop,
            chunk: HashChunk {
                count: 1,
                index: 0,
                depth: 0,
            },
            ignored: &[],
            selection: &selection,
            wanted: Some(&ranks),
            reading,
            asked: AskedIds::default(),
        };
        sandbox.write("suffix.kql", census.with(&values, &suffix));
        let found = check(&sandbox, &["suffix.kql"]).json();
        let errors = found["files"][0]["errors"].to_string();
        let is_other = errors.contains("its result has no column");
        assert_eq!(is_other, suffix.contains("summarize"), "{errors}");
        assert!(!errors.contains("KS"), "{errors}");
    }
}

#[test]
#[ignore = "needs Node: run ./test.sh"]
fn faults_of_a_query_are_named_with_and_without_the_language_service() {
    let sandbox = Sandbox::new();
    let census = TURNS[1].1;
    sandbox.write(
        "typo.kql",
        census.replace(
            "summarize arg_max(precedence",
            "summarise arg_max(precedence",
        ),
    );
    sandbox.write(
        "column.kql",
        census.replace(
            "conversationId, turnCount, lastTimestamp",
            "conversationId, lastTimestamp",
        ),
    );
    sandbox.write(
        "chunk.kql",
        census.replace("% _chunks == _chunk", "% 40 == 0"),
    );
    sandbox.write(
        "type.kql",
        census.replace(
            "conversationId, turnCount,",
            "conversationId, turnCount = \"3\",",
        ),
    );
    let errors = |run: &Run| run.json()["files"][0]["errors"].to_string();
    let typo = check(&sandbox, &["typo.kql"]);
    typo.expect(1);
    assert!(errors(&typo).contains("\"29:3: KS"), "{}", errors(&typo));
    let kind = check(&sandbox, &["type.kql"]);
    kind.expect(1);
    assert!(
        errors(&kind).contains("turnCount is string"),
        "{}",
        errors(&kind)
    );
    // Without it, the columns and the values.
    for (file, words) in [
        ("column.kql", "no column turnCount"),
        ("chunk.kql", "does not use _chunk"),
    ] {
        let found = sandbox.run(&["queries", "check", file, "--json"]);
        found.expect(1);
        assert!(errors(&found).contains(words), "{}", errors(&found));
    }
    sandbox.run(&["queries", "check", "nowhere.kql"]).expect(2);
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn the_official_client_reads_the_emulator() {
    let sandbox = Sandbox::new();
    for more in [&[][..], &["--gzip"]] {
        let emulator = Emulator::start(&sandbox, "", 0, more);
        let script = "
import json, re, sys
from azure.kusto.data import KustoClient, KustoConnectionStringBuilder
client = KustoClient(KustoConnectionStringBuilder.with_no_authentication(sys.argv[1]))
def rows(file, chunks, chunk, suffix=''):
    text = re.sub('let _chunks = [0-9]+;', f'let _chunks = {chunks};', open(file).read())
    text = re.sub('let _chunk = 0;', f'let _chunk = {chunk};', text)
    return client.execute('CopilotChatEval', text.rstrip() + suffix).primary_results[0]
census = rows('census.kql', 1, 0)
ids = {row['conversationId'] for row in census}
parts = [row['conversationId'] for i in range(7) for row in rows('census.kql', 7, i)]
count = rows('census.kql', 1, 0, '\\n' + sys.argv[2])[0]
payload = rows('payload.kql', 5, 2)
print(json.dumps({
    'ids': len(ids), 'parts': len(parts), 'same': set(parts) == ids, 'count': count['conversations'],
    'payload': len(payload.rows), 'turns': sum(len(row['turnsArray']) == row['turnCount'] for row in payload),
    'known': all(row['conversationId'] in ids for row in payload)}))
";
        sandbox.write("census.kql", TURNS[1].1);
        sandbox.write("payload.kql", TURNS[0].1);
        let output = Command::new(tool("GLEANER_TEST_PYTHON"))
            .args(["-c", script, &emulator.address, CERTIFICATE])
            .current_dir(sandbox.path(""))
            .output()
            .expect("Python runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert!(
            found["ids"].as_u64() > Some(u64::from(CONVERSATIONS) * 9 / 10),
            "{found}"
        );
        assert_eq!(found["ids"], found["parts"], "{found}");
        assert_eq!(found["ids"], found["count"], "{found}");
        assert_eq!(found["payload"], found["turns"], "{found}");
        assert_eq!(
            (&found["same"], &found["known"]),
            (&Value::Bool(true), &Value::Bool(true))
        );
        assert!(found["payload"].as_u64() > Some(100), "{found}");
    }
}

/// Where the engine's schema and data are, and a folder for a test of it.
fn engine() -> Option<(String, Sandbox)> {
    Some((engine_shared()?, Sandbox::new()))
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn the_queries_really_run_and_give_what_the_files_give() {
    let Some((shared, sandbox)) = engine() else {
        return;
    };
    let input = format!("{shared}/data/sgd/*.jsonl.zst");
    let endpoint = Endpoint::start(&sandbox, &shared, &input, &AGENT_TURNS);
    let more = [
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-05-01T00:00:00Z",
        "--seed",
        "s1",
        "--set",
        "selection.targets.train={short=1500,medium=6000,long=4000}",
        "--set",
        "selection.targets.val={short=150,medium=800,long=450}",
        "--set",
        "selection.targets.test={short=150,medium=750,long=440}",
    ];
    let files = endpoint.agrees_with_files(&sandbox, "turns", "d", &input, &more);
    files.expect(0);
}

/// Targets that take a few records of each stratum.
const FEW: [&str; 6] = [
    "--set",
    "selection.targets.train={short=20,medium=20,long=20}",
    "--set",
    "selection.targets.val={short=2,medium=2,long=2}",
    "--set",
    "selection.targets.test={short=2,medium=2,long=2}",
];

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn they_drop_what_the_window_cuts_and_prefer_finished_replies_as_with_files() {
    let Some(shared) = engine_shared() else {
        return;
    };
    for (case, window) in [
        (
            "cut-by-window",
            ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z"],
        ),
        (
            "cut-by-window",
            ["2025-01-01T00:00:00Z", "2025-01-03T00:00:00Z"],
        ),
        (
            "same-turn-in-progress-and-done",
            ["2025-01-01T00:00:00Z", "2025-01-03T00:00:00Z"],
        ),
    ] {
        let sandbox = Sandbox::new();
        let input = format!("{shared}/cases/{case}.jsonl");
        let endpoint = Endpoint::start(&sandbox, &shared, &input, &AGENT_TURNS);
        for cut in ["drop", "keep"] {
            let mut more = vec!["--window-start", window[0], "--window-end", window[1]];
            let setting = format!("selection.cut={cut}");
            more.extend(["--set", &setting]);
            more.extend(FEW);
            endpoint.agrees_with_files(&sandbox, "turns", cut, &input, &more);
        }
    }
}

/// Synthetic rows that a cluster has as they are: none malformed. Every seventh conversation ends in
/// another mode, and of every fifth the first turn is there twice at one time, once without a reply.
fn rows() -> Vec<String> {
    let synthetic = Synthetic {
        conversations: 600,
        seed: 7,
        schema: RowShape::Turns,
    };
    let mut rows = Vec::new();
    for number in 0..synthetic.conversations {
        let lines = gleaner::source::synthetic::conversation_rows(synthetic, number);
        let parsed: Option<Vec<Value>> = lines
            .iter()
            .map(|line| serde_json::from_slice(line).ok())
            .collect();
        let Some(mut parsed) = parsed else { continue };
        if number % 7 == 0
            && let Some(last) = parsed.last_mut()
        {
            last["mode"] = "ask".into();
        }
        if number % 5 == 0 {
            let mut unfinished = parsed[0].clone();
            unfinished["modelMessage"] = "\u{a0}\u{85}\u{b}\u{3000} \n".into();
            parsed.insert(usize::from(number % 2 == 0), unfinished);
        }
        rows.extend(parsed.iter().map(Value::to_string));
    }
    rows
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn they_find_of_synthetic_rows_what_the_files_have() {
    let Some((shared, sandbox)) = engine() else {
        return;
    };
    let rows = rows();
    sandbox.write("rows.jsonl", rows.join("\n"));
    let endpoint = Endpoint::start(&sandbox, &shared, "rows.jsonl", &AGENT_TURNS);
    // The window ends at the second last row of some conversation, which it cuts.
    let at = |row: &String| -> String {
        let row: Value = serde_json::from_str(row).expect("JSON");
        row["Timestamp"].as_str().expect("a time").to_owned()
    };
    let mut times: Vec<String> = rows.iter().map(at).collect();
    times.sort();
    let (start, end) = (&times[times.len() / 10], &times[times.len() * 2 / 3]);
    for cut in ["drop", "keep"] {
        let setting = format!("selection.cut={cut}");
        let mut more = vec![
            "--window-start",
            start,
            "--window-end",
            end,
            "--set",
            &setting,
        ];
        more.extend(FEW);
        endpoint.agrees_with_files(&sandbox, "turns", cut, "rows.jsonl", &more);
    }
}
