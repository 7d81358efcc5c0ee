//! Plain digests of a file's bytes: sqlx, Prisma, sqitch.

use sha2::Digest as _;

use super::hex;

/// SHA-384, as sqlx keeps it.
pub(in crate::adopt) fn sha384_hex(bytes: &[u8]) -> String {
    hex(&sha2::Sha384::digest(bytes))
}

/// SHA-1, as sqitch keeps it of a deploy script.
pub(in crate::adopt) fn sha1_hex(bytes: &[u8]) -> String {
    hex(&sha1::Sha1::digest(bytes))
}

/// SHA-256, as Prisma writes it now, and as an early version did: there each byte had as few digits as it needed.
pub(in crate::adopt) fn prisma_sums(bytes: &[u8]) -> [String; 2] {
    let digest = sha2::Sha256::digest(bytes);
    [hex(&digest), digest.iter().map(|byte| format!("{byte:x}")).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of FIPS 180.
    #[test]
    fn digests_are_the_standard_s() {
        assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            sha384_hex(b"abc"),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"
        );
        let [now, early] = prisma_sums(b"abc");
        assert_eq!(now, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        // 01, 03 and 00 lose their zeros.
        assert_eq!(early, "ba7816bf8f1cfea414140de5dae2223b0361a396177a9cb410ff61f2015ad");
    }
}
