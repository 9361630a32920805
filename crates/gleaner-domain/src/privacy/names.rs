//! Names that say that what stands beside them is a secret.

/// The letters and digits of a name, in small letters; `None` of one that is longer than names are.
fn normal(name: &[u8], normal: &mut [u8; 64]) -> Option<usize> {
    let mut length = 0;
    for byte in name.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        *normal.get_mut(length)? = byte.to_ascii_lowercase();
        length += 1;
    }
    Some(length)
}

/// Whether a name in which "secret" or "token" stands says that it is none: the name of a secret, the place where a
/// list goes on.
pub fn names_no_secret(name: &[u8]) -> bool {
    const ENDS: &[&[u8]] = &[
        b"name", b"id", b"type", b"ref", b"path", b"file", b"arn", b"uri", b"url", b"field",
        b"class", b"policy", b"version",
    ];
    const TOKENS: &[&[u8]] = &[
        b"pagetoken",
        b"nexttoken",
        b"continuationtoken",
        b"cursortoken",
        b"synctoken",
        b"cancellationtoken",
    ];
    let mut text = [0; 64];
    let name = normal(name, &mut text).map_or(&[][..], |length| &text[..length]);
    let ends = |ends: &[&[u8]]| ends.iter().any(|end| name.ends_with(end));
    ends(ENDS) || ends(TOKENS)
}

/// Whether a JSON key names a secret, so that its value is one whatever stands in it.
pub fn names_a_secret(key: &[u8]) -> bool {
    let mut name = [0; 64];
    let Some(length) = normal(key, &mut name) else {
        return false;
    };
    const ENDS: &[&[u8]] = &[
        b"password",
        b"passwd",
        b"passphrase",
        b"pwd",
        b"secret",
        b"secretkey",
        b"apikey",
        b"accesskey",
        b"privatekey",
        b"signingkey",
        b"encryptionkey",
        b"authkey",
        b"masterkey",
        b"accountkey",
        b"accesstoken",
        b"authtoken",
        b"refreshtoken",
        b"bearertoken",
        b"sessiontoken",
        b"apitoken",
        b"credential",
        b"credentials",
    ];
    ENDS.iter().any(|end| name[..length].ends_with(end))
}
