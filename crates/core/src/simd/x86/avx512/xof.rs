//! Sixteen output blocks of BLAKE3 at a time, one in each 32-bit lane.

use crate::simd::x86::Avx512;
use crate::simd::xof::{BLOCK_WORDS, Root, SCHEDULE};
use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

const LANES: usize = 16;

/// Output blocks number `counter` and up.
pub(in crate::simd) fn blocks(_: Avx512, root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F.
    unsafe { blocks_avx512(root, counter, out) }
}

#[target_feature(enable = "avx512f")]
fn blocks_avx512(root: &Root, mut counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    let message = root.message.map(|word| _mm512_set1_epi32(word as i32));
    let (sixteens, rest) = out.as_chunks_mut::<LANES>();
    for sixteen in sixteens {
        sixteen_blocks(root, &message, counter, sixteen);
        counter = counter.wrapping_add(LANES as u64);
    }
    if !rest.is_empty() {
        let mut sixteen = [[0; BLOCK_WORDS]; LANES];
        sixteen_blocks(root, &message, counter, &mut sixteen);
        rest.copy_from_slice(&sixteen[..rest.len()]);
        zeroize::Zeroize::zeroize(&mut sixteen);
    }
}

#[target_feature(enable = "avx512f")]
fn sixteen_blocks(root: &Root, message: &[__m512i; 16], counter: u64, out: &mut [[u64; BLOCK_WORDS]; LANES]) {
    let all = |word: u32| _mm512_set1_epi32(word as i32);
    let lanes = |shift: u32| load(core::array::from_fn(|i| (counter.wrapping_add(i as u64) >> shift) as u32));
    let cv = &root.chaining;
    let constants = Root::constants();
    let mut v = [
        all(cv[0]),
        all(cv[1]),
        all(cv[2]),
        all(cv[3]),
        all(cv[4]),
        all(cv[5]),
        all(cv[6]),
        all(cv[7]),
        all(constants[0]),
        all(constants[1]),
        all(constants[2]),
        all(constants[3]),
        lanes(0),
        lanes(32),
        all(root.length),
        all(root.flags),
    ];
    round::<0>(&mut v, message);
    round::<1>(&mut v, message);
    round::<2>(&mut v, message);
    round::<3>(&mut v, message);
    round::<4>(&mut v, message);
    round::<5>(&mut v, message);
    round::<6>(&mut v, message);
    for i in 0..8 {
        v[i] = _mm512_xor_si512(v[i], v[i + 8]);
        v[i + 8] = _mm512_xor_si512(v[i + 8], all(cv[i]));
    }
    transpose(&v, out);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: [u32; LANES]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(block: &mut [u64; BLOCK_WORDS], vector: __m512i) {
    // SAFETY: a block is 64 bytes of plain words, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), vector) }
}

/// One round. Its number is a constant, so that each is compiled in place with the state in registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn round<const R: usize>(v: &mut [__m512i; 16], message: &[__m512i; 16]) {
    let m = |i: usize| message[const { SCHEDULE[R] }[i]];
    mix(v, [0, 4, 8, 12], m(0), m(1));
    mix(v, [1, 5, 9, 13], m(2), m(3));
    mix(v, [2, 6, 10, 14], m(4), m(5));
    mix(v, [3, 7, 11, 15], m(6), m(7));
    mix(v, [0, 5, 10, 15], m(8), m(9));
    mix(v, [1, 6, 11, 12], m(10), m(11));
    mix(v, [2, 7, 8, 13], m(12), m(13));
    mix(v, [3, 4, 9, 14], m(14), m(15));
}

#[inline]
#[target_feature(enable = "avx512f")]
fn mix(v: &mut [__m512i; 16], [a, b, c, d]: [usize; 4], x: __m512i, y: __m512i) {
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], x), v[b]);
    v[d] = _mm512_ror_epi32::<16>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<12>(_mm512_xor_si512(v[b], v[c]));
    v[a] = _mm512_add_epi32(_mm512_add_epi32(v[a], y), v[b]);
    v[d] = _mm512_ror_epi32::<8>(_mm512_xor_si512(v[d], v[a]));
    v[c] = _mm512_add_epi32(v[c], v[d]);
    v[b] = _mm512_ror_epi32::<7>(_mm512_xor_si512(v[b], v[c]));
}

/// Words of all blocks to blocks of words: a 16 x 16 matrix, rows to columns. First within the quarters of four registers
/// at a time, so that quarter q of the k-th result has four words of block 4q + k; then the quarters themselves.
#[inline]
#[target_feature(enable = "avx512f")]
fn transpose(v: &[__m512i; 16], out: &mut [[u64; BLOCK_WORDS]; LANES]) {
    let (w, x, y, z) = (four_words(v, 0), four_words(v, 4), four_words(v, 8), four_words(v, 12));
    for k in 0..4 {
        let even = |a, b| _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let odd = |a, b| _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        let (first, last) = ((even(w[k], x[k]), odd(w[k], x[k])), (even(y[k], z[k]), odd(y[k], z[k])));
        store(&mut out[k], even(first.0, last.0));
        store(&mut out[4 + k], even(first.1, last.1));
        store(&mut out[8 + k], odd(first.0, last.0));
        store(&mut out[12 + k], odd(first.1, last.1));
    }
}

/// Four 4 x 4 matrices of words, one in each quarter, rows to columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn four_words(v: &[__m512i; 16], from: usize) -> [__m512i; 4] {
    let (a, b, c, d) = (v[from], v[from + 1], v[from + 2], v[from + 3]);
    let (low, high) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (lower, higher) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(low, lower),
        _mm512_unpackhi_epi64(low, lower),
        _mm512_unpacklo_epi64(high, higher),
        _mm512_unpackhi_epi64(high, higher),
    ]
}
