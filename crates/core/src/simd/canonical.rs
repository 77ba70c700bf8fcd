//! A quick look whether words are below p, where the processor has lanes for it.
//!
//! A word of p or more has all bits of its upper half set, as p - 1 has. The lanes look at lower halves as well: one random word
//! in 2^32 makes them say no without need.

use super::lanes::{self, Lanes};
use crate::field::EPSILON;

/// Whether all words are below p for sure; `false` where a closer look is needed.
pub(crate) fn surely_canonical(words: &[u64]) -> bool {
    match Lanes::detect() {
        Some(token) => {
            let (whole, rest) = words.as_chunks::<8>();
            !lanes::canonical::any_half_full(token, whole) && surely_canonical_portable(rest)
        }
        None => surely_canonical_portable(words),
    }
}

/// [`surely_canonical`], word by word: bit 32 of an upper half plus 1 is set only if all of the half is.
fn surely_canonical_portable(words: &[u64]) -> bool {
    words.iter().fold(0, |seen, word| seen | ((word >> 32) + 1)) <= EPSILON
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::MODULUS;
    use crate::simd::tests::each_set;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_word_that_is_not_below_p_is_always_seen(
            words in proptest::collection::vec(0..EPSILON << 32, 1..70), bad in MODULUS..=u64::MAX, at: prop::sample::Index,
        ) {
            prop_assert!(surely_canonical_portable(&words));
            // A lower half with all bits set may be taken for an upper one.
            let lower = words.iter().any(|word| *word as u32 == u32::MAX);
            let mut altered = words.clone();
            let at = at.index(words.len());
            altered[at] = bad;
            prop_assert!(!surely_canonical_portable(&altered));
            for set in each_set() {
                prop_assert!(surely_canonical(&words) || lower, "{}", set.name());
                prop_assert!(!surely_canonical(&altered), "{}", set.name());
            }
        }
    }
}
