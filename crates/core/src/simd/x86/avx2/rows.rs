//! Projections on ternary rows: sixteen rows with both signs a `vpshufb`.
//!
//! Byte 2i of vector r has P's bits of row 8i + r and byte 2i + 1 has Q's.

use crate::program::ROW_WORDS;
use crate::simd::rows::{BIAS, GROUPS, GroupIndices, GroupRows, GroupTables, GroupValues, Sums};
use crate::simd::x86::Avx2;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_epi64, _mm256_and_si256,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cmpgt_epi64, _mm256_cvtepi16_epi32, _mm256_extracti128_si256,
    _mm256_loadu_si256, _mm256_maddubs_epi16, _mm256_permute4x64_epi64, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi64x, _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16, _mm256_srli_epi16,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_sub_epi64, _mm256_unpackhi_epi16, _mm256_unpackhi_epi32,
    _mm256_unpacklo_epi16, _mm256_unpacklo_epi32, _mm256_xor_si256,
};

/// The indices of one block.
pub(in crate::simd) fn indices(_: Avx2, rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    // SAFETY: the token exists only where the processor has AVX2.
    unsafe { indices_of_block(rows, out) }
}

/// The subset sums of one block's values.
pub(in crate::simd) fn tables<const PLANES: usize>(
    _: Avx2,
    values: &[GroupValues; GROUPS],
    out: &mut [GroupTables<PLANES>; GROUPS],
) {
    // SAFETY: as above.
    unsafe { tables_of_block(values, out) }
}

/// Adds what a block's indices find in its tables to the sums of all rows.
pub(in crate::simd) fn add_found<const PLANES: usize>(
    _: Avx2,
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    sums: &mut Sums<PLANES>,
) {
    // SAFETY: as above.
    unsafe { look_up_all(tables, indices, sums) }
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

#[target_feature(enable = "avx2")]
fn indices_of_block(rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    for (rows, out) in rows.iter().zip(out) {
        indices_of_group(rows, out);
    }
}

/// Transposes the 4 x 4 matrices of bits that lie in the nibbles of four vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn indices_of_group(rows: &GroupRows, out: &mut GroupIndices) {
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

/// a + b mod p as some 64-bit representative, for any representative a and the canonical one of b.
#[inline]
#[target_feature(enable = "avx2")]
fn add_mod(a: __m256i, b: __m256i) -> __m256i {
    let sign = _mm256_set1_epi64x(i64::MIN);
    let sum = _mm256_add_epi64(a, b);
    let carry = _mm256_cmpgt_epi64(_mm256_xor_si256(a, sign), _mm256_xor_si256(sum, sign));
    // A carry is worth 2^64 = 2^32 - 1, and leaves room for it: b is below p.
    _mm256_add_epi64(sum, _mm256_srli_epi64::<32>(carry))
}

#[target_feature(enable = "avx2")]
fn tables_of_block<const PLANES: usize>(values: &[GroupValues; GROUPS], out: &mut [GroupTables<PLANES>; GROUPS]) {
    for (values, table) in values.iter().zip(out) {
        tables_of_group(values, table);
    }
}

/// The subset sums of four values as planes of bytes. The bytes' shuffles leave them in the order in which bit 1 of
/// the index stands for value 1, bit 2 for value 2 and bit 3 for value 3 when the values enter in the order 0, 3, 1, 2.
#[inline]
#[target_feature(enable = "avx2")]
fn tables_of_group<const PLANES: usize>(values: &GroupValues, table: &mut GroupTables<PLANES>) {
    let word = |i: usize| values[i].value() as i64;
    let (odd, upper) = (_mm256_set_epi64x(-1, 0, -1, 0), _mm256_set_epi64x(-1, -1, 0, 0));
    let sums = if PLANES == 8 {
        let all = |i: usize| _mm256_set1_epi64x(word(i));
        let pairs = add_mod(_mm256_and_si256(all(0), odd), _mm256_and_si256(all(3), upper));
        let with_v1 = add_mod(pairs, all(1));
        [pairs, with_v1, add_mod(pairs, all(2)), add_mod(with_v1, all(2))]
    } else {
        // A small negative value is p less its magnitude: in the lower half, which is all that is used, one too much.
        let words = _mm256_set_epi64x(word(3), word(2), word(1), word(0));
        let signed = _mm256_sub_epi64(words, _mm256_srli_epi64::<63>(words));
        let (v0, v3) = (_mm256_permute4x64_epi64::<0x00>(signed), _mm256_permute4x64_epi64::<0xff>(signed));
        let (v1, v2) = (_mm256_permute4x64_epi64::<0x55>(signed), _mm256_permute4x64_epi64::<0xaa>(signed));
        let pairs = _mm256_add_epi64(_mm256_and_si256(v0, odd), _mm256_and_si256(v3, upper));
        let pairs = _mm256_add_epi64(pairs, _mm256_set1_epi64x(BIAS as i64));
        let with_v1 = _mm256_add_epi64(pairs, v1);
        [pairs, with_v1, _mm256_add_epi64(pairs, v2), _mm256_add_epi64(with_v1, v2)]
    };
    let sums = [interleave(sums[0]), interleave(sums[1]), interleave(sums[2]), interleave(sums[3])];
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

#[target_feature(enable = "avx2")]
fn look_up_all<const PLANES: usize>(
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    sums: &mut Sums<PLANES>,
) {
    for (vector, sums) in sums.iter_mut().enumerate() {
        look_up(tables, indices, vector, sums);
    }
}

/// Looks all groups up for one vector of 16 rows and adds the differences to their sums.
#[inline]
#[target_feature(enable = "avx2")]
fn look_up<const PLANES: usize>(
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
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
