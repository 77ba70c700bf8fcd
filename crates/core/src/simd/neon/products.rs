//! Sums of products with constants of the field, two coordinates at a time, reduced once; how is in
//! [`crate::simd::products`].

use super::load;
use crate::field::{Fp, MODULUS};
use crate::simd::in_registers;
use crate::simd::neon::Lanes as Neon;
use crate::simd::products::{BIAS, LIMB, SMALL_BIAS, unrolled};
use core::arch::aarch64::{
    uint32x2_t, uint64x2_t, vaddq_u64, vandq_u64, vcgtq_u64, vdup_n_u32, vdupq_n_u64, veorq_u64, vmlal_u32, vmovn_u64, vmull_u32,
    vorrq_u64, vshlq_n_u64, vshrn_n_u64, vshrq_n_u64, vsraq_n_u64, vst1q_u64, vsubq_u64,
};

/// Coordinates of one vector register.
const LANES: usize = 2;

/// A constant's limbs, and those of the constant times 2^32: for the lower and for the upper half of a coordinate.
struct Factor {
    lower: [uint32x2_t; 3],
    upper: [uint32x2_t; 3],
}

/// Adds Σ_i factors\[i\]·vectors\[i\] to `sums`, as far as whole registers go; how many coordinates that are. At most
/// [`TOGETHER`](crate::simd::products::TOGETHER) vectors, all of them as long as `sums` or longer.
pub(in crate::simd) fn add_products<const N: usize>(_: Neon, sums: &mut [Fp], factors: [Fp; N], vectors: [&[u64]; N]) -> usize {
    // SAFETY: the token exists only where the processor has NEON.
    in_registers(sums, vectors, |sums, vectors| unsafe { products(sums, factors, vectors) })
}

/// [`add_products`] with constants whose magnitudes are below [`SMALL`](crate::simd::products::SMALL).
pub(in crate::simd) fn add_small_products<const N: usize>(
    _: Neon,
    sums: &mut [Fp],
    factors: [i64; N],
    vectors: [&[u64]; N],
) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { small_products(sums, factors, vectors) })
}

/// Adds the vectors to `sums`, as far as whole registers go; how many coordinates that are.
pub(in crate::simd) fn add<const N: usize>(_: Neon, sums: &mut [Fp], vectors: [&[u64]; N]) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { plain(sums, vectors) })
}

#[inline]
#[target_feature(enable = "neon")]
fn all(word: u64) -> uint64x2_t {
    vdupq_n_u64(word)
}

#[inline]
#[target_feature(enable = "neon")]
fn store(words: &mut [u64; LANES], vector: uint64x2_t) {
    // SAFETY: 16 bytes are writable, aligned as words are.
    unsafe { vst1q_u64(words.as_mut_ptr(), vector) }
}

#[inline]
#[target_feature(enable = "neon")]
fn limbs(factor: Fp) -> [uint32x2_t; 3] {
    let limb = |i: u32| vdup_n_u32((factor.value() >> (LIMB * i)) as u32 & ((1 << LIMB) - 1));
    [limb(0), limb(1), limb(2)]
}

#[target_feature(enable = "neon")]
fn products<const N: usize>(sums: &mut [[u64; LANES]], factors: [Fp; N], vectors: [&[[u64; LANES]]; N]) {
    let factors = factors.map(|factor| Factor { lower: limbs(factor), upper: limbs(factor * Fp::reduce(1 << 32)) });
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut a = [vandq_u64(old, all(u32::MAX.into())), all(0), all(0)];
        unrolled!(N, number, {
            let (factor, x) = (&factors[number], load(&vectors[number][k]));
            let (lower, upper) = (vmovn_u64(x), vshrn_n_u64::<32>(x));
            for (i, sum) in a.iter_mut().enumerate() {
                *sum = vmlal_u32(vmlal_u32(*sum, lower, factor.lower[i]), upper, factor.upper[i]);
            }
        });
        let rest = vshrq_n_u64::<20>(a[2]);
        let middle = vshlq_n_u64::<22>(vandq_u64(a[1], all((1 << 10) - 1)));
        let u0 = vsubq_u64(vaddq_u64(a[0], middle), rest);
        let top = vshlq_n_u64::<12>(vandq_u64(a[2], all((1 << 20) - 1)));
        let u1 = vsraq_n_u64::<10>(vaddq_u64(top, rest), a[1]);
        store(sum, reduce(u0, vsraq_n_u64::<32>(u1, old)));
    }
}

#[target_feature(enable = "neon")]
fn small_products<const N: usize>(sums: &mut [[u64; LANES]], factors: [i64; N], vectors: [&[[u64; LANES]]; N]) {
    // -a is !a + 1.
    let negative = factors.iter().filter(|factor| **factor < 0).count() as u64;
    let (start0, start1) = (all(SMALL_BIAS.0 as u64 + negative), all(SMALL_BIAS.1 as u64 + negative));
    let factors = factors.map(|factor| (vdup_n_u32(factor.unsigned_abs() as u32), all((factor >> 63) as u64)));
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut u0 = vaddq_u64(vandq_u64(old, all(u32::MAX.into())), start0);
        let mut u1 = vsraq_n_u64::<32>(start1, old);
        unrolled!(N, number, {
            let ((factor, sign), x) = (&factors[number], load(&vectors[number][k]));
            u0 = vaddq_u64(u0, veorq_u64(vmull_u32(vmovn_u64(x), *factor), *sign));
            u1 = vaddq_u64(u1, veorq_u64(vmull_u32(vshrn_n_u64::<32>(x), *factor), *sign));
        });
        store(sum, reduce(u0, u1));
    }
}

#[target_feature(enable = "neon")]
fn plain<const N: usize>(sums: &mut [[u64; LANES]], vectors: [&[[u64; LANES]]; N]) {
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let (mut u0, mut u1) = (vandq_u64(old, low), vshrq_n_u64::<32>(old));
        unrolled!(N, number, {
            let x = load(&vectors[number][k]);
            u0 = vaddq_u64(u0, vandq_u64(x, low));
            u1 = vsraq_n_u64::<32>(u1, x);
        });
        store(sum, reduce(u0, u1));
    }
}

/// U0 + 2^32·U1 mod p, canonical, for U0 in -2^40..2^60 and U1 in 0..2^62.
#[inline]
#[target_feature(enable = "neon")]
fn reduce(u0: uint64x2_t, u1: uint64x2_t) -> uint64x2_t {
    let (u0, u1) = (vaddq_u64(u0, all(BIAS.0 as u64)), vaddq_u64(u1, all(BIAS.1 as u64)));
    let v = vshrq_n_u64::<32>(u1);
    let w = vaddq_u64(vandq_u64(u1, all(u32::MAX.into())), v);
    let carry = vshrq_n_u64::<32>(w);
    let carry = vsubq_u64(vshlq_n_u64::<32>(carry), carry);
    let rest = vaddq_u64(vsubq_u64(u0, v), carry);
    let upper = vshlq_n_u64::<32>(w);
    let sum = vaddq_u64(upper, rest);
    let (carried, over) = (vcgtq_u64(upper, sum), vcgtq_u64(sum, all(MODULUS - 1)));
    vsraq_n_u64::<32>(sum, vorrq_u64(carried, over))
}
