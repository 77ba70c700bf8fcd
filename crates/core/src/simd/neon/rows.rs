//! Projections on ternary rows: sixteen rows a `tbl`.
//!
//! Byte i of vector r has P's bits of row 8i + r and byte 16 + i has Q's.

use crate::program::ROW_WORDS;
use crate::simd::neon::Lanes as Neon;
use crate::simd::rows::{BIAS, GROUPS, GroupIndices, GroupRows, GroupTables, GroupValues, Sums, VECTORS};
use core::arch::aarch64::{
    uint8x16_t, uint64x2_t, vaddq_u64, vaddw_high_s16, vaddw_high_u8, vaddw_s16, vaddw_u8, vandq_u8, vcgtq_u64, vcombine_u64,
    vcreate_u64, vdupq_n_u8, vdupq_n_u16, vdupq_n_u64, veorq_u8, vget_low_s16, vget_low_u8, vld1q_s32, vld1q_u8, vqtbl1q_u8,
    vreinterpretq_s16_u16, vreinterpretq_u8_u64, vshlq_n_u8, vshrq_n_u8, vshrq_n_u64, vst1q_s32, vst1q_u8, vsubw_high_u8,
    vsubw_u8, vuzp1q_u8, vuzp2q_u8,
};

/// The indices of one block.
pub(in crate::simd) fn indices(_: Neon, rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    // SAFETY: the token exists only where the processor has NEON.
    unsafe { indices_of_block(rows, out) }
}

/// The subset sums of one block's values.
pub(in crate::simd) fn tables<const PLANES: usize>(
    _: Neon,
    values: &[GroupValues; GROUPS],
    out: &mut [GroupTables<PLANES>; GROUPS],
) {
    // SAFETY: as above.
    unsafe { tables_of_block(values, out) }
}

/// Adds what a block's indices find in its tables to the sums of all rows.
pub(in crate::simd) fn add_found<const PLANES: usize>(
    _: Neon,
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    sums: &mut Sums<PLANES>,
) {
    // SAFETY: as above.
    unsafe { look_up_all(tables, indices, sums) }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(bytes: &[u8; 16]) -> uint8x16_t {
    // SAFETY: 16 bytes are readable.
    unsafe { vld1q_u8(bytes.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(bytes: &mut [u8; 16], vector: uint8x16_t) {
    // SAFETY: 16 bytes are writable.
    unsafe { vst1q_u8(bytes.as_mut_ptr(), vector) }
}

#[inline]
#[target_feature(enable = "neon")]
fn pair(low: u64, high: u64) -> uint64x2_t {
    vcombine_u64(vcreate_u64(low), vcreate_u64(high))
}

/// Swaps the bits of `b` under `mask` with those of `a` that lie `SHIFT` higher.
#[inline]
#[target_feature(enable = "neon")]
fn swap_bits<const SHIFT: i32>(a: uint8x16_t, b: uint8x16_t, mask: u8) -> (uint8x16_t, uint8x16_t) {
    let difference = vandq_u8(veorq_u8(vshrq_n_u8::<SHIFT>(a), b), vdupq_n_u8(mask));
    (veorq_u8(a, vshlq_n_u8::<SHIFT>(difference)), veorq_u8(b, difference))
}

#[target_feature(enable = "neon")]
fn indices_of_block(rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
    for (rows, out) in rows.iter().zip(out) {
        indices_of_group(rows, out);
    }
}

/// Transposes the 4 x 4 matrices of bits that lie in the nibbles of four vectors, for P and for Q.
#[inline]
#[target_feature(enable = "neon")]
fn indices_of_group(rows: &GroupRows, out: &mut GroupIndices) {
    for sign in 0..2 {
        let coordinate = |k: usize| {
            let first = ROW_WORDS * k + ROW_WORDS / 2 * sign;
            vreinterpretq_u8_u64(pair(rows[first], rows[first + 1]))
        };
        let (a, b, c, d) = (coordinate(0), coordinate(1), coordinate(2), coordinate(3));
        let ((a, b), (c, d)) = (swap_bits::<1>(a, b, 0x55), swap_bits::<1>(c, d, 0x55));
        let ((a, c), (b, d)) = (swap_bits::<2>(a, c, 0x33), swap_bits::<2>(b, d, 0x33));
        for (i, x) in [a, b, c, d].into_iter().enumerate() {
            store(&mut out[i].as_chunks_mut().0[sign], vandq_u8(x, vdupq_n_u8(0x0f)));
            store(&mut out[i + VECTORS / 2].as_chunks_mut().0[sign], vshrq_n_u8::<4>(x));
        }
    }
}

/// a + b mod p as some 64-bit representative, for a canonical b.
#[inline]
#[target_feature(enable = "neon")]
fn add_mod(a: uint64x2_t, b: uint64x2_t) -> uint64x2_t {
    let sum = vaddq_u64(a, b);
    // A carry is worth 2^64 = 2^32 - 1, and leaves a sum below p - 1 that this cannot carry again.
    vaddq_u64(sum, vshrq_n_u64::<32>(vcgtq_u64(a, sum)))
}

#[target_feature(enable = "neon")]
fn tables_of_block<const PLANES: usize>(values: &[GroupValues; GROUPS], out: &mut [GroupTables<PLANES>; GROUPS]) {
    for (values, table) in values.iter().zip(out) {
        tables_of_group(values, table);
    }
}

/// The subset sums of four values as planes of bytes.
#[inline]
#[target_feature(enable = "neon")]
fn tables_of_group<const PLANES: usize>(values: &GroupValues, table: &mut GroupTables<PLANES>) {
    let field = PLANES == 8;
    let bias = if field { 0 } else { BIAS };
    let values = values.map(|value| if field { value.value() } else { value.signed() as u64 });
    // Pair i is the sums number 2i and 2i + 1: with value 0 in the second, value 1 in odd pairs and so on.
    let mut sums = [pair(bias, bias.wrapping_add(values[0])); 8];
    for (i, value) in values.into_iter().skip(1).enumerate() {
        for k in 0..1 << i {
            let value = vdupq_n_u64(value);
            sums[(1 << i) + k] = if field { add_mod(sums[k], value) } else { vaddq_u64(sums[k], value) };
        }
    }
    // Three times the even and the odd bytes: by the bits of a byte's number, the lowest first.
    let [a, b, c, d, e, f, g, h] = sums.map(|pair| vreinterpretq_u8_u64(pair));
    let bytes = |odd: bool, a, b| if odd { vuzp2q_u8(a, b) } else { vuzp1q_u8(a, b) };
    for (plane, out) in table.iter_mut().enumerate() {
        let [low, middle, high] = [plane & 1 != 0, plane & 2 != 0, plane & 4 != 0];
        let (ab, cd, ef, gh) = (bytes(low, a, b), bytes(low, c, d), bytes(low, e, f), bytes(low, g, h));
        store(out, bytes(high, bytes(middle, ab, cd), bytes(middle, ef, gh)));
    }
}

#[target_feature(enable = "neon")]
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
#[target_feature(enable = "neon")]
fn look_up<const PLANES: usize>(
    tables: &[GroupTables<PLANES>; GROUPS],
    indices: &[GroupIndices; GROUPS],
    vector: usize,
    sums: &mut [[i32; 16]; PLANES],
) {
    let mut differences = [[vdupq_n_u16(0); 2]; PLANES];
    for (table, indices) in tables.iter().zip(indices) {
        let [plus, minus] = [0, 1].map(|sign| load(&indices[vector].as_chunks().0[sign]));
        for ([low, high], plane) in differences.iter_mut().zip(table) {
            let plane = load(plane);
            let (add, subtract) = (vqtbl1q_u8(plane, plus), vqtbl1q_u8(plane, minus));
            *low = vsubw_u8(vaddw_u8(*low, vget_low_u8(add)), vget_low_u8(subtract));
            *high = vsubw_high_u8(vaddw_high_u8(*high, add), subtract);
        }
    }
    for (sums, differences) in sums.iter_mut().zip(differences) {
        for (sums, difference) in sums.as_chunks_mut::<8>().0.iter_mut().zip(differences) {
            let difference = vreinterpretq_s16_u16(difference);
            // SAFETY: eight words of 32 bits are 32 readable and writable bytes, aligned as words are.
            unsafe {
                let (low, high) = (sums.as_mut_ptr(), sums.as_mut_ptr().add(4));
                vst1q_s32(low, vaddw_s16(vld1q_s32(low), vget_low_s16(difference)));
                vst1q_s32(high, vaddw_high_s16(vld1q_s32(high), difference));
            }
        }
    }
}
