//! Patterns that are written for Go's `regexp` (<https://github.com/google/re2/wiki/Syntax>), as gitleaks' are.

/// The same pattern for this crate's engine: a brace that begins no repetition stands for itself, and within a class so
/// do `[` and `&`.
pub(super) fn translated(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern;
    // Whether within a class, and whether a `]` would be its first member.
    let (mut in_class, mut is_first) = (false, false);
    while let Some(c) = rest.chars().next() {
        let was_first = std::mem::take(&mut is_first);
        let mut length = c.len_utf8();
        let mut is_literal = false;
        match c {
            '\\' => length = escape(rest),
            '[' if !in_class => {
                (in_class, is_first) = (true, true);
                length += usize::from(rest[1..].starts_with('^'));
            }
            '[' if rest.starts_with("[:") => length = rest.find(":]").map_or(1, |end| end + 2),
            ']' if in_class && !was_first => in_class = false,
            '[' | ']' | '&' => is_literal = in_class,
            '{' => is_literal = !in_class && !begins_repetition(rest),
            _ => {}
        }
        if is_literal {
            out.push('\\');
        }
        out.push_str(&rest[..length]);
        rest = &rest[length..];
    }
    out
}

/// The length of the escape that a pattern begins with: `\d`, `\x{41}`, `\p{L}`.
fn escape(pattern: &str) -> usize {
    let Some(escaped) = pattern[1..].chars().next() else {
        return 1;
    };
    let length = 1 + escaped.len_utf8();
    let is_braced = matches!(escaped, 'x' | 'p' | 'P') && pattern[length..].starts_with('{');
    let end = pattern.find('}').filter(|_| is_braced);
    end.map_or(length, |end| end + 1)
}

/// Whether a pattern begins with `{2}`, `{2,}` or `{2,5}`.
fn begins_repetition(pattern: &str) -> bool {
    let Some(end) = pattern.find('}') else {
        return false;
    };
    let inside = &pattern[1..end];
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    !least.is_empty() && is_number(least) && is_number(most)
}

#[cfg(test)]
mod tests {
    use super::translated;
    use crate::privacy::finder::compile;

    #[test]
    fn what_stands_for_itself_in_go_does_here() {
        for (pattern, text) in [
            (r"^\$(?:\d+|{\d+})$", "${12}"),
            (r"^\${(?:[A-Z_]+|[a-z_]+)}$", "${HOME_X}"),
            (r"^[[a]{2,3}$", "[a["),
            (r"^[]x]+$", "]x"),
            (r"^[^]]{2}$", "ab"),
            (r"^[a&&b]+$", "a&b"),
            (r"^[[:alpha:]_]{3,}$", "ab_"),
            (r"^\x{41}{2}$", "AA"),
            (r"^\{\}[{}]$", "{}{"),
            (r"^a{,3}$", "a{,3}"),
            ("^é{2}$", "éé"),
        ] {
            let compiled = compile(&translated(pattern)).expect(pattern);
            assert!(compiled.is_match(text), "{pattern}: {text}");
        }
        assert_eq!(translated(r"[a-z]{8}\b"), r"[a-z]{8}\b");
        assert!(compile(&translated(r"a\")).is_err());
    }
}
