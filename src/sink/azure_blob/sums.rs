//! Checksums of blocks, and names that follow from them.

use md5::{Digest, Md5};

use crate::sink::azure_blob::settings::Checksum;

/// Checksums of a block.
pub struct Sums {
    /// CRC-64/NVME, little endian, as the service wants it.
    pub crc64: [u8; 8],
    /// If it is wanted.
    pub md5: Option<Vec<u8>>,
}

impl Sums {
    /// Those of a block.
    pub fn of(bytes: &[u8], checksum: Checksum) -> Self {
        let mut crc64 = crc64fast_nvme::Digest::new();
        crc64.write(bytes);
        Self {
            crc64: crc64.sum64().to_le_bytes(),
            md5: (checksum == Checksum::Md5).then(|| Md5::digest(bytes).to_vec()),
        }
    }

    /// The block's id: of the same length for all, and another for other content.
    pub fn id(&self, index: u32, length: u64) -> String {
        let crc64 = u64::from_le_bytes(self.crc64);
        format!("{index:08x}-{length:08x}-{crc64:016x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_the_one_that_the_service_computes() {
        let sums = Sums::of(b"123456789", Checksum::Md5);
        // The check value of CRC-64/NVME, its last byte first.
        assert_eq!(sums.crc64, 0xae8b_1486_0a79_9888_u64.to_le_bytes());
        let md5 = sums
            .md5
            .as_deref()
            .map(crate::domain::dataset::manifest::hex);
        assert_eq!(md5.as_deref(), Some("25f9e794323b453885f5181f1b624d0b"));
        assert_eq!(Sums::of(b"1", Checksum::Crc64).md5, None);
    }

    #[test]
    fn names_are_of_one_length_and_tell_content_place_and_length_apart() {
        let name =
            |bytes: &[u8], index| Sums::of(bytes, Checksum::Crc64).id(index, bytes.len() as u64);
        let names = [
            name(b"a", 0),
            name(b"a", 1),
            name(b"b", 0),
            name(&[0; 100_000], 49_999),
        ];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len());
        assert!(
            names.iter().all(|name| name.len() == names[0].len()),
            "{names:?}"
        );
    }
}
