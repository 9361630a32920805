//! A cluster that sends back the token it was sent, in every place of an answer.
//!
//! `tests/it/blob/access.rs` and `logins.rs` do the same with a storage service and with logins.

use std::process::Command;

use crate::support::Sandbox;
use crate::support::cloud::Cloud;
use crate::support::leaks::{keeps, traced};

/// An export from a cluster that answers in this way.
fn export(sandbox: &Sandbox, cloud: &Cloud, kind: &str) -> Command {
    let cluster = format!("source.kusto.cluster={}/echo/{kind}", cloud.authority);
    let mut command = sandbox.command(&[
        "export",
        "--test",
        "--out",
        "out",
        "--work-dir",
        "work",
        "--name",
        "d",
        "--report",
        "--window-start",
        "2025-01-01T00:00:00Z",
        "--window-end",
        "2025-06-01T00:00:00Z",
        "--set",
        "source.kind=kusto",
        "--set",
        &cluster,
        "--set",
        "source.kusto.database=d",
        "--set",
        "source.kusto.trusted_hosts=[\"127.0.0.1\"]",
        "--set",
        "source.kusto.credential=client_secret",
        "--set",
        "chunks.max_attempts=1",
    ]);
    command
        .env("SSL_CERT_FILE", &cloud.ca)
        .env_remove("SSL_CERT_DIR")
        .env("AZURE_TENANT_ID", "tenant")
        .env("AZURE_CLIENT_ID", "client")
        .env("AZURE_CLIENT_SECRET", "the secret")
        .env("AZURE_AUTHORITY_HOST", &cloud.authority);
    command
}

#[test]
#[ignore = "needs Python: run ./test.sh"]
fn a_token_that_a_cluster_sends_back_is_shown_nowhere() {
    let clouds = Sandbox::new();
    let cloud = Cloud::start(&clouds);
    let (header, rest) = cloud.token.split_once('.').expect("a token");
    for (kind, said) in [
        ("400", "the server refuses the query"),
        ("401", "the cluster refuses the login"),
        ("403", "the server refuses the query"),
        ("302", "it points to"),
        ("500", "the server fails"),
        ("html", "it is not a list of frames"),
        ("columns", "the query's result does not fit"),
        ("partial", "partial failure"),
        ("encoding", "it is encoded as"),
    ] {
        let sandbox = Sandbox::new();
        let run = traced(export(&sandbox, &cloud, kind));
        assert!(matches!(run.code, Some(1 | 2)), "{kind}: {}", run.stderr);
        assert!(run.stderr.contains(said), "{kind}: {}", run.stderr);
        assert!(
            run.stderr.contains("***"),
            "{kind}: it was sent back: {}",
            run.stderr
        );
        keeps(&run, &sandbox.path(""), &[rest, "the secret"]);
        assert!(!run.stderr.contains(header), "{kind}: {}", run.stderr);
    }
}
