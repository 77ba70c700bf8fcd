//! SHA-256 with the SHA extensions of x86-64, two messages interleaved (FIPS 180-4, section 6.2).

use crate::simd::ShaNi;
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_loadu_si128, _mm_set_epi64x, _mm_sha256msg1_epu32,
    _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_storeu_si128,
};

const IV: [u32; 8] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

#[rustfmt::skip]
const K: [[u32; 4]; 16] = [
    [0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5], [0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5],
    [0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3], [0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174],
    [0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc], [0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da],
    [0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7], [0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967],
    [0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13], [0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85],
    [0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3], [0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070],
    [0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5], [0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3],
    [0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208], [0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2],
];

/// The hashes of two padded messages.
pub(super) fn two<const BLOCKS: usize>(_: ShaNi, messages: &[[[u8; 64]; BLOCKS]; 2]) -> [[u8; 32]; 2] {
    let mut states = [IV; 2];
    for (first, second) in messages[0].iter().zip(&messages[1]) {
        // SAFETY: a `ShaNi` exists only where the processor has the SHA extensions and SSE4.1.
        unsafe { compress(&mut states, [first, second]) }
    }
    states.map(|state| {
        let mut hash = [0; 32];
        hash.as_chunks_mut::<4>().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_be_bytes());
        hash
    })
}

#[inline]
#[target_feature(enable = "sse4.1")]
fn load<T, const N: usize>(words: &[T; N]) -> __m128i {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: 16 bytes of integers are readable, and the load needs no alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[target_feature(enable = "sha,sse4.1")]
fn compress(states: &mut [[u32; 8]; 2], blocks: [&[u8; 64]; 2]) {
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut words = blocks.map(|block| {
        let (quarters, _) = block.as_chunks::<16>();
        [0, 1, 2, 3].map(|i: usize| _mm_shuffle_epi8(load(&quarters[i]), big_endian))
    });
    let start = [entering(&states[0]), entering(&states[1])];
    let mut running = start;
    for constants in K.as_chunks::<4>().0 {
        four_rounds::<0>(&mut running, &mut words, load(&constants[0]));
        four_rounds::<1>(&mut running, &mut words, load(&constants[1]));
        four_rounds::<2>(&mut running, &mut words, load(&constants[2]));
        four_rounds::<3>(&mut running, &mut words, load(&constants[3]));
    }
    for ((state, start), end) in states.iter_mut().zip(start).zip(running) {
        leaving(state, [_mm_add_epi32(start[0], end[0]), _mm_add_epi32(start[1], end[1])]);
    }
}

/// Four rounds of both messages with words number `I`, which become those of sixteen rounds later.
#[inline]
#[target_feature(enable = "sha,sse4.1")]
fn four_rounds<const I: usize>(states: &mut [[__m128i; 2]; 2], words: &mut [[__m128i; 4]; 2], constants: __m128i) {
    for ([abef, cdgh], words) in states.iter_mut().zip(words) {
        let [w0, w1, w2, w3] = [words[I], words[(I + 1) % 4], words[(I + 2) % 4], words[(I + 3) % 4]];
        let sum = _mm_add_epi32(w0, constants);
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
        let next = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
        words[I] = _mm_sha256msg2_epu32(next, w3);
    }
}

/// The state in the order in which the instructions want it: ABEF, CDGH.
#[inline]
#[target_feature(enable = "sse4.1")]
fn entering(state: &[u32; 8]) -> [__m128i; 2] {
    let [abcd, efgh] = [state[..4].as_chunks::<4>().0[0], state[4..].as_chunks::<4>().0[0]];
    let cdab = _mm_shuffle_epi32::<0xb1>(load(&abcd));
    let hgfe = _mm_shuffle_epi32::<0x1b>(load(&efgh));
    [_mm_alignr_epi8::<8>(cdab, hgfe), _mm_blend_epi16::<0xf0>(hgfe, cdab)]
}

/// The inverse of [`entering`].
#[inline]
#[target_feature(enable = "sse4.1")]
fn leaving(state: &mut [u32; 8], [abef, cdgh]: [__m128i; 2]) {
    let feba = _mm_shuffle_epi32::<0x1b>(abef);
    let dchg = _mm_shuffle_epi32::<0xb1>(cdgh);
    let (low, high) = state.split_at_mut(4);
    // SAFETY: each half is 16 bytes of words, and the store needs no alignment.
    unsafe {
        _mm_storeu_si128(low.as_mut_ptr().cast(), _mm_blend_epi16::<0xf0>(feba, dchg));
        _mm_storeu_si128(high.as_mut_ptr().cast(), _mm_alignr_epi8::<8>(dchg, feba));
    }
}
