//! The loops for AVX2: 256-bit vectors of x86-64 processors since 2013.

pub(super) mod canonical;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;

use core::arch::x86_64::{__m256i, _mm256_loadu_si256};

/// A register of words.
#[inline]
#[target_feature(enable = "avx2")]
fn load(words: &[u64; 4]) -> __m256i {
    // SAFETY: 32 bytes are readable, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}
