//! Sixteen output blocks of BLAKE3 at a time, one in each 32-bit lane.

use crate::simd::x86::Avx512;
use crate::simd::xof::{BLOCK_WORDS, Root, compress, in_lanes};
use core::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_ror_epi32, _mm512_set1_epi32, _mm512_shuffle_i32x4,
    _mm512_storeu_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

const LANES: usize = 16;

/// Output blocks number `counter` and up of a root whose message ends with zeros from word `WORDS` on.
pub(in crate::simd) fn blocks<const WORDS: usize>(_: Avx512, root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F.
    unsafe { blocks_avx512::<WORDS>(root, counter, out) }
}

#[target_feature(enable = "avx512f")]
fn blocks_avx512<const WORDS: usize>(root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    let message = root.message.map(|word| _mm512_set1_epi32(word as i32));
    let columns = root.columns(counter);
    in_lanes(counter, out, |low, blocks| sixteen_blocks::<WORDS>(root, &columns, &message, low, blocks));
}

#[target_feature(enable = "avx512f")]
fn sixteen_blocks<const WORDS: usize>(
    root: &Root,
    columns: &[u32; 16],
    message: &[__m512i; 16],
    low: [u32; LANES],
    out: &mut [[u64; BLOCK_WORDS]; LANES],
) {
    let all = |word: u32| _mm512_set1_epi32(word as i32);
    let v = compress!(root, columns, load(&low), WORDS, message, all, _mm512_xor_si512, mix);
    transpose(&v, out);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u32; LANES]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(block: &mut [u64; BLOCK_WORDS], vector: __m512i) {
    // SAFETY: a block is 64 bytes of plain words, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), vector) }
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
