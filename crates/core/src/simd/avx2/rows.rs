//! Projections on ternary rows: sixteen rows at a time, four coordinates a look-up.
//!
//! For four values, the 16 sums of their subsets are computed once and stored as planes of bytes: plane l holds byte l
//! of each sum. A row's four bits of P are the index of the sum that it adds, its four bits of Q of the one that it
//! subtracts, and one `vpshufb` a plane looks up 16 rows with both signs. The differences of bytes are summed in
//! 16-bit lanes over a block of 64 groups (64 · 255 < 2^15), then in 32-bit lanes.
//!
//! Word i of vector r belongs to row 8i + r.

use crate::field::Fp;
use crate::simd::Avx2;
use crate::simd::rows::SMALL;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cmpgt_epi64, _mm256_cvtepi16_epi32, _mm256_extracti128_si256,
    _mm256_loadu_si256, _mm256_maddubs_epi16, _mm256_permute4x64_epi64, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32, _mm256_unpacklo_epi16,
    _mm256_unpacklo_epi32, _mm256_xor_si256,
};

/// Coordinates in one look-up.
const GROUP: usize = 4;
/// Groups of one block.
const GROUPS: usize = 64;
/// Coordinates of one block.
pub(crate) const COORDINATES: usize = GROUP * GROUPS;
/// Vectors of 16 rows: 128 rows.
const VECTORS: usize = 8;
const ROW_WORDS: usize = 4;
/// Blocks after which the 32-bit sums must be folded: 2^16 blocks add less than 2^30.
pub(crate) const FOLD: usize = 1 << 16;
/// Added to all sums of subsets of small values, so that they are not negative; differences lose it again.
const BIAS: u64 = 1 << 30;

/// The indices of one block: for each group eight vectors, of which byte 2i has P's bits of row 8i + r and byte 2i + 1
/// has Q's.
#[derive(Clone)]
pub(crate) struct Indices(Vec<[[u8; 32]; VECTORS]>);

impl Indices {
    pub(crate) fn new() -> Self {
        Self(vec![[[0; 32]; VECTORS]; GROUPS])
    }

    /// Rearranges a block of the matrix.
    pub(crate) fn fill(&mut self, _: Avx2, rows: &[u64; COORDINATES * ROW_WORDS]) {
        let groups = rows.as_chunks::<{ GROUP * ROW_WORDS }>().0;
        for (vectors, group) in self.0.iter_mut().zip(groups) {
            // SAFETY: an `Avx2` exists only where the processor has AVX2.
            unsafe { indices_of_group(group, vectors) }
        }
    }
}

/// Running sums of byte planes, `PLANES` for each of the 128 rows: 8 for field elements, 4 for small signed integers.
#[derive(Clone)]
pub(crate) struct PlaneSums<const PLANES: usize> {
    sums: Box<[[[i32; 16]; PLANES]; VECTORS]>,
    tables: Vec<[[u8; 16]; PLANES]>,
}

impl<const PLANES: usize> PlaneSums<PLANES> {
    pub(crate) fn new() -> Self {
        Self { sums: Box::new([[[0; 16]; PLANES]; VECTORS]), tables: vec![[[0; 16]; PLANES]; GROUPS] }
    }

    /// Adds a block of values.
    pub(crate) fn absorb(&mut self, _: Avx2, values: &[Fp; COORDINATES], indices: &Indices) {
        for (table, group) in self.tables.iter_mut().zip(values.as_chunks::<GROUP>().0) {
            // SAFETY: an `Avx2` exists only where the processor has AVX2.
            unsafe { tables_of_group(group, table) }
        }
        for (vector, sums) in self.sums.iter_mut().enumerate() {
            // SAFETY: as above.
            unsafe { look_up(&self.tables, &indices.0, vector, sums) }
        }
    }

    /// The sum of one row as an integer.
    pub(crate) fn row(&self, row: usize) -> i128 {
        let planes = &self.sums[row % VECTORS];
        planes.iter().enumerate().map(|(l, plane)| i128::from(plane[row / VECTORS]) << (8 * l)).sum()
    }

    pub(crate) fn clear(&mut self) {
        self.sums.as_flattened_mut().as_flattened_mut().fill(0);
    }
}

impl<const PLANES: usize> Drop for PlaneSums<PLANES> {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.tables.as_flattened_mut().as_flattened_mut());
        zeroize::Zeroize::zeroize(self.sums.as_flattened_mut().as_flattened_mut());
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes are readable, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(bytes: &mut [u8; 32], vector: __m256i) {
    // SAFETY: 32 bytes are writable, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(bytes.as_mut_ptr().cast(), vector) }
}

/// The same 16 bytes in both halves.
#[inline]
#[target_feature(enable = "avx2")]
fn load_twice(bytes: &[u8; 16]) -> __m256i {
    // SAFETY: 16 bytes are readable, and the load needs no alignment.
    let half: __m128i = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm256_broadcastsi128_si256(half)
}

/// Bytes 0, 8, 1, 9, ... of each half.
#[inline]
#[target_feature(enable = "avx2")]
fn interleave(x: __m256i) -> __m256i {
    let order = _mm256_setr_epi8(
        0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15, 0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15,
    );
    _mm256_shuffle_epi8(x, order)
}

/// Quarters 0, 2, 1, 3: the lower halves of both halves, then the upper ones.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_middle(x: __m256i) -> __m256i {
    _mm256_permute4x64_epi64::<0b11_01_10_00>(x)
}

/// Swaps the bits of `b` under `mask` with those of `a` that lie `SHIFT` higher.
#[inline]
#[target_feature(enable = "avx2")]
fn swap_bits<const SHIFT: i32>(a: __m256i, b: __m256i, mask: i8) -> (__m256i, __m256i) {
    let difference = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi16::<SHIFT>(a), b), _mm256_set1_epi8(mask));
    (_mm256_xor_si256(a, _mm256_slli_epi16::<SHIFT>(difference)), _mm256_xor_si256(b, difference))
}

/// Transposes the 4 x 4 matrices of bits that lie in the nibbles of four vectors.
#[target_feature(enable = "avx2")]
fn indices_of_group(rows: &[u64; GROUP * ROW_WORDS], out: &mut [[u8; 32]; VECTORS]) {
    let coordinate = |k: usize| {
        let at = |i: usize| rows[ROW_WORDS * k + i] as i64;
        interleave(swap_middle(_mm256_set_epi64x(at(3), at(2), at(1), at(0))))
    };
    let (a, b, c, d) = (coordinate(0), coordinate(1), coordinate(2), coordinate(3));
    let ((a, b), (c, d)) = (swap_bits::<1>(a, b, 0x55), swap_bits::<1>(c, d, 0x55));
    let ((a, c), (b, d)) = (swap_bits::<2>(a, c, 0x33), swap_bits::<2>(b, d, 0x33));
    let nibble = _mm256_set1_epi8(0x0f);
    for (i, x) in [a, b, c, d].into_iter().enumerate() {
        store(&mut out[i], _mm256_and_si256(x, nibble));
        store(&mut out[i + 4], _mm256_and_si256(_mm256_srli_epi16::<4>(x), nibble));
    }
}

/// a + b mod p as some 64-bit representative, for canonical a and b.
#[inline]
#[target_feature(enable = "avx2")]
fn add_mod(a: __m256i, b: __m256i) -> __m256i {
    let sign = _mm256_set1_epi64x(i64::MIN);
    let sum = _mm256_add_epi64(a, b);
    let carry = _mm256_cmpgt_epi64(_mm256_xor_si256(a, sign), _mm256_xor_si256(sum, sign));
    // A carry is worth 2^64 = 2^32 - 1.
    _mm256_add_epi64(sum, _mm256_srli_epi64::<32>(carry))
}

/// The subset sums of four values as planes of bytes. The bytes' shuffles leave them in the order in which bit 1 of
/// the index stands for value 1, bit 2 for value 2 and bit 3 for value 3 when the values enter in the order 0, 3, 1, 2.
#[target_feature(enable = "avx2")]
fn tables_of_group<const PLANES: usize>(values: &[Fp; GROUP], table: &mut [[u8; 16]; PLANES]) {
    let (pairs, x, y, both);
    if PLANES == 8 {
        let word = |value: Fp| value.value() as i64;
        let [v0, v1, v2, v3] = *values;
        pairs = _mm256_set_epi64x(word(v0 + v3), word(v3), word(v0), 0);
        (x, y, both) = (word(v1), word(v2), word(v1 + v2));
    } else {
        let [v0, v1, v2, v3] = values.map(|value| value.signed() as u64);
        let biased = |sum: u64| BIAS.wrapping_add(sum) as i64;
        pairs = _mm256_set_epi64x(biased(v0.wrapping_add(v3)), biased(v3), biased(v0), biased(0));
        (x, y, both) = (v1 as i64, v2 as i64, v1.wrapping_add(v2) as i64);
    }
    let plus = |word: i64| {
        let word = _mm256_set1_epi64x(word);
        if PLANES == 8 { add_mod(pairs, word) } else { _mm256_add_epi64(pairs, word) }
    };
    let sums = [interleave(pairs), interleave(plus(x)), interleave(plus(y)), interleave(plus(both))];
    let low = (_mm256_unpacklo_epi16(sums[0], sums[1]), _mm256_unpacklo_epi16(sums[2], sums[3]));
    let high = (_mm256_unpackhi_epi16(sums[0], sums[1]), _mm256_unpackhi_epi16(sums[2], sums[3]));
    let planes = [
        _mm256_unpacklo_epi32(low.0, low.1),
        _mm256_unpackhi_epi32(low.0, low.1),
        _mm256_unpacklo_epi32(high.0, high.1),
        _mm256_unpackhi_epi32(high.0, high.1),
    ];
    for (pair, plane) in table.as_flattened_mut().as_chunks_mut::<32>().0.iter_mut().zip(planes) {
        store(pair, swap_middle(plane));
    }
}

/// Looks all groups up for one vector of 16 rows and adds the differences to their sums.
#[target_feature(enable = "avx2")]
fn look_up<const PLANES: usize>(
    tables: &[[[u8; 16]; PLANES]],
    indices: &[[[u8; 32]; VECTORS]],
    vector: usize,
    sums: &mut [[i32; 16]; PLANES],
) {
    // Byte 2i counts +1, byte 2i + 1 counts -1.
    let signs = _mm256_set1_epi16(0xff01_u16 as i16);
    let mut differences = [_mm256_setzero_si256(); PLANES];
    for (table, indices) in tables.iter().zip(indices) {
        let index = load(&indices[vector]);
        for (difference, plane) in differences.iter_mut().zip(table) {
            let found = _mm256_shuffle_epi8(load_twice(plane), index);
            *difference = _mm256_add_epi16(*difference, _mm256_maddubs_epi16(found, signs));
        }
    }
    for (sum, difference) in sums.iter_mut().zip(differences) {
        let halves = [_mm256_castsi256_si128(difference), _mm256_extracti128_si256::<1>(difference)];
        for (sum, half) in sum.as_chunks_mut::<8>().0.iter_mut().zip(halves) {
            // SAFETY: eight words of 32 bits are 32 readable and writable bytes; no alignment is needed.
            unsafe {
                let old = _mm256_loadu_si256(sum.as_ptr().cast());
                _mm256_storeu_si256(sum.as_mut_ptr().cast(), _mm256_add_epi32(old, _mm256_cvtepi16_epi32(half)));
            }
        }
    }
}

// Four small values and the bias are neither negative nor over 32 bits.
const _: () = assert!(4 * SMALL <= BIAS && BIAS + 4 * SMALL < 1 << 32);
