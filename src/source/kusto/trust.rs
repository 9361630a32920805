//! The hosts that a token may be sent to, and the audiences it may have.
//!
//! A token goes to Kusto's own domains, to Azure Monitor's and to hosts that the user names
//! (`source.kusto.trusted_hosts`), and its audience must be on one of these, too: a server that is
//! none of them could use it elsewhere.
//!
//! The lists are those of the official clients: `wellKnownKustoEndpoints.json` of
//! Azure/azure-kusto-python (azure-kusto-data) and Azure/azure-kusto-java (data), without the
//! services in them that only speak Kusto's protocol (`PlayFab`, Resource Graph, Defender, DXP); the user who
//! exports from one of those names it in `source.kusto.trusted_hosts`.

use reqwest::Url;

use super::error::printable;
use crate::source::kusto::host_rule::{HostRule, is_below};

/// Domains of Kusto, with what each client appends a cluster's name to.
const KUSTO_DOMAINS: [&str; 18] = [
    // Public.
    "kusto.windows.net",
    "kustomfa.windows.net",
    "kustodev.windows.net",
    "kusto.azuresynapse.net",
    "kustodev.azuresynapse-dogfood.net",
    "kusto.data.microsoft.com",
    "kusto.fabric.microsoft.com",
    // US government.
    "kusto.usgovcloudapi.net",
    "kustomfa.usgovcloudapi.net",
    // China.
    "kusto.chinacloudapi.cn",
    "kustomfa.chinacloudapi.cn",
    "kusto.azuresynapse.azure.cn",
    // US government's closed clouds.
    "kusto.core.eaglex.ic.gov",
    "kustomfa.core.eaglex.ic.gov",
    "kusto.core.microsoft.scloud",
    "kustomfa.core.microsoft.scloud",
    // France.
    "kusto.sovcloud-api.fr",
    "kustomfa.sovcloud-api.fr",
];

/// Kusto's hosts with a name of their own.
const KUSTO_HOSTS: [&str; 2] = ["kusto.aria.microsoft.com", "eu.kusto.aria.microsoft.com"];

/// Azure Monitor's proxies.
const MONITOR_HOSTS: [&str; 24] = [
    "ade.applicationinsights.io",
    "ade.loganalytics.io",
    "adx.aimon.applicationinsights.azure.com",
    "adx.applicationinsights.azure.com",
    "adx.int.applicationinsights.azure.com",
    "adx.int.loganalytics.azure.com",
    "adx.int.monitor.azure.com",
    "adx.loganalytics.azure.com",
    "adx.monitor.azure.com",
    "adx.applicationinsights.azure.us",
    "adx.loganalytics.azure.us",
    "adx.monitor.azure.us",
    "adx.applicationinsights.azure.cn",
    "adx.loganalytics.azure.cn",
    "adx.monitor.azure.cn",
    "adx.applicationinsights.azure.eaglex.ic.gov",
    "adx.loganalytics.azure.eaglex.ic.gov",
    "adx.monitor.azure.eaglex.ic.gov",
    "adx.applicationinsights.azure.microsoft.scloud",
    "adx.loganalytics.azure.microsoft.scloud",
    "adx.monitor.azure.microsoft.scloud",
    "adx.applicationinsights.azure.fr",
    "adx.loganalytics.azure.fr",
    "adx.monitor.azure.fr",
];

/// Whether a cluster is behind an Azure Monitor proxy.
pub fn is_monitor_proxy(cluster: &Url) -> bool {
    MONITOR_HOSTS.contains(&cluster.host_str().unwrap_or_default())
}

/// Whether a host may get a token, or be the audience of one.
pub fn is_trusted(host: &str, trusted: &[HostRule]) -> bool {
    KUSTO_DOMAINS.iter().any(|domain| is_below(host, domain))
        || KUSTO_HOSTS.contains(&host)
        || MONITOR_HOSTS.contains(&host)
        || trusted.iter().any(|rule| rule.matches(host))
}

/// The scope of tokens for a resource that a cluster names.
///
/// # Errors
/// If it is none of Kusto's; names it.
pub fn scope_of(resource: &str, trusted: &[HostRule]) -> Result<String, String> {
    let host = Url::parse(resource)
        .ok()
        .filter(|url| {
            url.scheme() == "https"
                && url.port().is_none()
                && url.path().trim_matches('/').is_empty()
                && !super::address::holds_more(url)
        })
        .and_then(|url| url.host_str().map(str::to_owned))
        .filter(|host| is_trusted(host, trusted));
    match host {
        // Written anew: what reads a URL otherwise than this does must not see another host.
        Some(host) => Ok(format!("https://{host}/.default")),
        None => Err(format!(
            "the cluster wants tokens for {:?}, which is not Kusto; none was requested",
            printable(&resource.as_bytes()[..resource.len().min(200)])
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(of: &[&str]) -> Vec<HostRule> {
        let rule = |rule: &&str| rule.parse().expect("a rule");
        of.iter().map(rule).collect()
    }

    #[test]
    fn kusto_and_azure_monitor_are_trusted_and_what_looks_like_them_is_not() {
        for host in [
            "help.kusto.windows.net",
            "a.westeurope.kusto.windows.net",
            "a.kustomfa.windows.net",
            "a.z1.kusto.fabric.microsoft.com",
            "a.kusto.azuresynapse.net",
            "a.kusto.usgovcloudapi.net",
            "a.kusto.chinacloudapi.cn",
            "a.kusto.sovcloud-api.fr",
            "ade.loganalytics.io",
            "adx.monitor.azure.us",
            "adx.monitor.azure.cn",
        ] {
            assert!(is_trusted(host, &[]), "{host}");
        }
        for host in [
            "kusto.windows.net",
            "akusto.windows.net",
            "a.kusto.windows.net.example.com",
            "a.kusto.windows.net.",
            "a.windows.net",
            "x.ade.loganalytics.io",
            "management.azure.com",
            "localhost",
            "127.0.0.1",
            "[::1]",
            "example.com",
            "",
        ] {
            assert!(!is_trusted(host, &[]), "{host}");
        }
        let trusted = rules(&["*.example.com", "127.0.0.1"]);
        assert!(is_trusted("a.example.com", &trusted) && is_trusted("127.0.0.1", &trusted));
        assert!(!is_trusted("example.com", &trusted));
    }

    #[test]
    fn a_scope_is_of_kusto_or_there_is_none() {
        for resource in [
            "https://kusto.kusto.windows.net",
            "https://Kusto.kusto.windows.net/",
            "https://kusto.kusto.windows.net:443//",
        ] {
            assert_eq!(
                scope_of(resource, &[]).as_deref(),
                Ok("https://kusto.kusto.windows.net/.default")
            );
        }
        for resource in [
            "https://management.azure.com",
            "https://management.azure.com/.default https://a.kusto.windows.net",
            "https://a.kusto.windows.net/x",
            "https://a.kusto.windows.net?x",
            "https://a.kusto.windows.net#x",
            "https://a.kusto.windows.net:8443",
            "https://a.kusto.windows.net@management.azure.com",
            "https://management.azure.com@a.kusto.windows.net",
            "https://management.azure.com\\.kusto.windows.net",
            "http://a.kusto.windows.net",
            "a.kusto.windows.net",
            "",
        ] {
            let refused = scope_of(resource, &[]).expect_err(resource);
            assert!(refused.contains("not Kusto"), "{refused}");
        }
        assert_eq!(
            scope_of("https://k.example.com", &rules(&["*.example.com"])).as_deref(),
            Ok("https://k.example.com/.default")
        );
    }
}
