//! Projections on ternary rows: thirty-two rows with both signs a `vpshufb`.
//!
//! Byte 2i of vector r has P's bits of row 8i + r and byte 2i + 1 has Q's; a register holds two vectors.

use crate::field::{EPSILON, Fp};
use crate::simd::rows::{BIAS, GROUPS, GroupIndices, GroupRows, GroupTables, GroupValues, Sums, VECTORS};
use crate::simd::x86::Avx512;
use core::arch::x86_64::{
    __m128i, __m512i, _mm_loadu_si128, _mm512_add_epi16, _mm512_add_epi32, _mm512_add_epi64, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_castsi512_si256, _mm512_cmplt_epu64_mask, _mm512_cvtepi16_epi32, _mm512_extracti64x4_epi64,
    _mm512_inserti64x4, _mm512_loadu_si512, _mm512_maddubs_epi16, _mm512_mask_add_epi32, _mm512_mask_add_epi64,
    _mm512_maskz_set1_epi64, _mm512_permutex2var_epi16, _mm512_permutex2var_epi64, _mm512_permutexvar_epi32, _mm512_set1_epi8,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_slli_epi16, _mm512_srli_epi16, _mm512_storeu_si512, _mm512_xor_si512,
};

/// Vectors of 16 rows in a register.
const PAIR: usize = 2;
/// Groups whose indices are made at once.
const TOGETHER: usize = 2;

/// The indices of one block.
pub(in crate::simd) fn indices(_: Avx512, rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    const { assert!(GROUPS.is_multiple_of(TOGETHER)) };
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F and BW.
    unsafe { indices_of_block(rows, out) }
}

/// The subset sums of one block's values.
pub(in crate::simd) fn tables<const PLANES: usize>(
    _: Avx512,
    values: &[GroupValues; GROUPS],
    out: &mut [GroupTables<PLANES>; GROUPS],
) {
    // SAFETY: as above.
    unsafe { tables_of_block(values, out) }
}

/// Adds what a block's indices find in its tables to the sums of all rows.
pub(in crate::simd) fn add_found<const PLANES: usize>(
    _: Avx512,
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    sums: &mut Sums<PLANES>,
) {
    const { assert!(VECTORS.is_multiple_of(PAIR)) };
    // SAFETY: as above.
    unsafe { look_up_all(tables, indices, sums) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_words(words: &[u64; 8]) -> __m512i {
    // SAFETY: as above.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(bytes: &mut [u8; 64], vector: __m512i) {
    // SAFETY: 64 bytes are writable, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
}

/// The same 16 bytes in all quarters.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_four_times(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: 16 bytes are readable, and the load needs no alignment.
    let quarter: __m128i = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    _mm512_broadcast_i32x4(quarter)
}

/// The bytes of each quarter in the order `order`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn shuffle(x: __m512i, order: &[u8; 16]) -> __m512i {
    _mm512_shuffle_epi8(x, load_four_times(order))
}

/// Bytes of a quarter: the same byte of two words of 64 bits side by side, and of four words of 32 bits.
const BYTES_OF_TWO: [u8; 16] = [0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15];
const BYTES_OF_FOUR: [u8; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

/// Swaps the bits of `b` under `mask` with those of `a` that lie `SHIFT` higher.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn swap_bits<const SHIFT: u32>(a: __m512i, b: __m512i, mask: i8) -> (__m512i, __m512i) {
    let difference = _mm512_and_si512(_mm512_xor_si512(_mm512_srli_epi16::<SHIFT>(a), b), _mm512_set1_epi8(mask));
    (_mm512_xor_si512(a, _mm512_slli_epi16::<SHIFT>(difference)), _mm512_xor_si512(b, difference))
}

#[target_feature(enable = "avx512f,avx512bw")]
fn indices_of_block(rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    for (rows, out) in rows.as_chunks().0.iter().zip(out.as_chunks_mut().0) {
        indices_of_two(rows, out);
    }
}

/// Transposes the 4 x 4 matrices of bits that lie in the nibbles of four vectors, of two groups side by side.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn indices_of_two([first, second]: &[GroupRows; TOGETHER], out: &mut [GroupIndices; TOGETHER]) {
    // Two coordinates are eight words, P's two and Q's two of each; the bytes of P and Q alternate.
    let coordinates = |pair: usize| {
        let (x, y) = (load_words(&first.as_chunks().0[pair]), load_words(&second.as_chunks().0[pair]));
        let even = _mm512_permutex2var_epi64(x, _mm512_setr_epi64(0, 2, 1, 3, 8, 10, 9, 11), y);
        let odd = _mm512_permutex2var_epi64(x, _mm512_setr_epi64(4, 6, 5, 7, 12, 14, 13, 15), y);
        (shuffle(even, &BYTES_OF_TWO), shuffle(odd, &BYTES_OF_TWO))
    };
    let ((a, b), (c, d)) = (coordinates(0), coordinates(1));
    let ((a, b), (c, d)) = (swap_bits::<1>(a, b, 0x55), swap_bits::<1>(c, d, 0x55));
    let ((a, c), (b, d)) = (swap_bits::<2>(a, c, 0x33), swap_bits::<2>(b, d, 0x33));
    let nibble = _mm512_set1_epi8(0x0f);
    let low = [a, b, c, d].map(|x| _mm512_and_si512(x, nibble));
    let high = [a, b, c, d].map(|x| _mm512_and_si512(_mm512_srli_epi16::<4>(x), nibble));
    let [first, second] = out;
    for (i, [x, y]) in [[low[0], low[1]], [low[2], low[3]], [high[0], high[1]], [high[2], high[3]]].into_iter().enumerate() {
        store(pair_mut(first, i), _mm512_inserti64x4::<1>(x, _mm512_castsi512_si256(y)));
        store(pair_mut(second, i), _mm512_inserti64x4::<0>(y, _mm512_extracti64x4_epi64::<1>(x)));
    }
}

/// The indices of vectors 2i and 2i + 1, to write them.
#[inline]
fn pair_mut(indices: &mut GroupIndices, i: usize) -> &mut [u8; 64] {
    &mut indices.as_flattened_mut().as_chunks_mut().0[i]
}

#[target_feature(enable = "avx512f,avx512bw")]
fn tables_of_block<const PLANES: usize>(values: &[GroupValues; GROUPS], out: &mut [GroupTables<PLANES>; GROUPS]) {
    for (values, table) in values.iter().zip(out) {
        let registers = table.as_flattened_mut().as_chunks_mut().0;
        if PLANES == 8 {
            registers.iter_mut().zip(field_table(values)).for_each(|(bytes, planes)| store(bytes, planes));
        } else {
            registers.iter_mut().for_each(|bytes| store(bytes, small_table(values)));
        }
    }
}

/// The subset sums of four elements, as planes 0 to 3 and 4 to 7 of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn field_table(values: &GroupValues) -> [__m512i; 2] {
    let [a, b, c, d] = values.map(|value: Fp| value.value() as i64);
    let lower = _mm512_maskz_set1_epi64(0b1010_1010, a);
    let lower = add_mod(lower, _mm512_maskz_set1_epi64(0b1100_1100, b));
    let lower = add_mod(lower, _mm512_maskz_set1_epi64(0b1111_0000, c));
    let upper = add_mod(lower, _mm512_set1_epi64(d));
    // A quarter holds two sums, and pair l of it their bytes l.
    let (lower, upper) = (shuffle(lower, &BYTES_OF_TWO), shuffle(upper, &BYTES_OF_TWO));
    [0, 1].map(|half| _mm512_permutex2var_epi16(lower, load(&PAIRS_OF_BYTES[half]), upper))
}

/// a + b mod p as some 64-bit representative, for a canonical b.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_mod(a: __m512i, b: __m512i) -> __m512i {
    let sum = _mm512_add_epi64(a, b);
    // A carry is worth 2^64 = 2^32 - 1, and leaves a sum below p - 1 that this cannot carry again.
    _mm512_mask_add_epi64(sum, _mm512_cmplt_epu64_mask(sum, a), sum, _mm512_set1_epi64(EPSILON as i64))
}

/// Where the pairs of bytes of planes 0 to 3, and of planes 4 to 7, come from: pair l of each quarter of two registers.
static PAIRS_OF_BYTES: [[u8; 64]; 2] = [pairs_of_bytes(0), pairs_of_bytes(4)];

const fn pairs_of_bytes(first: usize) -> [u8; 64] {
    let mut order = [0; 64];
    let mut i = 0;
    while i < 32 {
        let (plane, quarter) = (first + i / 8, i % 8);
        order[2 * i] = (8 * quarter + plane) as u8;
        i += 1;
    }
    order
}

/// The biased subset sums of four small values as planes of bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn small_table(values: &GroupValues) -> __m512i {
    let mut sums = _mm512_set1_epi32(BIAS as i32);
    // What the sums have of 32 bits is what they have of the values' lower ones.
    for (value, of_sums) in values.iter().zip([0xaaaa, 0xcccc, 0xf0f0, 0xff00]) {
        sums = _mm512_mask_add_epi32(sums, of_sums, sums, _mm512_set1_epi32(value.signed() as i32));
    }
    // A quarter holds four sums, and word l of it their bytes l.
    _mm512_permutexvar_epi32(load_order(&FOURS_OF_BYTES), shuffle(sums, &BYTES_OF_FOUR))
}

/// Where the four bytes of each plane come from: word l of each quarter.
static FOURS_OF_BYTES: [u32; 16] = [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15];

#[inline]
#[target_feature(enable = "avx512f")]
fn load_order(order: &[u32; 16]) -> __m512i {
    // SAFETY: 64 bytes are readable, and the load needs no alignment.
    unsafe { _mm512_loadu_si512(order.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn look_up_all<const PLANES: usize>(
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    sums: &mut Sums<PLANES>,
) {
    for (i, sums) in sums.as_chunks_mut().0.iter_mut().enumerate() {
        look_up(tables, indices, i, sums);
    }
}

/// Looks all groups up for two vectors of 16 rows and adds the differences to their sums.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn look_up<const PLANES: usize>(
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    pair: usize,
    [first, second]: &mut [[[i32; 16]; PLANES]; PAIR],
) {
    // Byte 2i counts +1, byte 2i + 1 counts -1.
    let signs = _mm512_set1_epi16(0xff01_u16 as i16);
    let mut differences = [_mm512_setzero_si512(); PLANES];
    for (table, indices) in tables.iter().zip(indices) {
        let index = load(&indices.as_flattened().as_chunks().0[pair]);
        for (difference, plane) in differences.iter_mut().zip(table) {
            let found = _mm512_shuffle_epi8(load_four_times(plane), index);
            *difference = _mm512_add_epi16(*difference, _mm512_maddubs_epi16(found, signs));
        }
    }
    for ((first, second), difference) in first.iter_mut().zip(second).zip(differences) {
        add_to(first, _mm512_cvtepi16_epi32(_mm512_castsi512_si256(difference)));
        add_to(second, _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64::<1>(difference)));
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_to(sums: &mut [i32; 16], more: __m512i) {
    // SAFETY: sixteen words of 32 bits are 64 readable and writable bytes; no alignment is needed.
    unsafe {
        let old = _mm512_loadu_si512(sums.as_ptr().cast());
        _mm512_storeu_si512(sums.as_mut_ptr().cast(), _mm512_add_epi32(old, more));
    }
}
