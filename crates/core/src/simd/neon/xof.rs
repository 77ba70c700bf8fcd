//! Four output blocks of BLAKE3 at a time, one in each 32-bit lane.

use crate::simd::neon::Lanes as Neon;
use crate::simd::xof::{BLOCK_WORDS, Root, compress, in_lanes};
use core::arch::aarch64::{
    uint8x16_t, uint32x4_t, uint64x2_t, vaddq_u32, vdupq_n_u32, veorq_u32, vld1q_u8, vld1q_u32, vqtbl1q_u8, vreinterpretq_u8_u32,
    vreinterpretq_u16_u32, vreinterpretq_u32_u8, vreinterpretq_u32_u16, vreinterpretq_u64_u32, vrev32q_u16, vshlq_n_u32,
    vsriq_n_u32, vst1q_u64, vtrn1q_u32, vtrn1q_u64, vtrn2q_u32, vtrn2q_u64,
};

const LANES: usize = 4;
/// Bytes of each word, rotated by 8 bits to the right.
const ROTATE8: [u8; 16] = [1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12];

/// Output blocks number `counter` and up of a root whose message ends with zeros from word `WORDS` on.
pub(in crate::simd) fn blocks<const WORDS: usize>(_: Neon, root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    // SAFETY: the token exists only where the processor has NEON.
    unsafe { blocks_neon::<WORDS>(root, counter, out) }
}

#[target_feature(enable = "neon")]
fn blocks_neon<const WORDS: usize>(root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
    let fixed = Fixed::new(root);
    let columns = root.columns(counter);
    in_lanes(counter, out, |low, blocks| four_blocks::<WORDS>(root, &columns, &fixed, low, blocks));
}

#[target_feature(enable = "neon")]
fn four_blocks<const WORDS: usize>(
    root: &Root,
    columns: &[u32; 16],
    fixed: &Fixed,
    low: [u32; LANES],
    out: &mut [[u64; BLOCK_WORDS]; LANES],
) {
    let all = |word: u32| vdupq_n_u32(word);
    let v = compress!(root, columns, load(&low), WORDS, fixed.message, all, veorq_u32, mix, fixed);
    for (quarter, words) in v.as_chunks::<4>().0.iter().enumerate() {
        for (block, pair) in out.iter_mut().zip(transpose(*words)) {
            store(&mut block.as_chunks_mut().0[quarter], pair);
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn load(words: &[u32; LANES]) -> uint32x4_t {
    // SAFETY: four words are 16 readable bytes, and the load needs no more alignment than words have.
    unsafe { vld1q_u32(words.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn store(words: &mut [u64; 2], vector: uint64x2_t) {
    // SAFETY: two words are 16 writable bytes, and the store needs no more alignment than words have.
    unsafe { vst1q_u64(words.as_mut_ptr(), vector) }
}

#[inline]
#[target_feature(enable = "neon")]
fn mix(v: &mut [uint32x4_t; 16], [a, b, c, d]: [usize; 4], x: uint32x4_t, y: uint32x4_t, fixed: &Fixed) {
    v[a] = vaddq_u32(vaddq_u32(v[a], x), v[b]);
    v[d] = vreinterpretq_u32_u16(vrev32q_u16(vreinterpretq_u16_u32(veorq_u32(v[d], v[a]))));
    v[c] = vaddq_u32(v[c], v[d]);
    v[b] = rotate::<12, 20>(veorq_u32(v[b], v[c]));
    v[a] = vaddq_u32(vaddq_u32(v[a], y), v[b]);
    v[d] = vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(veorq_u32(v[d], v[a])), fixed.rotate8));
    v[c] = vaddq_u32(v[c], v[d]);
    v[b] = rotate::<7, 25>(veorq_u32(v[b], v[c]));
}

#[inline]
#[target_feature(enable = "neon")]
fn rotate<const RIGHT: i32, const LEFT: i32>(x: uint32x4_t) -> uint32x4_t {
    vsriq_n_u32::<RIGHT>(vshlq_n_u32::<LEFT>(x), x)
}

/// What is the same for all blocks: the message, one word in all lanes, and the look-up of bytes that rotates.
struct Fixed {
    message: [uint32x4_t; 16],
    rotate8: uint8x16_t,
}

impl Fixed {
    #[target_feature(enable = "neon")]
    fn new(root: &Root) -> Self {
        // SAFETY: 16 bytes are readable.
        let rotate8 = unsafe { vld1q_u8(ROTATE8.as_ptr()) };
        Self { message: root.message.map(|word| vdupq_n_u32(word)), rotate8 }
    }
}

/// A 4 x 4 matrix of words, rows to columns.
#[inline]
#[target_feature(enable = "neon")]
fn transpose([a, b, c, d]: [uint32x4_t; 4]) -> [uint64x2_t; 4] {
    let even = |a, b| vreinterpretq_u64_u32(vtrn1q_u32(a, b));
    let odd = |a, b| vreinterpretq_u64_u32(vtrn2q_u32(a, b));
    let (ab0, ab1, cd0, cd1) = (even(a, b), odd(a, b), even(c, d), odd(c, d));
    [vtrn1q_u64(ab0, cd0), vtrn1q_u64(ab1, cd1), vtrn2q_u64(ab0, cd0), vtrn2q_u64(ab1, cd1)]
}
