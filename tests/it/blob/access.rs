//! How a container is reached: what is wrong with it is told before anything is fetched, every
//! login works, and no secret is ever told.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use crate::support::blob::{Blob, EXPIRED, READING, SIGNATURE, emulator, run, undisturbed};
use crate::support::cloud::Cloud;
use crate::support::leaks::{forms, keeps, reported, traced};
use crate::support::proxy::{ALWAYS, Fault, On, Plan, Proxy};
use crate::support::{Run, Sandbox};

#[test]
#[ignore = "needs Azurite: run ./test.sh"]
fn errors_are_reported_before_anything_is_fetched() {
    let sandbox = Sandbox::new();
    let made = Blob::new(&sandbox, emulator(), "probed");
    let missing = |container: &str, endpoint: &str, signature| Blob {
        sandbox: &sandbox,
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
    let cases = [
        (
            missing("misspelt", &made.endpoint, SIGNATURE),
            "HTTP 404 ContainerNotFound",
            "there is no such container",
        ),
        (
            missing("it-probed", &made.endpoint, EXPIRED),
            "HTTP 403",
            "the signature must be valid",
        ),
        (
            missing("it-probed", &made.endpoint, READING),
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
    ];
    // A cluster that nobody may call.
    let cluster = TcpListener::bind("127.0.0.1:0").expect("a port");
    cluster.set_nonblocking(true).expect("ours");
    let address = cluster.local_addr().expect("an address");
    let cluster_is = format!("source.kusto.cluster=http://{address}");
    for (blob, said, hint) in cases {
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
        .run(&["synth", "--conversations", "300", "--out", "made-up"])
        .expect(0);
    let part = fs::read(sandbox.path("made-up/part-00000.jsonl")).expect("a file");
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

/// A login of Azure's command line: prints a token and counts how often it was asked.
fn command_line(sandbox: &Sandbox, token: &str) {
    use std::os::unix::fs::PermissionsExt;
    let script = format!(
        "#!/bin/sh\necho \"$@\" >> {}\necho '{{\"accessToken\": \"{token}\", \"expires_on\": 4070908800, \"tokenType\": \"Bearer\"}}'\n",
        sandbox.path("asked").display()
    );
    let path = sandbox.write("bin/az", script);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// A container, made with a token over https.
fn make(cloud: &Cloud, container: &str) {
    let ca = fs::read(&cloud.ca).expect("a certificate");
    let ca = reqwest::Certificate::from_pem(&ca).expect("a certificate");
    let client = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .build()
        .expect("a client");
    let request = client
        .put(format!("{}/{container}?restype=container", cloud.endpoint))
        .bearer_auth(&cloud.token)
        .header("x-ms-version", "2021-12-02")
        .header("content-length", "0");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let answer = runtime
        .expect("a runtime")
        .block_on(request.send())
        .expect("an answer");
    assert_eq!(answer.status().as_u16(), 201);
}

#[test]
#[ignore = "needs Azurite and Python: run ./test.sh"]
fn every_login_works_over_https_and_its_secrets_are_not_printed() {
    let expected = undisturbed();
    let clouds = Sandbox::new();
    let cloud = Cloud::start(&clouds);
    let federated = clouds.write("federated", "the federated token");
    let federated = federated.display().to_string();
    let identity = format!("{}/msi/token", cloud.authority);
    let client = [
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "client"),
        ("AZURE_AUTHORITY_HOST", cloud.authority.as_str()),
    ];
    let logins = [
        ("developer_tools", vec![], ""),
        (
            "client_secret",
            [&client[..], &[("AZURE_CLIENT_SECRET", "the secret")]].concat(),
            "AZURE_CLIENT_SECRET",
        ),
        (
            "workload_identity",
            [
                &client[..],
                &[("AZURE_FEDERATED_TOKEN_FILE", federated.as_str())],
            ]
            .concat(),
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
        (
            "managed_identity",
            vec![
                ("IDENTITY_ENDPOINT", identity.as_str()),
                ("IDENTITY_HEADER", "the header"),
            ],
            "IDENTITY_HEADER",
        ),
    ];
    let (_, payload) = cloud.token.split_once('.').expect("a token");
    let secrets = [payload, "the secret", "the federated token", "the header"];
    for (login, variables, secret) in logins {
        let sandbox = Sandbox::new();
        let container = login.replace('_', "-");
        make(&cloud, &container);
        let blob = Blob {
            sandbox: &sandbox,
            endpoint: cloud.endpoint.clone(),
            container,
            signature: "",
        };
        let credential = format!("sink.azure_blob.credential={login}");
        let with = |mut command: Command, variables: &[(&str, &str)]| {
            command
                .env_remove("AZURE_STORAGE_SAS_TOKEN")
                .env("SSL_CERT_FILE", &cloud.ca)
                .env_remove("SSL_CERT_DIR");
            command.env(
                "PATH",
                format!("{}:/usr/bin:/bin", sandbox.path("bin").display()),
            );
            traced({
                command.envs(variables.iter().copied());
                command
            })
        };
        // Nobody is logged in, or with a wrong secret.
        let wrong: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (*name, if *name == secret { "/nowhere" } else { value }))
            .collect();
        let refused = with(
            blob.export_command(&[
                "--set",
                &credential,
                "--set",
                "sink.azure_blob.retry_timeout=1s",
            ]),
            &wrong,
        );
        assert!(
            matches!(refused.code, Some(1 | 2)),
            "{login}: {}",
            refused.stderr
        );
        let hint = match login {
            "workload_identity" => {
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE"
            }
            _ => "hint: log in, or set sink.azure_blob.credential",
        };
        assert!(refused.stderr.contains(hint), "{login}: {}", refused.stderr);
        keeps(&refused, &sandbox.path("work"), &secrets);
        // The right secret and a wrong name: the service sends back what it was sent.
        let mut other = variables.clone();
        for (name, value) in &mut other {
            if *name == "AZURE_CLIENT_ID" {
                *value = "somebody else";
            }
        }
        other.extend([("AZURE_CLIENT_ID", "somebody else")]);
        let refused = with(
            blob.export_command(&["--set", &credential, "--set", "sink.azure_blob.patience=1s"]),
            &other,
        );
        keeps(&refused, &sandbox.path("work"), &secrets);

        command_line(&sandbox, &cloud.token);
        let run = with(blob.export_command(&["--set", &credential]), &variables);
        run.expect(0);
        assert_eq!(run.json()["content_sha256"], expected, "{login}");
        keeps(&run, &sandbox.path("work"), &secrets);
        let dataset = format!("az://devstoreaccount1/{}/some/prefix/d", blob.container);
        let verified = with(
            blob.command(&["verify", &dataset], &["--set", &credential]),
            &variables,
        );
        verified.expect(0);
        keeps(&verified, &sandbox.path("work"), &secrets);
        if login == "developer_tools" {
            let asked = fs::read_to_string(sandbox.path("asked")).expect("it was asked");
            assert!(
                asked
                    .lines()
                    .all(|line| line.contains("--scope https://storage.azure.com/.default")),
                "{asked}"
            );
            assert!(
                asked.lines().count() <= 4,
                "a token is kept as long as it lasts: {asked}"
            );
        }
        let plain = blob.export_command(&[
            "--set",
            &credential,
            "--set",
            "sink.azure_blob.endpoint=http://127.0.0.1:1/devstoreaccount1",
        ]);
        let refused = with(plain, &variables);
        assert!(
            refused
                .expect(2)
                .contains("tokens are never sent over plain http"),
            "{login}: {}",
            refused.stderr
        );
    }
}
