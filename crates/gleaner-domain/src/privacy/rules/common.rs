//! Formats without a vendor, keys that are known by the name beside them, and what names a person.

use crate::privacy::checks::{is_secret_value, is_stand_in, is_token_value};
use crate::privacy::personal;
use crate::privacy::rule::Rule;

const OWASP: &str =
    "https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html";

/// The names of secrets whose value may be any text.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "secret",
    "api_key",
    "apikey",
    "api-key",
    "access_key",
    "accesskey",
    "access-key",
    "private_key",
    "privatekey",
    "signing_key",
    "encryption_key",
    "auth_key",
    "authkey",
    "master_key",
    "client_key",
    "access_token",
    "accesstoken",
    "access-token",
    "auth_token",
    "authtoken",
    "auth-token",
    "refresh_token",
    "refreshtoken",
    "bearer_token",
    "session_token",
    "api_token",
    "apitoken",
    "api-token",
    "credential",
];

pub const RULES: &[Rule] = &[
    Rule::secret("private-key", "PRIVATE_KEY", "https://www.rfc-editor.org/rfc/rfc7468", &["-----BEGIN"],
        // Line breaks may be escaped, once or more; the end may have been cut off.
        r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----(?:(?:\\{0,8}[rn]|[\sA-Za-z0-9+/=:,.()-])*?-----END [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|(?:\\{1,8}[rn]|\s)+[A-Za-z0-9+/]{20,}(?:(?:\\{1,8}[rn]|[\r\n])+[A-Za-z0-9+/]{4,})*={0,2})").unchecked(),
    Rule::secret("putty-private-key", "PRIVATE_KEY", "https://the.earth.li/~sgtatham/putty/latest/htmldoc/AppendixC.html", &["Private-Lines:"],
        r"Private-Lines: ?[0-9]{1,4}(?:\\{1,8}[rn]|\s)+([A-Za-z0-9+/]{20,}(?:(?:\\{1,8}[rn]|[\r\n])+[A-Za-z0-9+/]{4,})*={0,2})").unchecked(),
    Rule::secret("jwt", "JWT", "https://www.rfc-editor.org/rfc/rfc7519", &["eyJ"],
        r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}"),
    Rule::secret("url-password", "PASSWORD", "https://www.rfc-editor.org/rfc/rfc3986#section-3.2.1", &["://"],
        r#"://[^\s/:@"'`<>\\{}$]{1,100}:([^\s/@"'`<>\\{}$:]{3,200})@[A-Za-z0-9\[]"#).checked(is_url_password),
    Rule::secret("curl-password", "PASSWORD", "https://curl.se/docs/manpage.html#-u", &["curl "],
        r#"curl [^\r\n|;]{0,300}?(?:-u|--user)[ =]{0,2}[\\"']{0,4}[^\s/:@"'`<>\\{}$-][^\s/:@"'`<>\\{}$]{0,99}:([^\s"'`<>\\{}$]{3,200})"#).checked(is_curl_password),
    Rule::secret("authorization-header", "AUTHORIZATION", "https://www.rfc-editor.org/rfc/rfc9110#field.authorization", &["bearer ", "basic ", "authorization: token "],
        r"(?i:Bearer|Basic|authorization: token) {1,2}([A-Za-z0-9._~+/-]{20,}={0,2})").checked(is_credential).generic(),
    Rule::secret("named-secret", "SECRET", OWASP, NAMES,
        r#"[A-Za-z0-9_.-]{3,40}?[\\"'`\])]{0,6}[ \t]{0,3}(?::=|=>|==?|:)[ \t]{0,3}(?:(?i:[bru]{0,2})[\\"'`]{1,6})?([!#$%&*+\-./0-9:=?@A-Z^_a-z|~]{8,512})"#).checked(is_secret_value).generic(),
    Rule::secret("named-token", "SECRET", OWASP, &["token", "auth"],
        r#"(?i:token|auth)[\\"'`\]]{0,6}[ \t]{0,3}(?::=|=>|==?|:)[ \t]{0,3}(?:(?i:[bru]{0,2})[\\"'`]{1,6})?([!#$%&*+\-./0-9:=?@A-Z^_a-z|~]{16,512})"#).checked(is_token_value).generic(),
    Rule::personal("email", "EMAIL", "https://www.rfc-editor.org/rfc/rfc5321#section-2.3.11", &["@", "%40"],
        r"[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}").run(personal::is_local_part, 64).checked(personal::is_email),
    Rule::personal("home-path", "USER", "https://refspecs.linuxfoundation.org/FHS_3.0/fhs/ch03s08.html", &["/home/", "/Users/", "\\Users\\", ":/users/", ":\\users\\"],
        // In small letters only behind a drive: `/users/7` is a path of many services.
        r#"(?:/home|/Users|\\Users|:[\\/](?i:users))[\\/]{1,8}([^\\/\s"'`<>|:*?,;()\[\]{}$%]{1,64})"#).checked(personal::is_user_folder),
    Rule::personal("home-path-of-two-names", "USER", "https://learn.microsoft.com/windows/win32/shell/knownfolderid#FOLDERID_Profile", &["/Users/", "\\Users\\"],
        r#"(?:[\\/](?i:users))[\\/]{1,8}([^\\/\s"'`<>|:*?,;()\[\]{}$%&]{1,64}(?: [A-Z\x80-\xff][^\\/\s"'`<>|:*?,;()\[\]{}$%&]{0,31}){1,3})[\\/]"#).checked(personal::is_user_folder),
];

fn is_url_password(password: &[u8]) -> bool {
    const SHOWN: &[&[u8]] = &[
        b"password",
        b"pass",
        b"pwd",
        b"passwd",
        b"secret",
        b"token",
        b"xxx",
    ];
    let is_port = password.iter().all(u8::is_ascii_digit) && password.len() <= 5;
    let lower = password.to_ascii_lowercase();
    !is_port && !SHOWN.contains(&&lower[..]) && !lower.iter().all(|byte| *byte == lower[0])
}

/// The password of `curl -u`: not one for everybody to read.
fn is_curl_password(password: &[u8]) -> bool {
    is_url_password(password) && !is_stand_in(password)
}

/// A credential of a header: encoded, so that it is no word.
fn is_credential(text: &[u8]) -> bool {
    super::looks_random(text, 3.3) && is_secret_value_of_any_length(text)
}

fn is_secret_value_of_any_length(text: &[u8]) -> bool {
    is_secret_value(&text[..text.len().min(512)])
}
