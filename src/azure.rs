//! Logging in to Azure, and what its services have in common.

#[cfg(any(feature = "azure", feature = "kusto"))]
mod login;

#[cfg(any(feature = "azure", feature = "kusto"))]
pub(crate) use login::http_client;
#[cfg(any(feature = "azure", feature = "kusto"))]
pub use login::{credential, is_loopback, login_hint};

/// Ways to log in to Azure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// `az login` or `azd auth login`.
    DeveloperTools,
    /// The managed identity of this machine.
    ManagedIdentity,
    /// The workload identity of a Kubernetes pod.
    WorkloadIdentity,
    /// A service principal, from the environment.
    ClientSecret,
    /// Not at all.
    None,
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
