//! Halves of words with all bits set, eight words at a time.

use super::load;
use crate::simd::x86::Avx512;
use core::arch::x86_64::{_mm512_cmpeq_epi32_mask, _mm512_set1_epi32};

/// Whether a half of any word, be it the upper or the lower one, has all bits set.
pub(in crate::simd) fn any_half_full(_: Avx512, words: &[[u64; 8]]) -> bool {
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F.
    unsafe { any_full(words) }
}

#[target_feature(enable = "avx512f")]
fn any_full(words: &[[u64; 8]]) -> bool {
    let full = _mm512_set1_epi32(-1);
    words.iter().fold(0, |seen, eight| seen | _mm512_cmpeq_epi32_mask(load(eight), full)) != 0
}
