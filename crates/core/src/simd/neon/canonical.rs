//! Halves of words with all bits set, two words at a time.

use super::load;
use crate::simd::neon::Lanes as Neon;
use core::arch::aarch64::{vceqq_u32, vdupq_n_u32, vmaxvq_u32, vorrq_u32, vreinterpretq_u32_u64};

/// Whether a half of any word, be it the upper or the lower one, has all bits set.
pub(in crate::simd) fn any_half_full(_: Neon, words: &[[u64; 8]]) -> bool {
    // SAFETY: the token exists only where the processor has NEON.
    unsafe { any_full(words) }
}

#[target_feature(enable = "neon")]
fn any_full(words: &[[u64; 8]]) -> bool {
    let full = vdupq_n_u32(u32::MAX);
    let mut seen = [vdupq_n_u32(0); 4];
    for eight in words {
        for (seen, two) in seen.iter_mut().zip(eight.as_chunks::<2>().0) {
            *seen = vorrq_u32(*seen, vceqq_u32(vreinterpretq_u32_u64(load(two)), full));
        }
    }
    vmaxvq_u32(vorrq_u32(vorrq_u32(seen[0], seen[1]), vorrq_u32(seen[2], seen[3]))) != 0
}
