//! Halves of words with all bits set, four words at a time.

use super::load;
use crate::simd::x86::Avx2;
use core::arch::x86_64::{_mm256_cmpeq_epi32, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi32, _mm256_setzero_si256};

/// Whether a half of any word, be it the upper or the lower one, has all bits set.
pub(in crate::simd) fn any_half_full(_: Avx2, words: &[[u64; 8]]) -> bool {
    // SAFETY: an `Avx2` exists only where the processor has AVX2.
    unsafe { any_full(words) }
}

#[target_feature(enable = "avx2")]
fn any_full(words: &[[u64; 8]]) -> bool {
    let full = _mm256_set1_epi32(-1);
    let mut seen = [_mm256_setzero_si256(); 2];
    for eight in words {
        for (seen, four) in seen.iter_mut().zip(eight.as_chunks::<4>().0) {
            *seen = _mm256_or_si256(*seen, _mm256_cmpeq_epi32(load(four), full));
        }
    }
    _mm256_movemask_epi8(_mm256_or_si256(seen[0], seen[1])) != 0
}
