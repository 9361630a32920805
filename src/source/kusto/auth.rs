//! Logging in to a cluster.
//!
//! Tokens are asked for in the name of the cluster's own resource, cached, and renewed before they
//! end. A token is never sent over plain http; an endpoint on the loopback needs none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::error::{Failure, printable};
use crate::azure;
use crate::config::settings::Credential;

/// The resource of public clusters.
const DEFAULT_RESOURCE: &str = "https://kusto.kusto.windows.net";

/// A token is renewed this long before it ends: longer than a request waits for its first byte.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// Gets tokens for one cluster.
pub struct Login {
    /// `None`: the endpoint needs no login.
    kind: Option<Credential>,
    cluster: Url,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    credential: Option<Arc<dyn TokenCredential>>,
    scope: Option<String>,
    token: Option<AccessToken>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// For a cluster. Over plain http there is no login.
    pub fn new(cluster: Url, kind: Credential) -> Self {
        let kind = match (kind, cluster.scheme()) {
            (Credential::None, _) | (_, "http") => None,
            (kind, _) => Some(kind),
        };
        Self {
            kind,
            cluster,
            state: Mutex::default(),
        }
    }

    /// A token that lasts for a while; `None` where none is needed. `fresh`: the one given last
    /// was refused.
    ///
    /// # Errors
    /// Says what to run or set.
    pub async fn token(&self, client: &Client, fresh: bool) -> Result<Option<Secret>, Failure> {
        let Some(kind) = self.kind else {
            return Ok(None);
        };
        let mut state = self.state.lock().await;
        if fresh {
            // Its cache may hold the token that was refused.
            *state = State {
                scope: state.scope.take(),
                ..State::default()
            };
        }
        let now = azure_core::time::OffsetDateTime::now_utc();
        if let Some(token) = &state.token
            && token.expires_on - now > RENEW_BEFORE
        {
            return Ok(Some(token.token.clone()));
        }
        let credential = match &state.credential {
            Some(credential) => Arc::clone(credential),
            None => Arc::clone(
                state
                    .credential
                    .insert(azure::credential(kind).map_err(|error| login_error(kind, &error))?),
            ),
        };
        let scope = match &state.scope {
            Some(scope) => scope.clone(),
            None => state
                .scope
                .insert(scope(client, &self.cluster).await?)
                .clone(),
        };
        let token = credential
            .get_token(&[&scope], None)
            .await
            .map_err(|error| login_error(kind, &error.to_string()))?;
        let secret = token.token.clone();
        state.token = Some(token);
        Ok(Some(secret))
    }
}

fn login_error(kind: Credential, message: &str) -> Failure {
    let hint = azure::login_hint(kind);
    Failure::Login(format!("{}; {hint}", printable(message.as_bytes())))
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "AzureAD")]
    azure_ad: AzureAd,
}

#[derive(Deserialize)]
struct AzureAd {
    #[serde(rename = "KustoServiceResourceId")]
    resource: String,
}

/// The scope that the cluster names; not every endpoint does.
async fn scope(client: &Client, cluster: &Url) -> Result<String, Failure> {
    let mut address = cluster.clone();
    address.set_path("/v1/rest/auth/metadata");
    let told = |error: reqwest::Error| Failure::Connection(super::client::told(&error));
    let answer = client
        .get(address)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .map_err(told)?;
    let resource = match answer.status().as_u16() {
        200 => {
            let body = answer.bytes().await.map_err(told)?;
            serde_json::from_slice::<Metadata>(&body)
                .map(|metadata| metadata.azure_ad.resource)
                .map_err(|_| {
                    Failure::Damaged("the cluster's auth metadata cannot be read".to_owned())
                })?
        }
        404 => DEFAULT_RESOURCE.to_owned(),
        status @ 500.. => {
            return Err(Failure::Server(format!(
                "HTTP {status} from the cluster's auth metadata"
            )));
        }
        _ => DEFAULT_RESOURCE.to_owned(),
    };
    Ok(format!("{}/.default", resource.trim_end_matches('/')))
}
