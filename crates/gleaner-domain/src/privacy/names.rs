//! Names that say that what stands beside them is a secret.

/// Whether a JSON key names a secret, so that its value is one whatever stands in it.
pub fn names_a_secret(key: &[u8]) -> bool {
    let mut name = [0; 64];
    let mut length = 0;
    for byte in key.iter().filter(|byte| byte.is_ascii_alphanumeric()) {
        if length == name.len() {
            return false;
        }
        name[length] = byte.to_ascii_lowercase();
        length += 1;
    }
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
