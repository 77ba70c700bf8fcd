//! Halves of words with all bits set, eight words at a time.

use crate::simd::x86::Avx512;
use core::arch::x86_64::{__m512i, _mm512_cmpeq_epi32_mask, _mm512_loadu_si512, _mm512_set1_epi32};

/// Whether a half of any word, be it the upper or the lower one, has all bits set.
pub(in crate::simd) fn any_half_full(_: Avx512, words: &[[u64; 8]]) -> bool {
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F.
    unsafe { any_full(words) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn any_full(words: &[[u64; 8]]) -> bool {
    let full = _mm512_set1_epi32(-1);
    words.iter().fold(0, |seen, eight| seen | _mm512_cmpeq_epi32_mask(load(eight), full)) != 0
}
