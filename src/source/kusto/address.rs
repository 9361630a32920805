//! Addresses of clusters.

use reqwest::Url;

/// Whether an address holds what is no part of a cluster's, and may be a secret.
pub fn holds_more(url: &Url) -> bool {
    !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
}

/// An address as it may be shown: without a name and a password before the host, and without what
/// follows the path.
pub fn without_secrets(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or_default();
    match (address.split_once("//"), address.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}//{host}"),
        (None, Some((_, host))) => host.to_owned(),
        (_, None) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_an_address_is_printed() {
        for (address, reported) in [
            (
                "https://a.kusto.windows.net/x/y",
                "https://a.kusto.windows.net/x/y",
            ),
            ("https://me:hush@a.net/x?sig=hush#hush", "https://a.net/x"),
            ("me:hush@a.net", "a.net"),
            ("", ""),
        ] {
            assert_eq!(without_secrets(address), reported);
        }
    }
}
