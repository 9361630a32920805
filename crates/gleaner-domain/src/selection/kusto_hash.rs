//! Kusto's `hash()`: xxHash64 with seed 0 over the UTF-8 bytes, read as a signed 64-bit integer.
//!
//! Source: KQL documentation of `hash()` and `hash_xxhash64()`. `%` is Kusto's non-negative modulo
//! (`0 <= N % D < abs(D)`), which is `rem_euclid`. So one line of KQL checks any split:
//! `print hash("World") % 100` gives 51.

use xxhash_rust::xxh64::xxh64;

/// `hash(text)` as Kusto computes it.
pub fn hash(text: &[u8]) -> i64 {
    xxh64(text, 0) as i64
}

/// `hash % modulus`, never negative.
///
/// # Panics
/// If `modulus` is 0, as any division by zero does.
pub fn modulo(hash: i64, modulus: u32) -> u32 {
    // The remainder is below `modulus`, so it fits.
    hash.rem_euclid(i64::from(modulus)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_of_the_kusto_documentation() {
        let long = format!("conv-{}", "x".repeat(100));
        let vectors: [(&str, i64, u32, u32); 10] = [
            ("", -1205034819632174695, 5, 25),
            ("a", -3292477735350538661, 39, 19),
            ("World", 1846988464401551951, 51, 31),
            ("Hello", 753694413698530628, 28, 28),
            ("sgd-train-1_00000", -2660623874688407938, 62, 22),
            ("e\u{301}", 8330987794066338766, 66, 6),
            (&long, 2660360554252828625, 25, 25),
            ("日本語-会話", 6444270604085691360, 60, 0),
            ("🙂", 585552020754485715, 15, 35),
            (
                "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
                -2735869238820840649,
                51,
                31,
            ),
        ];
        for (text, expected, mod100, mod40) in vectors {
            let hash = hash(text.as_bytes());
            assert_eq!(hash, expected, "{text}");
            assert_eq!(modulo(hash, 100), mod100, "{text}");
            assert_eq!(modulo(hash, 40), mod40, "{text}");
        }
    }

    #[test]
    fn a_negative_hash_has_a_non_negative_remainder() {
        assert_eq!(modulo(-1, 100), 99);
        assert_eq!(modulo(i64::MIN, 100), 92);
    }
}
