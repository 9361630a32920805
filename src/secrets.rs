//! Secrets that this process knows, and their removal from every text that leaves it.
//!
//! Code that reads a token, a client secret, a key or a shared access signature registers it here.
//! [`redact`] then replaces it, also where a server sends it back in an error: as it is, percent-encoded,
//! escaped for JSON or HTML, or in a mixture of these. It is applied where errors are made, and once more
//! where texts are shown, logged or stored.
//!
//! The registry belongs to the process, as its environment does.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// Replaces a secret.
const MASK: &str = "***";

/// Shorter texts are no secrets: they would occur by chance.
const SHORTEST: usize = 8;

/// Secrets that are kept. Tokens are renewed every hour or so; of more than these the oldest have
/// expired.
const MOST: usize = 512;

/// In the order in which they became known, decoded.
static SECRETS: RwLock<Vec<Arc<[u8]>>> = RwLock::new(Vec::new());

/// Variables of the environment that hold secrets: of Azure, and the key of placeholders.
const VARIABLES: [&str; 9] = [
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PASSWORD",
    "AZURE_PASSWORD",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "IDENTITY_HEADER",
    "MSI_SECRET",
    "GLEANER_PSEUDONYM_KEY",
];

/// Makes a secret known. One of fewer than 8 bytes is left alone.
pub fn register(secret: &str) {
    let secret = secret.trim();
    if secret.len() < SHORTEST {
        return;
    }
    let mut decoded = percent_decoded(secret.as_bytes());
    // In a text any number of backslashes may stand for one.
    decoded.dedup_by(|a, b| *a == b'\\' && a == b);
    let decoded: Arc<[u8]> = decoded.into();
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    if !secrets.contains(&decoded) {
        if secrets.len() == MOST {
            secrets.remove(0);
        }
        secrets.push(decoded);
    }
}

/// Makes a shared access signature known: the whole of it, and the signature in it.
pub fn register_sas(sas: &str) {
    let sas = sas.trim().trim_start_matches('?');
    register(sas);
    let parameters = sas.split('&').filter_map(|pair| pair.split_once('='));
    for (name, value) in parameters {
        if name == "sig" {
            register(value);
        }
    }
}

/// Makes known what the environment holds for Azure's logins and storage, the key of placeholders, and passwords of
/// proxies.
pub fn register_environment() {
    let value = |name: &str| std::env::var(name).ok();
    for secret in VARIABLES.iter().filter_map(|name| value(name)) {
        register_sas(&secret);
    }
    // `AccountName=...;AccountKey=...;SharedAccessSignature=...`
    let connection = value("AZURE_STORAGE_CONNECTION_STRING").unwrap_or_default();
    for (name, secret) in connection
        .split(';')
        .filter_map(|pair| pair.split_once('='))
    {
        if name.ends_with("Key") || name == "SharedAccessSignature" {
            register_sas(secret);
        }
    }
    if let Some(token) = value("AZURE_FEDERATED_TOKEN_FILE")
        && let Ok(token) = std::fs::read_to_string(token)
    {
        register(&token);
    }
    for proxy in [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ] {
        if let Some(password) = value(proxy).as_deref().and_then(password_of) {
            register(password);
        }
    }
}

/// The password in a proxy's address, `http://USER:PASSWORD@HOST:PORT`, as it is written there.
fn password_of(address: &str) -> Option<&str> {
    let after_scheme = address.split_once("://").map_or(address, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next()?;
    let (user, _host) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// A text with `***` for every secret that is known.
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut secrets = {
        let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
        if secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        secrets.clone()
    };
    // One that contains another goes first.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    redact_all(text, &secrets)
}

/// As [`redact`], of a text that is owned.
pub fn redacted(text: String) -> String {
    match redact(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(clean) => clean,
    }
}

fn redact_all<'t>(text: &'t str, secrets: &[Arc<[u8]>]) -> Cow<'t, str> {
    let bytes = text.as_bytes();
    let (mut out, mut copied, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        let found = secrets
            .iter()
            .find_map(|secret| length_at(secret, &bytes[at..]));
        match found.filter(|length| text.is_char_boundary(at) && text.is_char_boundary(at + length))
        {
            Some(length) => {
                out.push_str(&text[copied..at]);
                out.push_str(MASK);
                at += length;
                copied = at;
            }
            None => at += 1,
        }
    }
    if copied == 0 && out.is_empty() {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// The bytes that a secret takes at the beginning of a text, in any of its encodings.
fn length_at(secret: &[u8], text: &[u8]) -> Option<usize> {
    secret.iter().try_fold(0, |at, &byte| {
        character_at(byte, &text[at..]).map(|length| at + length)
    })
}

/// The bytes that one byte of a secret takes at the beginning of a text.
fn character_at(byte: u8, text: &[u8]) -> Option<usize> {
    // Encoded first: what `&amp;` begins with is no plain `&`.
    encoded_at(byte, text).or_else(|| (text.first() == Some(&byte)).then_some(1))
}

/// As [`character_at`], of one that is not written as it is.
fn encoded_at(byte: u8, text: &[u8]) -> Option<usize> {
    match text.first()? {
        b'%' => {
            // `%2B`, or encoded twice, `%252B`.
            let twice = text[1..].chunks(2).take_while(|two| two == b"25").count();
            (0..=twice).find_map(|times| {
                let hex = text.get(1 + 2 * times..3 + 2 * times)?;
                (number(hex, 16)? == u32::from(byte)).then_some(3 + 2 * times)
            })
        }
        b'+' => (byte == b' ').then_some(1),
        b'\\' => {
            // `\/`, `\"`, `\u002b`; in a text within a text with more backslashes.
            let slashes = text.iter().take_while(|&&byte| byte == b'\\').count();
            let rest = &text[slashes..];
            if rest.first() == Some(&byte) {
                return Some(slashes + 1);
            }
            let hex = rest.strip_prefix(b"u").and_then(|rest| rest.get(..4));
            match hex.and_then(|hex| number(hex, 16)) {
                Some(code) if code == u32::from(byte) => Some(slashes + 5),
                _ => (byte == b'\\').then_some(slashes),
            }
        }
        b'&' => {
            let end = text.iter().take(8).position(|&byte| byte == b';')?;
            let code = match &text[1..end] {
                b"amp" => u32::from(b'&'),
                b"lt" => u32::from(b'<'),
                b"gt" => u32::from(b'>'),
                b"quot" => u32::from(b'"'),
                b"apos" => u32::from(b'\''),
                [b'#', b'x' | b'X', hex @ ..] => number(hex, 16)?,
                [b'#', digits @ ..] => number(digits, 10)?,
                _ => return None,
            };
            (code == u32::from(byte)).then_some(end + 1)
        }
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, radix).ok()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let code = hex.and_then(|hex| number(hex, 16));
        decoded.push(code.map_or(*first, |code| code as u8));
        rest = if code.is_some() { &after[2..] } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean(text: &str, secrets: &[&str]) -> String {
        let secrets: Vec<Arc<[u8]>> = secrets
            .iter()
            .map(|secret| percent_decoded(secret.as_bytes()).into())
            .collect();
        redact_all(text, &secrets).into_owned()
    }

    #[test]
    fn a_proxys_password_is_found() {
        for (address, password) in [
            ("http://user:pass%40word@proxy:3128/", Some("pass%40word")),
            ("user:p@ss@proxy:3128", Some("p@ss")),
            ("http://user@proxy:3128", None),
            ("http://proxy:3128/a:b@c", None),
            ("", None),
        ] {
            assert_eq!(password_of(address), password, "{address}");
        }
    }

    #[test]
    fn a_secret_is_replaced_however_it_is_written() {
        let secret = "a+b/c=\"d\\e f&g";
        for written in [
            "a+b/c=\"d\\e f&g",
            "a%2Bb%2Fc%3D%22d%5Ce%20f%26g",
            "a%2bb%2fc%3d%22d%5ce+f%26g",
            "a%252Bb%252Fc%253D%2522d%255Ce%2520f%2526g",
            "a+b\\/c=\\\"d\\\\e f&g",
            "a\\u002bb\\u002Fc\\u003d\\u0022d\\u005ce\\u0020f\\u0026g",
            "a+b/c=\\\\\\\"d\\\\\\\\e f&g",
            "a&#43;b&#x2F;c=&quot;d\\e f&amp;g",
            "a%2Bb/c=\\\"d\\\\e%20f&amp;g",
        ] {
            let text = format!("é<{written}>é");
            assert_eq!(clean(&text, &[secret]), "é<***>é", "{written}");
        }
        for other in ["a+b/c=\"d\\e f&", "a%2", "\\u00", "&#", "%", "\\", "", "é"] {
            assert_eq!(clean(other, &[secret]), other);
        }
    }

    #[test]
    fn an_encoded_secret_is_found_decoded_and_every_time() {
        let secret = "abc%2Bdefg%3D";
        assert_eq!(
            clean("1 abc+defg= 2 abc%2Bdefg%3D3", &[secret]),
            "1 *** 2 ***3"
        );
        assert_eq!(clean("abc%252Bdefg%253D", &[secret]), "***");
    }

    #[test]
    fn what_is_known_is_replaced_and_what_is_short_is_not() {
        register("sevenby");
        register("  a secret of the first test\n");
        register_sas("?sv=2020&sig=c2lnbmF0dXJlIG9mIGEgdGVzdA%3D%3D&se=2099");
        assert_eq!(redact("sevenby"), "sevenby");
        assert_eq!(redact("(a secret of the first test)"), "(***)");
        assert_eq!(redact("sig is c2lnbmF0dXJlIG9mIGEgdGVzdA=="), "sig is ***");
        let whole = "to ?sv=2020&sig=c2lnbmF0dXJlIG9mIGEgdGVzdA%3D%3D&se=2099.";
        assert_eq!(redact(whole), "to ?***.");
    }
}
