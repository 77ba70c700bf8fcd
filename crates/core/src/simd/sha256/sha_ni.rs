//! SHA-256 with the SHA extensions of x86-64, two messages interleaved (FIPS 180-4, section 6.2).
//!
//! The tag byte puts every word of a message across two words of the content. A byte shuffle of 16 bytes of content
//! makes the four message words out of it at once, but for their first byte, which is the last one of the 16 before.

use crate::field::Fp;
use crate::simd::words;
use crate::simd::x86::ShaNi;
use core::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_blendv_epi8, _mm_loadu_si128, _mm_set_epi32, _mm_set_epi64x,
    _mm_setr_epi8, _mm_setzero_si128, _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
    _mm_shuffle_epi32, _mm_storeu_si128,
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

/// Hashes two messages of the same kind at a time.
#[derive(Clone, Copy)]
pub(crate) struct Pairs(ShaNi);

impl Pairs {
    /// `None` on a processor without the instructions.
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        ShaNi::detect().map(Self)
    }

    /// The hashes of `tag` and the big-endian words of each leaf. A leaf fills whole blocks.
    #[inline]
    pub(crate) fn leaves<const WORDS: usize>(self, tag: u8, leaves: [&[Fp; WORDS]; 2]) -> [[u8; 32]; 2] {
        const { assert!(WORDS.is_multiple_of(8)) };
        // SAFETY: a `ShaNi` exists only where the processor has the SHA extensions and AVX.
        unsafe { hash(tag, leaves.map(|leaf| words(leaf).as_chunks::<2>().0), of_words()) }
    }

    /// The hashes of `tag` and each pair of hashes.
    #[inline]
    pub(crate) fn parents(self, tag: u8, children: [&[[u8; 32]; 2]; 2]) -> [[u8; 32]; 2] {
        // SAFETY: as above.
        unsafe { hash(tag, children.map(|pair| pair.as_flattened().as_chunks::<16>().0), of_bytes()) }
    }
}

/// Message words from two little-endian words of 64 bits; byte 3 is the byte that the next 16 bytes start with.
#[inline]
#[target_feature(enable = "sha,avx")]
fn of_words() -> __m128i {
    _mm_setr_epi8(5, 6, 7, 8, 1, 2, 3, 4, 13, 14, 15, 0, 9, 10, 11, 12)
}

/// Message words from bytes; byte 3 is the byte that the next 16 bytes start with.
#[inline]
#[target_feature(enable = "sha,avx")]
fn of_bytes() -> __m128i {
    _mm_setr_epi8(2, 1, 0, 15, 6, 5, 4, 3, 10, 9, 8, 7, 14, 13, 12, 11)
}

/// The hashes of `tag` and two contents of whole blocks, given in pieces of 16 bytes.
#[inline]
#[target_feature(enable = "sha,avx")]
fn hash<T, const N: usize>(tag: u8, contents: [&[[T; N]]; 2], order: __m128i) -> [[u8; 32]; 2] {
    let first_byte = _mm_set_epi32(0, 0, 0, 0xff00_0000_u32 as i32);
    let mut carried = [_mm_set_epi32(0, 0, 0, i32::from(tag) << 24); 2];
    let mut states = [[abef(), cdgh()]; 2];
    for (a, b) in contents[0].chunks_exact(4).zip(contents[1].chunks_exact(4)) {
        let mut words = [[_mm_setzero_si128(); 4]; 2];
        for i in 0..4 {
            for (lane, piece) in [&a[i], &b[i]].into_iter().enumerate() {
                let shuffled = _mm_shuffle_epi8(load(piece), order);
                words[lane][i] = _mm_blendv_epi8(shuffled, carried[lane], first_byte);
                carried[lane] = shuffled;
            }
        }
        compress(&mut states, &mut words);
    }
    let bits = 8 * (1 + 16 * contents[0].len() as i32);
    let (one, zero, length) = (_mm_set_epi32(0, 0, 0, 0x0080_0000), _mm_setzero_si128(), _mm_set_epi32(bits, 0, 0, 0));
    let last = |carried| [_mm_blendv_epi8(one, carried, first_byte), zero, zero, length];
    let mut words = [last(carried[0]), last(carried[1])];
    compress(&mut states, &mut words);
    let [first, second] = states;
    [leaving(first), leaving(second)]
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn load<T, const N: usize>(words: &[T; N]) -> __m128i {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: 16 bytes of integers are readable, and the load needs no alignment.
    unsafe { _mm_loadu_si128(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "sha,avx")]
fn compress(states: &mut [[__m128i; 2]; 2], words: &mut [[__m128i; 4]; 2]) {
    let start = *states;
    let (scheduled, last) = K.split_at(12);
    for constants in scheduled.as_chunks::<4>().0 {
        four_rounds::<0, true>(states, words, load(&constants[0]));
        four_rounds::<1, true>(states, words, load(&constants[1]));
        four_rounds::<2, true>(states, words, load(&constants[2]));
        four_rounds::<3, true>(states, words, load(&constants[3]));
    }
    four_rounds::<0, false>(states, words, load(&last[0]));
    four_rounds::<1, false>(states, words, load(&last[1]));
    four_rounds::<2, false>(states, words, load(&last[2]));
    four_rounds::<3, false>(states, words, load(&last[3]));
    for (state, start) in states.iter_mut().zip(start) {
        *state = [_mm_add_epi32(state[0], start[0]), _mm_add_epi32(state[1], start[1])];
    }
}

/// Four rounds of both messages with words number `I`, which become those of sixteen rounds later if there are any.
#[inline]
#[target_feature(enable = "sha,avx")]
fn four_rounds<const I: usize, const NEXT: bool>(
    states: &mut [[__m128i; 2]; 2],
    words: &mut [[__m128i; 4]; 2],
    constants: __m128i,
) {
    for ([abef, cdgh], words) in states.iter_mut().zip(words) {
        let [w0, w1, w2, w3] = [words[I], words[(I + 1) % 4], words[(I + 2) % 4], words[(I + 3) % 4]];
        let sum = _mm_add_epi32(w0, constants);
        *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
        *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32::<0x0e>(sum));
        if NEXT {
            let next = _mm_add_epi32(_mm_sha256msg1_epu32(w0, w1), _mm_alignr_epi8::<4>(w3, w2));
            words[I] = _mm_sha256msg2_epu32(next, w3);
        }
    }
}

/// Half of the first state, in the order in which the instructions want it: A, B, E, F from the highest word down.
#[inline]
#[target_feature(enable = "sha,avx")]
fn abef() -> __m128i {
    let [a, b, _, _, e, f, _, _] = IV.map(|word| word as i32);
    _mm_set_epi32(a, b, e, f)
}

/// The other half: C, D, G, H.
#[inline]
#[target_feature(enable = "sha,avx")]
fn cdgh() -> __m128i {
    let [_, _, c, d, _, _, g, h] = IV.map(|word| word as i32);
    _mm_set_epi32(c, d, g, h)
}

/// The hash: A to H, big-endian.
#[inline]
#[target_feature(enable = "sha,avx")]
fn leaving([abef, cdgh]: [__m128i; 2]) -> [u8; 32] {
    let (feba, dchg) = (_mm_shuffle_epi32::<0x1b>(abef), _mm_shuffle_epi32::<0xb1>(cdgh));
    let halves = [_mm_blend_epi16::<0xf0>(feba, dchg), _mm_alignr_epi8::<8>(dchg, feba)];
    let big_endian = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
    let mut hash = [0; 32];
    for (bytes, half) in hash.as_chunks_mut::<16>().0.iter_mut().zip(halves) {
        // SAFETY: 16 bytes are writable, and the store needs no alignment.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm_shuffle_epi8(half, big_endian)) }
    }
    hash
}
