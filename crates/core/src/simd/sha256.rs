//! Two SHA-256 hashes at a time. One hash waits for each of its rounds to end; two keep the unit for it busy.

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod sha_ni;

/// The hashes of two messages that carry their padding already, or `None` on a processor without the instructions.
#[inline]
pub(crate) fn two<const BLOCKS: usize>(messages: &[[[u8; 64]; BLOCKS]; 2]) -> Option<[[u8; 32]; 2]> {
    #[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
    return super::ShaNi::detect().map(|token| sha_ni::two(token, messages));
    #[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
    {
        let _ = messages;
        None
    }
}

/// The message `tag` || `content` with SHA-256's padding: 0x80, zeros, and the length in bits.
#[inline]
pub(crate) fn padded<const BLOCKS: usize>(tag: u8, content: &[&[u8]]) -> [[u8; 64]; BLOCKS] {
    let mut blocks = [[0; 64]; BLOCKS];
    let bytes = blocks.as_flattened_mut();
    bytes[0] = tag;
    let mut at = 1;
    for part in content {
        bytes[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    bytes[at] = 0x80;
    let end = bytes.len();
    bytes[end - 8..].copy_from_slice(&(8 * at as u64).to_be_bytes());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    proptest! {
        #[test]
        fn two_hashes_are_those_of_the_sha2_crate(a in proptest::collection::vec(any::<u8>(), 55..=118), b in proptest::collection::vec(any::<u8>(), 55..=118)) {
            if let Some(hashes) = two::<2>(&[padded(3, &[&a]), padded(4, &[&b[..b.len() / 2], &b[b.len() / 2..]])]) {
                prop_assert_eq!(&hashes[0][..], &Sha256::digest([&[3], &a[..]].concat())[..]);
                prop_assert_eq!(&hashes[1][..], &Sha256::digest([&[4], &b[..]].concat())[..]);
            }
        }
    }
}
