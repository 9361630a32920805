//! Names of hosts, and rules that say which are meant.

use std::fmt;
use std::str::FromStr;

/// One host by its name, or all below a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// `host.example.com`: this host.
    Exact(String),
    /// `*.example.com`: every host below `example.com`, not `example.com` itself.
    Below(String),
}

/// A text that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no host: write a name such as kusto.example.com, or *.example.com for all below it, without scheme, port and path"
)]
pub struct NotAHost(String);

impl HostRule {
    /// Whether a host is meant: a name, an IPv4 address, or an IPv6 address with or without brackets.
    pub fn matches(&self, host: &str) -> bool {
        let host = bare(host).to_ascii_lowercase();
        match self {
            Self::Exact(name) => host == *name,
            Self::Below(domain) => is_below(&host, domain),
        }
    }
}

/// Whether a host in lower case has a label of its own before `.DOMAIN`.
pub fn is_below(host: &str, domain: &str) -> bool {
    let before = host.strip_suffix(domain);
    before.is_some_and(|before| before.len() > 1 && before.ends_with('.'))
}

fn bare(host: &str) -> &str {
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inner.unwrap_or(host)
}

impl FromStr for HostRule {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        let refused = || NotAHost(text.to_owned());
        let lower = text.to_ascii_lowercase();
        let (name, is_domain) = match lower.strip_prefix("*.") {
            Some(domain) => (domain, true),
            None => (bare(&lower), false),
        };
        let is_address = name.parse::<std::net::Ipv6Addr>().is_ok();
        let is_label = |label: &str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let is_name = name.split('.').all(is_label);
        match (is_domain, is_name, is_address) {
            // A whole top-level domain has no single owner.
            (true, true, _) if name.contains('.') => Ok(Self::Below(name.to_owned())),
            (false, true, _) | (false, _, true) => Ok(Self::Exact(name.to_owned())),
            _ => Err(refused()),
        }
    }
}

impl fmt::Display for HostRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Below(domain) => write!(f, "*.{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_means_one_host_or_all_below_a_domain() {
        for (rule, host, matches) in [
            ("a.example.com", "A.example.com", true),
            ("a.example.com", "b.a.example.com", false),
            ("*.Example.com", "a.example.com", true),
            ("*.example.com", "b.a.example.com", true),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("*.example.com", "badexample.com", false),
            ("*.example.com", "a.example.com.evil.net", false),
            ("127.0.0.1", "127.0.0.1", true),
            ("[::1]", "[::1]", true),
            ("::1", "[::1]", true),
            ("localhost", "localhost", true),
        ] {
            let parsed: HostRule = rule.parse().expect("a rule");
            assert_eq!(parsed.matches(host), matches, "{rule} {host}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "*example.com",
            "a.*.com",
            "https://a.example.com",
            "a.example.com:443",
            "a.example.com/x",
            "a..b",
            "a b",
        ] {
            assert!(text.parse::<HostRule>().is_err(), "{text}");
        }
    }
}
