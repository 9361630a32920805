//! Credentials that give tokens.

use std::net::IpAddr;
use std::sync::Arc;

use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_identity::{
    ClientSecretCredential, DeveloperToolsCredential, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use reqwest::Url;
use rustls::crypto::CryptoProvider;

use super::Credential;
use crate::secrets::{self, redacted};

/// Whether an address leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_address = |ip: IpAddr| ip.is_loopback();
    host == "localhost" || address.parse().is_ok_and(is_address)
}

/// A client of HTTP over TLS, as the process encrypts: what a host has installed for `rustls`, else `ring`.
pub(crate) fn http_client() -> reqwest::ClientBuilder {
    ensure_cryptography();
    reqwest::Client::builder()
}

/// Makes sure that `rustls` has a provider: without one, making a client panics.
fn ensure_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Refused only if another thread was first, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
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
    ensure_cryptography();
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

/// What the user can run or set when a login fails.
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

/// Passes on the tokens of another credential and registers each as a secret first.
#[derive(Debug)]
struct Registering(Arc<dyn TokenCredential>);

impl TokenCredential for Registering {
    // As `#[async_trait]` would write it.
    fn get_token<'a, 'b, 'c, 'd, 'e>(
        &'a self,
        scopes: &'b [&'c str],
        options: Option<TokenRequestOptions<'d>>,
    ) -> BoxFuture<'e, azure_core::Result<AccessToken>>
    where
        'a: 'e,
        'b: 'e,
        'c: 'e,
        'd: 'e,
        Self: 'e,
    {
        async move {
            // A federated token is renewed in its file.
            secrets::register_environment();
            let token = self.0.get_token(scopes, options).await?;
            secrets::register(token.token.secret());
            Ok(token)
        }
        .boxed()
    }
}
