//! The loops for AVX-512: 512-bit vectors with masks. F, BW and VL are enough.

pub(super) mod canonical;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;

use core::arch::x86_64::{__m512i, _mm512_loadu_si512};

/// A register of words.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u64; 8]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}
