//! Two SHA-256 hashes at a time, for the two kinds of messages in a Merkle tree: a tag byte and a leaf's words, a tag
//! byte and two hashes. One hash waits for each of its rounds to end; two keep the unit for it busy.

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
pub(crate) use absent::Pairs;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) use sha_ni::Pairs;

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod sha_ni;

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
mod absent {
    use crate::field::Fp;

    /// No processor that this is built for has the instructions.
    #[derive(Clone, Copy)]
    pub(crate) enum Pairs {}

    impl Pairs {
        pub(crate) fn detect() -> Option<Self> {
            None
        }

        pub(crate) fn leaves<const WORDS: usize>(self, _tag: u8, _leaves: [&[Fp; WORDS]; 2]) -> [[u8; 32]; 2] {
            match self {}
        }

        pub(crate) fn parents(self, _tag: u8, _children: [&[[u8; 32]; 2]; 2]) -> [[u8; 32]; 2] {
            match self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Fp;
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    fn reference(tag: u8, content: &[u8]) -> [u8; 32] {
        Sha256::new().chain_update([tag]).chain_update(content).finalize().into()
    }

    fn words<const N: usize>(values: &[Fp; N]) -> Vec<u8> {
        values.iter().flat_map(|value| value.value().to_be_bytes()).collect()
    }

    fn leaf<const N: usize>(seed: &[u8; 32]) -> [Fp; N] {
        crate::stream::Stream::new(seed, "values", &[]).elements(N).try_into().unwrap()
    }

    proptest! {
        #[test]
        fn pairs_are_the_hashes_of_the_sha2_crate(tag: u8, seeds: [[u8; 32]; 2], children: [[[u8; 32]; 2]; 2]) {
            let Some(pairs) = Pairs::detect() else { return Ok(()) };
            let [a, b] = &seeds.map(|seed| leaf::<32>(&seed));
            prop_assert_eq!(pairs.leaves(tag, [a, b]), [reference(tag, &words(a)), reference(tag, &words(b))]);
            let [a, b] = &seeds.map(|seed| leaf::<8>(&seed));
            prop_assert_eq!(pairs.leaves(tag, [a, b]), [reference(tag, &words(a)), reference(tag, &words(b))]);
            let [a, b] = &children;
            let want = [reference(tag, a.as_flattened()), reference(tag, b.as_flattened())];
            prop_assert_eq!(pairs.parents(tag, [a, b]), want);
        }
    }
}
