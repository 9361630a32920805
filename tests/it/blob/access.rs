//! How a container is reached: what is wrong with it is reported before anything is fetched, and
//! no signature is printed.

use std::fs;
use std::net::TcpListener;

use crate::support::blob::{Blob, EXPIRED, READING, SIGNATURE, emulator, run, undisturbed};
use crate::support::leaks::{forms, keeps, reported, traced};
use crate::support::proxy::{ALWAYS, Fault, On, Plan, Proxy};
use crate::support::{Run, Sandbox};

/// Containers that cannot be written, with the message and the hint for each.
fn out_of_reach<'a>(
    sandbox: &'a Sandbox,
    endpoint: &str,
) -> [(Blob<'a>, &'static str, &'static str); 5] {
    let missing = |container: &str, endpoint: &str, signature| Blob {
        sandbox,
        endpoint: endpoint.to_owned(),
        container: container.to_owned(),
        signature,
    };
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        format!(
            "http://{}/devstoreaccount1",
            listener.local_addr().expect("an address")
        )
    };
    [
        (
            missing("misspelt", endpoint, SIGNATURE),
            "HTTP 404 ContainerNotFound",
            "there is no such container",
        ),
        (
            missing("it-probed", endpoint, EXPIRED),
            "HTTP 403",
            "the signature must be valid",
        ),
        (
            missing("it-probed", endpoint, READING),
            "cannot write az://devstoreaccount1/it-probed/some/prefix/d/.claim.json: HTTP 403",
            "sp=rwdl",
        ),
        (
            missing("it-probed", &closed, SIGNATURE),
            "onnection refused",
            "check the account's name",
        ),
        (
            missing("it-probed", "https://nosuchaccount.invalid", SIGNATURE),
            "cannot read az://devstoreaccount1/it-probed",
            "check the account's name",
        ),
    ]
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn errors_are_reported_before_anything_is_fetched() {
    let sandbox = Sandbox::new();
    let made = Blob::new(&sandbox, emulator(), "probed");
    // A cluster that nobody may call.
    let cluster = TcpListener::bind("127.0.0.1:0").expect("a port");
    cluster.set_nonblocking(true).expect("ours");
    let address = cluster.local_addr().expect("an address");
    let cluster_is = format!("source.kusto.cluster=http://{address}");
    for (blob, said, hint) in out_of_reach(&sandbox, &made.endpoint) {
        let more = [
            "--set",
            "source.kind=kusto",
            "--set",
            &cluster_is,
            "--set",
            "source.kusto.credential=none",
            "--set",
            "sink.azure_blob.retry_timeout=1s",
        ];
        let run = blob.export(&more);
        let missing = said.contains("ContainerNotFound");
        let reported = run.expect(if missing { 2 } else { 1 });
        assert!(reported.contains(said), "{said}: {reported}");
        assert!(reported.contains(hint), "{hint}: {reported}");
        assert!(
            reported.contains("run the same command again"),
            "{reported}"
        );
        assert!(cluster.accept().is_err(), "{said}: the cluster was called");
        // Where nobody answered the claim may be there, and the work directory knows whose it is.
        let is_refused = reported.contains("HTTP 4");
        assert_eq!(!sandbox.path("work").exists(), is_refused, "{reported}");
        if !is_refused {
            fs::remove_dir_all(sandbox.path("work")).expect("ours");
        }
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn no_signature_is_printed_however_a_run_fails() {
    let proxy = Proxy::start();
    let (_, secret) = SIGNATURE.split_once("sig=").expect("a signature");
    let faults = [
        Fault::Reset(0),
        Fault::Reset(10_000),
        Fault::LostReply,
        Fault::CutReply,
        Fault::Hang,
        Fault::Status(403, "AuthenticationFailed", false),
        Fault::Status(500, "InternalError", true),
        Fault::Delete,
        Fault::Echo(403),
        Fault::Echo(400),
        Fault::Echo(503),
    ];
    for on in [On::Any, On::Block, On::Commit, On::Manifest] {
        for (number, fault) in faults.into_iter().enumerate() {
            // A few of them at every place; all at once say the same.
            let echoes = matches!(fault, Fault::Echo(_));
            if on != On::Any && number % 3 > 0 && !echoes || on == On::Any && fault == Fault::Delete
            {
                continue;
            }
            let sandbox = Sandbox::new();
            let name = format!("secret-{on:?}-{number}").to_lowercase();
            let blob = Blob::new(&sandbox, proxy.endpoint(), &name);
            proxy.fail(Some(Plan {
                on,
                skip: 0,
                times: ALWAYS,
                fault,
            }));
            let impatient = "--set sink.azure_blob.retry_timeout=300ms --set sink.azure_blob.timeout=300ms --test";
            let impatient: Vec<&str> = impatient.split(' ').collect();
            let run = traced(blob.export_command(&impatient));
            run.expect(1);
            keeps(&run, &sandbox.path(""), &[secret]);
            let run = traced(blob.command(
                &[
                    "verify",
                    &format!("az://devstoreaccount1/it-{name}/some/prefix/d"),
                ],
                &impatient[..4],
            ));
            // Where only answers are lost it may be there.
            assert!(matches!(run.code, Some(0 | 1)), "{}", run.stderr);
            keeps(&run, &sandbox.path(""), &[secret]);
        }
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn no_signature_is_in_what_is_published() {
    let sandbox = Sandbox::new();
    let (_, secret) = SIGNATURE.split_once("sig=").expect("a signature");
    let blob = Blob::new(&sandbox, emulator(), "discreet");
    let run = traced(blob.export_command(&[]));
    run.expect(0);
    keeps(&run, &sandbox.path(""), &[secret]);
    let manifest = blob.ask("GET", "metadata.json");
    assert!(manifest.contains("content_sha256"), "{manifest}");
    for form in forms(secret) {
        assert!(!manifest.contains(&form), "{manifest}");
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn a_signature_in_the_wrong_place_is_refused_and_not_printed() {
    let sandbox = Sandbox::new();
    let (_, secret) = SIGNATURE.split_once("sig=").expect("a signature");
    let out = format!("az://devstoreaccount1/c/p?{SIGNATURE}");
    let endpoint = format!("sink.azure_blob.endpoint={}?{SIGNATURE}", emulator());
    let user = format!("sink.azure_blob.endpoint=https://{secret}@a.blob.core.windows.net");
    let unknown = format!("sink.azure_blob.sas={SIGNATURE}");
    let container = format!("az://devstoreaccount1/c?{SIGNATURE}/p");
    let account = format!("az://devstoreaccount1?{SIGNATURE}/c/p");
    for (out, set) in [
        (out.as_str(), ""),
        (account.as_str(), ""),
        ("az://devstoreaccount1/ccc/p", endpoint.as_str()),
        ("az://devstoreaccount1/ccc/p", &user),
        ("az://devstoreaccount1/ccc/p", &unknown),
        (container.as_str(), ""),
        (
            "az://devstoreaccount1/ccc/p",
            &format!("sink.azure_blob.checksum={SIGNATURE}"),
        ),
        (
            "az://devstoreaccount1/ccc/p",
            &format!("sink.azure_blob.credential={SIGNATURE}"),
        ),
        (
            "az://devstoreaccount1/ccc/p",
            &format!("sink.azure_blob.sas_file={SIGNATURE}"),
        ),
    ] {
        let mut args = vec![
            "export",
            "--test",
            "--work-dir",
            "work",
            "--set",
            "source.kind=synthetic",
            "--set",
            "sink.azure_blob.credential=sas",
            "--out",
            out,
        ];
        if !set.is_empty() {
            args.extend(["--set", set]);
        }
        let mut command = sandbox.command(&args);
        command.env("AZURE_STORAGE_SAS_TOKEN", SIGNATURE);
        let run = traced(command);
        run.expect(2);
        let reported = reported(&run, &sandbox.path(""));
        for form in forms(secret) {
            assert!(!reported.contains(&form), "{out} {set}: {reported}");
        }
    }
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn a_signature_is_read_from_a_file_too() {
    let expected = undisturbed();
    let sandbox = Sandbox::new();
    let mut blob = Blob::new(&sandbox, emulator(), "sasfile");
    blob.signature = EXPIRED;
    let file = |text: &str| {
        let path = sandbox.write("secret/sas", text).display().to_string();
        format!("sink.azure_blob.sas_file={path}")
    };
    for (text, code, said) in [
        ("", 2, "the shared access signature is none"),
        (
            "https://a.blob.core.windows.net",
            2,
            "the shared access signature is none",
        ),
        (&format!("?{SIGNATURE}\n"), 0, ""),
    ] {
        let run = blob.export(&["--set", &file(text)]);
        run.says(code, &[said]);
    }
    let verified = blob.verify(&["--set", &file(SIGNATURE)]);
    verified.expect(0);
    assert_eq!(
        blob.verify(&[]).code,
        Some(1),
        "the one of the environment has expired"
    );
    assert!(!expected.is_empty());
    let missing = blob.export(&["--set", "sink.azure_blob.sas_file=nowhere"]);
    missing.says(2, &["sas_file nowhere"]);
    let mut none = blob.export_command(&["--work-dir", "other"]);
    none.env_remove("AZURE_STORAGE_SAS_TOKEN");
    let none = Run::from(none.output().expect("it runs"));
    none.says(2, &["set AZURE_STORAGE_SAS_TOKEN"]);
}

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn the_commands_of_the_page_work() {
    let sandbox = Sandbox::new();
    let blob = Blob::new(&sandbox, emulator(), "readme");
    sandbox
        .run(&["synth", "--conversations", "300", "--out", "synthetic"])
        .expect(0);
    let part = fs::read(sandbox.path("synthetic/part-00000.jsonl")).expect("a file");
    sandbox.write(
        "logs/a.jsonl.zst",
        zstd::encode_all(&part[..], 1).expect("memory"),
    );
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/blob.md"));
    let readme = readme.expect("the page");
    // Those of the try-out on the same page are `blob::page`'s.
    let commands = readme
        .lines()
        .filter(|line| line.starts_with("gleaner ") && line.contains("az://ACCOUNT/"))
        .map(|line| line.replace("ACCOUNT/CONTAINER", "devstoreaccount1/it-readme"));
    // Far fewer conversations than the default targets: published, with a shortfall.
    let mut codes = Vec::new();
    for command in commands {
        let words: Vec<&str> = command
            .split(' ')
            .skip(1)
            .map(|word| word.trim_matches('\''))
            .collect();
        codes.push(run(blob.command(&words, &[])).code);
    }
    assert_eq!(codes, [Some(3), Some(0)]);
}
