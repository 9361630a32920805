//! Checksums and shapes that tell a key from what only looks like one.

/// Shannon entropy, in bits a byte.
pub fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in text {
        counts[usize::from(byte)] += 1;
    }
    let length = text.len().max(1) as f64;
    let bits = |&count: &u32| {
        let share = f64::from(count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|&&count| count > 0).map(bits).sum()
}

/// CRC-32 (IEEE), of a token's few dozen bytes.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for &byte in bytes {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0xEDB8_8320 * low);
        }
    }
    !crc
}

/// The six digits with which GitHub and npm end a token: CRC-32 of what stands between prefix and digits, in base 62.
pub fn base62_checksum(body: &[u8]) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32(body);
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// A token of a prefix of 4 bytes, 30 bytes and their checksum. Longer ones are announced, without a checksum that is
/// documented.
pub fn has_base62_checksum(token: &[u8]) -> bool {
    match token.get(4..).and_then(<[u8]>::split_last_chunk::<6>) {
        Some((body, digits)) if body.len() == 30 => base62_checksum(body) == *digits,
        _ => entropy(token) >= 3.5,
    }
}

/// `glsa_`, 32 bytes, `_` and the CRC-32 of all before it as 8 hexadecimal digits.
pub fn has_grafana_checksum(token: &[u8]) -> bool {
    let Some((body, digits)) = token.split_last_chunk::<8>() else {
        return false;
    };
    grafana_checksum(&body[..body.len().saturating_sub(1)]).as_bytes() == digits
}

/// The digits with which a token of a Grafana service account ends.
pub fn grafana_checksum(body: &[u8]) -> String {
    format!("{:08x}", crc32(body))
}

/// The check digit of ISO/IEC 7812 over the digits of a text.
pub fn is_luhn(text: &[u8]) -> bool {
    let digits = text.iter().rev().filter(|byte| byte.is_ascii_digit());
    let sum: u32 = digits
        .enumerate()
        .map(|(place, byte)| match (place % 2, u32::from(byte - b'0')) {
            (0, digit) => digit,
            (_, digit) => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: the country and check digits behind the rest, letters as numbers from 10 on, modulo 97.
pub fn is_iban(text: &[u8]) -> bool {
    let signs: Vec<u8> = text.iter().copied().filter(|byte| *byte != b' ').collect();
    if iban_length(&signs) != Some(signs.len()) {
        return false;
    }
    let (front, rest) = signs.split_at(4);
    let mut remainder = 0;
    for &sign in rest.iter().chain(front) {
        remainder = match sign {
            b'0'..=b'9' => (remainder * 10 + u32::from(sign - b'0')) % 97,
            b'A'..=b'Z' => (remainder * 100 + u32::from(sign - b'A') + 10) % 97,
            _ => return false,
        };
    }
    remainder == 1
}

/// The length that the registry of IBANs names for the country that a text begins with.
pub fn iban_length(text: &[u8]) -> Option<usize> {
    const LENGTHS: &[(usize, &str)] = &[
        (15, "NO"),
        (16, "BE"),
        (18, "DK FK FI FO GL NL"),
        (19, "MK SI"),
        (20, "AT BA EE KZ LT LU XK"),
        (21, "CH HR LI LV"),
        (22, "BG BH CR DE GB GE IE ME RS VA"),
        (23, "AE GI IL IQ OM TL"),
        (24, "AD CZ ES MD PK RO SA SE SK TN VG"),
        (25, "LY PT ST"),
        (26, "IS TR"),
        (27, "BI DJ FR GR IT MC MR SM"),
        (28, "AL AZ BY CY DO GT HU LB NI PL SV"),
        (29, "BR EG PS QA UA"),
        (30, "JO KW MU YE"),
        (31, "MT SC"),
        (32, "LC"),
        (33, "RU"),
    ];
    let country = std::str::from_utf8(text.get(..2)?).ok()?;
    let of = LENGTHS.iter();
    let mut of = of.filter(|(_, countries)| countries.split(' ').any(|one| one == country));
    of.next().map(|(length, _)| *length)
}

/// Words in what stands for a value that the reader is to put in.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your",
    "dummy",
    "xxxx",
    "****",
    "....",
    "redacted",
    "insert",
    "replace",
    "undefined",
    "12345678",
    "process.env",
    "environ",
    "getenv",
    "secrets.",
    "config.",
    "settings.",
    "string",
];

/// Whether a value beside a name that says "secret" is one: letters and digits or other signs, not one of the things
/// that stand for a value, no path, call, variable or date.
pub fn is_secret_value(value: &[u8]) -> bool {
    if !(8..=512).contains(&value.len()) || value.iter().any(|b| *b <= b' ' || *b >= 0x7f) {
        return false;
    }
    let has = |kind: fn(&u8) -> bool| value.iter().any(kind);
    let (letters, digits) = (has(u8::is_ascii_alphabetic), has(u8::is_ascii_digit));
    let is_mixed = letters && digits;
    // A word with one sign at its end is a word.
    let signs = value
        .iter()
        .filter(|byte| b"!@#$%^&*+?~".contains(byte))
        .count();
    let is_long_mix =
        value.len() >= 20 && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    let is_plausible = is_mixed || (letters && signs > 1) || (is_long_mix && entropy(value) >= 4.0);
    is_plausible && entropy(value) >= 2.8 && !is_stand_in(value)
}

/// Whether a value is a variable, a path, a call or something to be replaced.
pub fn is_stand_in(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let contains = |word: &str| memchr::memmem::find(&lower, word.as_bytes()).is_some();
    let is_scheme = contains("://") || lower.starts_with(b"./") || lower.starts_with(b"../");
    let first = value[0];
    let is_variable = matches!(first, b'$' | b'<' | b'{' | b'%' | b'[' | b'(' | b'&' | b'*');
    let is_path = first == b'/'
        && value.iter().filter(|byte| **byte == b'/').count() > 1
        && entropy(value) < 4.2;
    is_variable
        || is_scheme
        || is_path
        || contains("(")
        || is_identifier(value)
        || PLACEHOLDERS.iter().any(|word| contains(word))
}

/// A name as programs write it: words of letters, with digits only behind a word; a word alone is one if it is long
/// and has capital letters in it.
fn is_identifier(value: &[u8]) -> bool {
    let mut words = value.split(|byte| b"_-.:/".contains(byte));
    let rises = |letters: &[u8]| {
        let pairs = letters.windows(2);
        let rises =
            pairs.filter(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
        rises.count()
    };
    let is_word = |word: &[u8]| {
        let letters = word
            .iter()
            .take_while(|byte| byte.is_ascii_alphabetic())
            .count();
        let (letters, digits) = word.split_at(letters);
        let is_named = rises(letters) * 4 <= letters.len();
        digits.len() <= 2
            && digits.iter().all(u8::is_ascii_digit)
            && is_named
            && entropy(letters) < 3.9
    };
    let is_name =
        value.iter().any(|byte| b"_-.:/".contains(byte)) || (value.len() >= 14 && rises(value) > 0);
    is_name && words.all(is_word)
}

/// As [`is_secret_value`], for names that stand beside much else: `token`, `auth`.
pub fn is_token_value(value: &[u8]) -> bool {
    let is_hex = value
        .iter()
        .all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
    value.len() >= 16 && !is_hex && entropy(value) >= 3.5 && is_secret_value(value)
}

/// Whether a token may begin here: no letter or digit before it, but for one that ends an escape, as in text that was
/// escaped once more (`\n`, `\u0022`, `%3D`).
pub fn is_boundary_before(text: &[u8], at: usize) -> bool {
    let before = &text[..at];
    match before {
        [] => true,
        [.., byte] if !byte.is_ascii_alphanumeric() => true,
        [.., b'\\', b'n' | b't' | b'r' | b'b' | b'f'] => true,
        [.., b'%', a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => true,
        [.., b'\\', b'u', a, b, c, d] => [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_that_of_github() {
        // Published by GitHub's users as an example; it was never a key.
        let token = ["ghp", "_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ", "0mLq17"].concat();
        assert!(has_base62_checksum(token.as_bytes()));
        let other = token.replace("0mLq17", "0mLq18");
        assert!(!has_base62_checksum(other.as_bytes()));
    }

    #[test]
    fn cards_and_ibans_have_check_digits() {
        assert!(is_luhn(b"4539 1488 0343 6467"));
        assert!(!is_luhn(b"4539 1488 0343 6468"));
        assert!(is_iban(b"GB82 WEST 1234 5698 7654 32"));
        assert!(!is_iban(b"GB83 WEST 1234 5698 7654 32"));
        assert!(!is_iban(b"GB82 WEST 1234 5698 7654"));
    }

    #[test]
    fn entropy_is_zero_for_one_letter_and_grows_with_the_alphabet() {
        assert_eq!(entropy(b"aaaa"), 0.0);
        assert_eq!(entropy(b"abcdabcd"), 2.0);
        assert_eq!(entropy(b""), 0.0);
    }

    #[test]
    fn what_stands_for_a_value_is_none() {
        for value in [
            "${API_KEY}1",
            "your-api-key-123",
            "process.env.KEY2",
            "get_token(1234)",
            "src/auth/login2",
            "service_account2",
            "https://host1/path",
            "aaaaaaaa1",
            "short1",
            "two words 12",
        ] {
            assert!(!is_secret_value(value.as_bytes()), "{value}");
        }
        for value in [
            "hunter2horse",
            "Tr0ub4dor&3",
            "9f8e7d6c5b4a39281706",
            "p@ssW!rdAb",
        ] {
            assert!(is_secret_value(value.as_bytes()), "{value}");
        }
        assert!(!is_token_value(b"9f8e7d6c5b4a39281706f5e4d3c2b1a098765432"));
    }
}
