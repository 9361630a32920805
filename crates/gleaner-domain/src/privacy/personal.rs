//! What names a person or a place: numbers that have a form, and the checks of addresses.

use std::ops::Range;

use super::checks::{iban_length, is_boundary_before, is_iban, is_luhn};
use super::rule::Rule;

mod phone;

use phone::phone;

/// The rules of numbers, which have no keyword: every digit is looked at.
pub const NUMBERS: &[Rule] = &[
    Rule::personal(
        "ipv4",
        "IP",
        "https://www.rfc-editor.org/rfc/rfc791",
        &[],
        "",
    ),
    Rule::personal(
        "ipv6",
        "IP",
        "https://www.rfc-editor.org/rfc/rfc4291",
        &[],
        "",
    ),
    Rule::personal(
        "card",
        "CARD",
        "https://www.iso.org/standard/70484.html",
        &[],
        "",
    ),
    Rule::personal(
        "iban",
        "IBAN",
        "https://www.swift.com/standards/data-standards/iban-international-bank-account-number",
        &[],
        "",
    ),
    Rule::personal(
        "phone",
        "PHONE",
        "https://www.itu.int/rec/T-REC-E.164",
        &[],
        "",
    ),
];

const IPV4: usize = 0;
const IPV6: usize = 1;
const CARD: usize = 2;
const IBAN: usize = 3;
const PHONE: usize = 4;

/// Says which numbers stand in a text: the place of the rule among [`NUMBERS`], and where.
pub fn numbers(text: &[u8], mut found: impl FnMut(usize, Range<usize>)) {
    let mut at = 0;
    while at < text.len() {
        if !text[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let run = text[at..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = number(text, at..at + run);
        // Digits of a number that was found begin no other.
        at = match number {
            Some((rule, range)) => {
                let end = range.end.max(at + run);
                found(rule, range);
                end
            }
            None => at + run,
        };
    }
}

/// What begins with, or just before, a run of digits.
fn number(text: &[u8], digits: Range<usize>) -> Option<(usize, Range<usize>)> {
    let before = &text[..digits.start];
    if let [.., a @ b'A'..=b'Z', b @ b'A'..=b'Z'] = before {
        let start = digits.start - 2;
        let is_begin = is_boundary_before(text, start);
        return match is_begin && digits.len() >= 2 && iban_length(&[*a, *b]).is_some() {
            true => iban(text, start),
            false => None,
        };
    }
    if let Some(end) = ipv6(text, digits.clone()) {
        return Some((IPV6, digits.start..end));
    }
    if before
        .last()
        .is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
        && !is_escape(before)
    {
        return None;
    }
    if digits.len() <= 3
        && let Some(end) = ipv4(text, digits.start)
    {
        return Some((IPV4, digits.start..end));
    }
    if let Some(range) = phone(text, digits.clone()) {
        return Some((PHONE, range));
    }
    card(text, digits).map(|range| (CARD, range))
}

/// Whether the last letter is that of an escape.
fn is_escape(before: &[u8]) -> bool {
    matches!(before, [.., b'\\', b'n' | b't' | b'r'])
}

/// Whether a number goes on, or a word begins, where one should end.
fn goes_on(text: &[u8], at: usize) -> bool {
    match text.get(at..).unwrap_or_default() {
        [byte, ..] if byte.is_ascii_alphanumeric() || *byte == b'_' => true,
        [b'.' | b'-' | b':', byte, ..] => byte.is_ascii_digit(),
        _ => false,
    }
}

fn ipv4(text: &[u8], start: usize) -> Option<usize> {
    if matches!(text[..start].last(), Some(b'.' | b'-' | b':' | b'/'))
        && !matches!(text[..start], [.., b'/', b'/'] | [.., b':'])
    {
        return None;
    }
    let mut octets = [0_u8; 4];
    let mut at = start;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            if text.get(at) != Some(&b'.') {
                return None;
            }
            at += 1;
        }
        let digits = text[at..]
            .iter()
            .take(4)
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let part = std::str::from_utf8(&text[at..at + digits]).ok()?;
        if part.len() > 1 && part.starts_with('0') {
            return None;
        }
        *octet = part.parse().ok()?;
        at += digits;
    }
    let ends = !matches!(text.get(at..).unwrap_or_default(), [byte, ..] if byte.is_ascii_alphanumeric() || *byte == b'_')
        && !matches!(text.get(at..).unwrap_or_default(), [b'.' | b'-', byte, ..] if byte.is_ascii_digit());
    (ends && is_public(octets) && !is_version(&text[..start])).then_some(at)
}

/// Whether what follows is a version: the word for it stands before, or the sign of a requirement.
fn is_version(before: &[u8]) -> bool {
    const SIGNS: &[u8] = b" \t\"'\\:=v(";
    let signs = before
        .iter()
        .rev()
        .take(8)
        .take_while(|byte| SIGNS.contains(byte))
        .count();
    let (word, signs) = before.split_at(before.len() - signs);
    let start = word.len().saturating_sub("version".len());
    let is_word = word[start..].eq_ignore_ascii_case(b"version");
    is_word || signs.ends_with(b"==")
}

/// Whether an address is one of a machine in the world: neither private, nor for documents, nor a service that
/// everybody uses. <https://www.iana.org/assignments/iana-ipv4-special-registry>
fn is_public(octets: [u8; 4]) -> bool {
    let [a, b, c, d] = octets;
    let is_special = matches!(a, 0 | 10 | 127 | 224..)
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || matches!(
            (a, b, c),
            (192, 0, 0 | 2) | (198, 18 | 19, _) | (198, 51, 100) | (203, 0, 113)
        );
    // Four numbers below 20 are a version.
    let is_low = octets.iter().all(|octet| *octet < 20);
    let is_resolver = matches!(
        (a, b, c, d),
        (8, 8, 8, 8) | (8, 8, 4, 4) | (1, 1, 1, 1) | (1, 0, 0, 1) | (9, 9, 9, 9)
    );
    !is_special && !is_low && !is_resolver
}

/// Global addresses: their first group has four digits, of which the first is 2 or 3.
fn ipv6(text: &[u8], digits: Range<usize>) -> Option<usize> {
    let start = digits.start;
    if !matches!(text[start], b'2' | b'3')
        || !is_boundary_before(text, start)
        || text[..start].ends_with(b":")
    {
        return None;
    }
    let is_of = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b':';
    let length = text[start..].iter().take(40).take_while(is_of).count();
    let mut address = &text[start..start + length];
    if let [rest @ .., b':'] = address
        && !rest.ends_with(b":")
    {
        address = rest;
    }
    let end = start + address.len();
    if text.get(end).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let address = std::str::from_utf8(address).ok()?;
    let groups: Vec<&str> = address.split(':').collect();
    let is_group = |group: &&str| group.len() <= 4;
    let full = groups.iter().filter(|group| !group.is_empty()).count();
    let is_whole = match address.matches("::").count() {
        0 => full == 8,
        1 => (2..8).contains(&full) && !address.contains(":::"),
        _ => false,
    };
    let is_documentation = address.starts_with("2001:db8:")
        || address.starts_with("2001:DB8:")
        || address.starts_with("2001:0db8:");
    let is_address =
        is_whole && groups[0].len() == 4 && groups.iter().all(is_group) && !is_documentation;
    is_address.then_some(end)
}

fn iban(text: &[u8], start: usize) -> Option<(usize, Range<usize>)> {
    let wanted = iban_length(&text[start..])?;
    let (mut at, mut signs) = (start, 0);
    while signs < wanted {
        match text.get(at)? {
            byte if byte.is_ascii_digit() || byte.is_ascii_uppercase() => signs += 1,
            b' ' if signs % 4 == 0 => {}
            _ => return None,
        }
        at += 1;
    }
    let is_found =
        !text.get(at).is_some_and(u8::is_ascii_alphanumeric) && is_iban(&text[start..at]);
    is_found.then_some((IBAN, start..at))
}

/// Digits with single blanks, dots or dashes between them: their number, and where the last one ends.
fn grouped(text: &[u8], start: usize, most: usize) -> (usize, usize) {
    let (mut at, mut digits, mut end) = (start, 0, start);
    while let Some(&byte) = text.get(at) {
        match byte {
            b'0'..=b'9' if digits < most => {
                digits += 1;
                end = at + 1;
            }
            b' ' | b'-' if at == end && at > start => {}
            _ => break,
        }
        at += 1;
    }
    (digits, end)
}

/// 13 to 19 digits that a card's issuer begins with, and that end with a check digit.
fn card(text: &[u8], run: Range<usize>) -> Option<Range<usize>> {
    let start = run.start;
    if matches!(text[..start].last(), Some(b'.' | b'-' | b'+' | b'#')) {
        return None;
    }
    let (digits, end) = grouped(text, start, 20);
    let number = &text[start..end];
    let is_split = run.len() != digits;
    let groups: Vec<usize> = number
        .split(|byte| !byte.is_ascii_digit())
        .map(<[u8]>::len)
        .collect();
    let is_grouped = !is_split
        || matches!(
            groups[..],
            [4, 4, 4, 4] | [4, 6, 5] | [4, 6, 4] | [4, 4, 4, 4, 3]
        );
    let sign = |place: usize| {
        number
            .iter()
            .filter(|byte| byte.is_ascii_digit())
            .nth(place)
            .map_or(0, |byte| u32::from(byte - b'0'))
    };
    let (two, four) = (
        sign(0) * 10 + sign(1),
        (0..4).fold(0, |all, place| all * 10 + sign(place)),
    );
    let is_issued = match digits {
        13 | 19 => sign(0) == 4 || four == 6011,
        14 => matches!(two, 30 | 36 | 38 | 39),
        15 => matches!(two, 34 | 37),
        16 => {
            sign(0) == 4
                || matches!(two, 51..=55 | 65)
                || matches!(four, 2221..=2720 | 3528..=3589 | 6011)
        }
        _ => false,
    };
    let is_card = is_grouped && is_issued && !goes_on(text, end) && is_luhn(number);
    let is_varied = number.iter().filter(|byte| **byte != number[0]).count() > 3;
    (is_card && is_varied).then_some(start..end)
}

/// What may stand before the `@`.
pub fn is_local_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._%+-".contains(&byte)
}

/// Domains that stand for any (RFC 2606), and endings of files.
pub fn is_email(address: &[u8]) -> bool {
    const NONE: &[&str] = &[
        "example",
        "test",
        "invalid",
        "localhost",
        "local",
        "internal",
    ];
    const FILES: &[&str] = &[
        "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "ts", "tsx", "jsx", "mjs", "json",
        "html", "yml", "yaml", "lock", "dll", "exe", "map", "so",
    ];
    let address = String::from_utf8_lossy(address).to_ascii_lowercase();
    let Some((local, domain)) = address
        .rsplit_once('@')
        .or_else(|| address.rsplit_once("%40"))
    else {
        return false;
    };
    let mut labels = domain.rsplit('.');
    let (last, before) = (
        labels.next().unwrap_or_default(),
        labels.next().unwrap_or_default(),
    );
    let is_example = NONE.contains(&last)
        || (before == "example" && matches!(last, "com" | "org" | "net" | "edu"));
    let is_login = matches!(local, "git" | "noreply" | "no-reply");
    !is_example && !is_login && !FILES.contains(&last)
}

/// Whether a folder below `/home` is somebody's: not of a machine that builds, nor a name for any user.
pub fn is_user_folder(name: &[u8]) -> bool {
    const NOBODY: &[&str] = &[
        "shared",
        "public",
        "default",
        "all users",
        "default user",
        "runner",
        "runneradmin",
        "ubuntu",
        "vscode",
        "node",
        "codespace",
        "circleci",
        "user",
        "username",
        "you",
        "yourname",
        "your_username",
        "your-username",
        "me",
        "root",
        "app",
        "jovyan",
        "linuxbrew",
        "vsts",
        "builder",
        "coder",
        "vagrant",
        "docker",
        "admin",
        "administrator",
        "containeradministrator",
        "name",
        "git",
        "jenkins",
        "travis",
        "gitpod",
        "www",
        "foo",
        "bar",
        "example",
    ];
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    !lower.starts_with('.') && !NOBODY.contains(&lower.as_str())
}
