//! Logging in to Azure, and what its services have in common.

use std::net::IpAddr;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_identity::{
    ClientSecretCredential, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};
use reqwest::Url;

use crate::secrets::{self, Registering, redacted};

/// How to log in to Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `az login` or `azd auth login`.
    DeveloperTools,
    /// Of the machine that this runs on.
    ManagedIdentity,
    /// Of a Kubernetes pod.
    WorkloadIdentity,
    /// A service principal, from the environment.
    ClientSecret,
    /// Not at all.
    None,
}

/// Whether an address leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = |ip: IpAddr| ip.is_loopback();
    host == "localhost" || address.parse().is_ok_and(is_address)
}

/// A text with `...` for the signature of every address in it, also of one that is not known as a
/// secret because it was written where none belongs.
pub fn redact_sas(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("sig=") {
        let (before, after) = rest.split_at(at + "sig=".len());
        out.push_str(before);
        let ends = |c: char| !c.is_ascii_alphanumeric() && !"%+/=-_.~".contains(c);
        let end = after.find(ends).unwrap_or(after.len());
        if end > 0 {
            out.push_str("...");
        }
        rest = &after[end..];
    }
    out + rest
}

/// What gives tokens.
///
/// # Errors
/// Says what is not set.
pub fn credential(kind: Credential) -> Result<Arc<dyn TokenCredential>, String> {
    let variable = |name: &str| {
        std::env::var(name)
            .ok()
            .filter(|value| !value.is_empty())
            .ok_or_else(|| format!("the environment variable {name} is not set"))
    };
    secrets::register_environment();
    let describe = |error: azure_core::Error| redacted(error.to_string());
    let credential: Arc<dyn TokenCredential> = match kind {
        Credential::DeveloperTools | Credential::None => {
            DeveloperToolsCredential::new(None).map_err(describe)?
        }
        Credential::ManagedIdentity => {
            let options = ManagedIdentityCredentialOptions {
                user_assigned_id: variable("AZURE_CLIENT_ID")
                    .ok()
                    .map(UserAssignedId::ClientId),
                ..ManagedIdentityCredentialOptions::default()
            };
            ManagedIdentityCredential::new(Some(options)).map_err(describe)?
        }
        Credential::WorkloadIdentity => WorkloadIdentityCredential::new(None).map_err(describe)?,
        Credential::ClientSecret => {
            let (tenant, client, secret) = (
                variable("AZURE_TENANT_ID")?,
                variable("AZURE_CLIENT_ID")?,
                variable("AZURE_CLIENT_SECRET")?,
            );
            ClientSecretCredential::new(&tenant, client, Secret::new(secret), None)
                .map_err(describe)?
        }
    };
    Ok(Arc::new(Registering(credential)))
}

/// What to run or set when a login fails.
pub fn login_hint(kind: Credential) -> &'static str {
    match kind {
        Credential::DeveloperTools | Credential::None => {
            "run `az login` (or `azd auth login`) and try again"
        }
        Credential::ManagedIdentity => {
            "this must run on Azure with a managed identity; AZURE_CLIENT_ID names a user-assigned one"
        }
        Credential::WorkloadIdentity => {
            "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_FEDERATED_TOKEN_FILE, as Kubernetes does"
        }
        Credential::ClientSecret => "set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_left_out() {
        for (text, describe) in [
            ("?sv=1&sig=a%2Bb/c%3D&se=2", "?sv=1&sig=...&se=2"),
            ("\"?sig=a+b/c=\": no", "\"?sig=...\": no"),
            ("a sig=x b sig=y", "a sig=... b sig=..."),
            (
                "with sv=, se= and sig= in it",
                "with sv=, se= and sig= in it",
            ),
            ("nothing", "nothing"),
        ] {
            assert_eq!(redact_sas(text), describe);
        }
    }
}
