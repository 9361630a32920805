//! Logging in to a cluster.
//!
//! Tokens are requested for the resource that the cluster names, if that is one of Kusto's, cached,
//! and renewed before they end. A token is never sent over plain http; an endpoint on the loopback
//! needs none.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use azure_core::credentials::{AccessToken, Secret, TokenCredential};
use reqwest::{Client, Url};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::error::{Failure, printable};
use super::trust::scope_of;
use crate::azure;
use crate::azure::Credential;
use crate::source::kusto::host_rule::HostRule;

/// The resource of public clusters.
const DEFAULT_RESOURCE: &str = "https://kusto.kusto.windows.net";

/// A token is renewed this long before it ends: longer than a request waits for its first byte.
const RENEW_BEFORE: Duration = Duration::from_secs(300);

/// A token that ends sooner is of no use even if no other can be had.
const LAST_USE: Duration = Duration::from_secs(30);

/// The longest that a tool or a service may take to give a token.
const LOGIN_TIMEOUT: Duration = Duration::from_secs(120);

/// Bytes of the auth metadata; real ones have some hundred.
const MOST_METADATA: usize = 64 << 10;

/// Makes what gives tokens.
type Maker = dyn Fn() -> Result<Arc<dyn TokenCredential>, String> + Send + Sync;

/// Gets tokens for one cluster.
pub struct Login {
    /// `None`: the endpoint needs no login.
    kind: Option<Credential>,
    make: Box<Maker>,
    cluster: Url,
    trusted: Vec<HostRule>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    credential: Option<Arc<dyn TokenCredential>>,
    scope: Option<String>,
    token: Option<AccessToken>,
    /// Whether there was a token before: then it is no use telling how to log in.
    has_worked: bool,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Login {
    /// For a cluster that may have a token, as may an audience among the `trusted` hosts. Over plain
    /// http there is no login.
    pub fn new(cluster: Url, kind: Credential, trusted: Vec<HostRule>) -> Self {
        let needed = match (kind, cluster.scheme()) {
            (Credential::None, _) | (_, "http") => None,
            (kind, _) => Some(kind),
        };
        Self {
            kind: needed,
            make: Box::new(move || azure::credential(kind)),
            cluster,
            trusted,
            state: Mutex::default(),
        }
    }

    /// A token that lasts for a while; `None` where none is needed. `fresh`: the one given last
    /// was refused.
    ///
    /// # Errors
    /// Says what to run or set; once a login has worked, that it may work again.
    pub async fn token(&self, client: &Client, fresh: bool) -> Result<Option<Secret>, Failure> {
        let Some(kind) = self.kind else {
            return Ok(None);
        };
        let mut state = self.state.lock().await;
        if fresh {
            // Its cache may hold the token that was refused.
            (state.credential, state.token) = (None, None);
        }
        let now = azure_core::time::OffsetDateTime::now_utc();
        let lasts = |token: &AccessToken, long: Duration| token.expires_on - now > long;
        let held = state.token.as_ref();
        if let Some(token) = held.filter(|token| lasts(token, RENEW_BEFORE)) {
            return Ok(Some(token.token.clone()));
        }
        match self.renewed(client, &mut state, kind).await {
            Ok(token) => {
                state.has_worked = true;
                Ok(Some(state.token.insert(token).token.clone()))
            }
            Err(failure) => match &state.token {
                Some(token) if lasts(token, LAST_USE) => {
                    tracing::warn!(%failure, "the login is not renewed yet, it still lasts");
                    Ok(Some(token.token.clone()))
                }
                _ => Err(failure),
            },
        }
    }

    async fn renewed(
        &self,
        client: &Client,
        state: &mut State,
        kind: Credential,
    ) -> Result<AccessToken, Failure> {
        let has_worked = state.has_worked;
        let failed = |message: &str| {
            let message = printable(message.as_bytes());
            match has_worked {
                true => Failure::LoginAgain(message),
                false => Failure::Login(format!("{message}; {}", azure::login_hint(kind))),
            }
        };
        let credential = match &state.credential {
            Some(credential) => Arc::clone(credential),
            None => {
                let made = (self.make)().map_err(|error| failed(&error))?;
                Arc::clone(state.credential.insert(made))
            }
        };
        let scope = match &state.scope {
            Some(scope) => scope.clone(),
            None => {
                let resource = resource(client, &self.cluster).await?;
                let scope = scope_of(&resource, &self.trusted).map_err(Failure::Audience)?;
                state.scope.insert(scope).clone()
            }
        };
        let scopes = [scope.as_str()];
        match timeout(LOGIN_TIMEOUT, credential.get_token(&scopes, None)).await {
            Ok(token) => token.map_err(|error| failed(&error.to_string())),
            Err(_) => Err(failed(&format!(
                "no token within {} s",
                LOGIN_TIMEOUT.as_secs()
            ))),
        }
    }
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

/// The resource that the cluster names; not every endpoint does.
async fn resource(client: &Client, cluster: &Url) -> Result<String, Failure> {
    // At the root of the host: the cluster's path does not count.
    let mut address = cluster.clone();
    address.set_path("/v1/rest/auth/metadata");
    let reported =
        |error: reqwest::Error| Failure::Connection(super::client::describe_error(&error));
    let mut answer = client
        .get(address)
        .timeout(Duration::from_secs(60))
        .send()
        .await
        .map_err(reported)?;
    match answer.status().as_u16() {
        200 => {
            let mut body = Vec::new();
            while let Some(more) = answer.chunk().await.map_err(reported)? {
                body.extend_from_slice(&more);
                if body.len() > MOST_METADATA {
                    return Err(Failure::Damaged(
                        "the cluster's auth metadata has more than 64 KB".to_owned(),
                    ));
                }
            }
            serde_json::from_slice::<Metadata>(&body)
                .map(|metadata| metadata.azure_ad.resource)
                .map_err(|_| {
                    Failure::Damaged("the cluster's auth metadata cannot be read".to_owned())
                })
        }
        status @ (408 | 429 | 500..) => Err(Failure::Server(format!(
            "HTTP {status} from the cluster's auth metadata"
        ))),
        // There is none (404), or it is not for everyone.
        _ => Ok(DEFAULT_RESOURCE.to_owned()),
    }
}

#[cfg(test)]
mod tests;
