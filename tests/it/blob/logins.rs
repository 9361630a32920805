//! Every way to log in works, and no secret of one is printed.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::blob::{Blob, undisturbed};
use crate::support::cloud::Cloud;
use crate::support::leaks::{keeps, traced};
use crate::support::{Run, Sandbox};

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
    // What gleaner itself does in its process.
    let _ = rustls::crypto::ring::default_provider().install_default();
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

/// A way to log in: its name, its variables, and the one that holds the secret.
struct Login {
    name: &'static str,
    variables: Vec<(&'static str, String)>,
    secret: &'static str,
}

fn logins(cloud: &Cloud, federated: &Path) -> [Login; 4] {
    let client = |more: (&'static str, &str)| {
        let own = [
            ("AZURE_TENANT_ID", "tenant"),
            ("AZURE_CLIENT_ID", "client"),
            ("AZURE_AUTHORITY_HOST", &cloud.authority),
            more,
        ];
        own.map(|(name, value)| (name, value.to_owned())).to_vec()
    };
    let login = |name, variables, secret| Login {
        name,
        variables,
        secret,
    };
    let federated = federated.display().to_string();
    [
        login("developer_tools", Vec::new(), ""),
        login(
            "client_secret",
            client(("AZURE_CLIENT_SECRET", "the secret")),
            "AZURE_CLIENT_SECRET",
        ),
        login(
            "workload_identity",
            client(("AZURE_FEDERATED_TOKEN_FILE", &federated)),
            "AZURE_FEDERATED_TOKEN_FILE",
        ),
        login(
            "managed_identity",
            vec![
                (
                    "IDENTITY_ENDPOINT",
                    format!("{}/msi/token", cloud.authority),
                ),
                ("IDENTITY_HEADER", "the header".to_owned()),
            ],
            "IDENTITY_HEADER",
        ),
    ]
}

/// A container that is reached with a login, and what nothing may print.
struct LoggedIn<'a> {
    blob: Blob<'a>,
    login: Login,
    credential: String,
    cloud: &'a Cloud,
    secrets: [&'a str; 4],
}

impl LoggedIn<'_> {
    /// Runs a command with the variables of the login, some of them replaced.
    fn run(&self, mut command: Command, replaced: &[(&str, &str)]) -> Run {
        let bin = self.blob.sandbox.path("bin");
        command
            .env_remove("AZURE_STORAGE_SAS_TOKEN")
            .env("SSL_CERT_FILE", &self.cloud.ca)
            .env_remove("SSL_CERT_DIR")
            .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
            .envs(
                self.login
                    .variables
                    .iter()
                    .map(|(name, value)| (name, value)),
            )
            .envs(replaced.iter().copied());
        let run = traced(command);
        keeps(&run, &self.blob.sandbox.path("work"), &self.secrets);
        run
    }

    fn export(&self, more: &[&str], replaced: &[(&str, &str)]) -> Run {
        let arguments = [&["--set", &self.credential], more].concat();
        self.run(self.blob.export_command(&arguments), replaced)
    }

    /// Nobody is logged in, or with a wrong secret; then the right secret and a wrong name: the
    /// service sends back what it was sent.
    fn is_refused(&self) {
        let Login { name, secret, .. } = self.login;
        let impatient = ["--set", "sink.azure_blob.retry_timeout=1s"];
        let wrong: &[(&str, &str)] = if secret.is_empty() {
            &[]
        } else {
            &[(secret, "/nowhere")]
        };
        let refused = self.export(&impatient, wrong);
        let stderr = &refused.stderr;
        assert!(matches!(refused.code, Some(1 | 2)), "{name}: {stderr}");
        let hint = match name {
            "workload_identity" => {
                "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE"
            }
            _ => "hint: log in, or set sink.azure_blob.credential",
        };
        assert!(stderr.contains(hint), "{name}: {stderr}");
        self.export(&impatient, &[("AZURE_CLIENT_ID", "somebody else")]);
    }

    fn works(&self, expected: &str) {
        let name = self.login.name;
        let run = self.export(&[], &[]);
        run.expect(0);
        assert_eq!(run.json()["content_sha256"], expected, "{name}");
        let container = &self.blob.container;
        let dataset = format!("az://devstoreaccount1/{container}/some/prefix/d");
        let verify = (self.blob).command(&["verify", &dataset], &["--set", &self.credential]);
        self.run(verify, &[]).expect(0);
        if name == "developer_tools" {
            let asked = fs::read_to_string(self.blob.sandbox.path("asked")).expect("it was asked");
            let scope = "--scope https://storage.azure.com/.default";
            assert!(asked.lines().all(|line| line.contains(scope)), "{asked}");
            assert!(
                asked.lines().count() <= 4,
                "a token is kept as long as it lasts: {asked}"
            );
        }
    }
}

#[test]
#[ignore = "needs Azurite and Python: run ./test.sh"]
fn every_login_works_over_https_and_its_secrets_are_not_printed() {
    let expected = undisturbed();
    let clouds = Sandbox::new();
    let cloud = Cloud::start(&clouds);
    let federated = clouds.write("federated", "the federated token");
    let (_, payload) = cloud.token.split_once('.').expect("a token");
    for login in logins(&cloud, &federated) {
        let sandbox = Sandbox::new();
        let container = login.name.replace('_', "-");
        make(&cloud, &container);
        let logged_in = LoggedIn {
            blob: Blob {
                sandbox: &sandbox,
                endpoint: cloud.endpoint.clone(),
                container,
                signature: "",
            },
            credential: format!("sink.azure_blob.credential={}", login.name),
            login,
            cloud: &cloud,
            secrets: [payload, "the secret", "the federated token", "the header"],
        };
        logged_in.is_refused();
        command_line(&sandbox, &cloud.token);
        logged_in.works(&expected);
        let plain = "sink.azure_blob.endpoint=http://127.0.0.1:1/devstoreaccount1";
        let refused = logged_in.export(&["--set", plain], &[]);
        let said = refused.expect(2);
        let rule = "tokens are never sent over plain http";
        assert!(said.contains(rule), "{}: {said}", logged_in.login.name);
    }
}
