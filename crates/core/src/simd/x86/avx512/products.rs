//! Sums of products with constants of the field, eight coordinates at a time, reduced once; how is in [`crate::simd::products`].

use super::load;
use crate::field::{EPSILON, Fp, MODULUS};
use crate::simd::in_registers;
use crate::simd::products::{BIAS, LIMB, SMALL_BIAS, unrolled};
use crate::simd::x86::Avx512;
use core::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_and_si512, _mm512_cmpge_epu64_mask, _mm512_cmplt_epu64_mask, _mm512_mask_add_epi64,
    _mm512_mul_epu32, _mm512_set1_epi64, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_storeu_si512, _mm512_sub_epi64,
    _mm512_xor_si512,
};

/// Coordinates of one vector register.
const LANES: usize = 8;

/// A constant's limbs, and those of the constant times 2^32: for the lower and for the upper half of a coordinate.
struct Factor {
    lower: [__m512i; 3],
    upper: [__m512i; 3],
}

/// Adds Σ_i factors\[i\]·vectors\[i\] to `sums`, as far as whole registers go; how many coordinates that are. At most
/// [`TOGETHER`](crate::simd::products::TOGETHER) vectors, all of them as long as `sums` or longer.
pub(in crate::simd) fn add_products<const N: usize>(_: Avx512, sums: &mut [Fp], factors: [Fp; N], vectors: [&[u64]; N]) -> usize {
    // SAFETY: an `Avx512` exists only where the processor has AVX-512 F.
    in_registers(sums, vectors, |sums, vectors| unsafe { products(sums, factors, vectors) })
}

/// [`add_products`] with constants whose magnitudes are below [`SMALL`](crate::simd::products::SMALL).
pub(in crate::simd) fn add_small_products<const N: usize>(
    _: Avx512,
    sums: &mut [Fp],
    factors: [i64; N],
    vectors: [&[u64]; N],
) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { small_products(sums, factors, vectors) })
}

/// Adds the vectors to `sums`, as far as whole registers go; how many coordinates that are.
pub(in crate::simd) fn add<const N: usize>(_: Avx512, sums: &mut [Fp], vectors: [&[u64]; N]) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { plain(sums, vectors) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn all(word: i64) -> __m512i {
    _mm512_set1_epi64(word)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u64; LANES], vector: __m512i) {
    // SAFETY: 64 bytes are writable, and the store needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn limbs(factor: Fp) -> [__m512i; 3] {
    let limb = |i: u32| all((factor.value() >> (LIMB * i) & ((1 << LIMB) - 1)) as i64);
    [limb(0), limb(1), limb(2)]
}

#[target_feature(enable = "avx512f")]
fn products<const N: usize>(sums: &mut [[u64; LANES]], factors: [Fp; N], vectors: [&[[u64; LANES]]; N]) {
    let factors = factors.map(|factor| Factor { lower: limbs(factor), upper: limbs(factor * Fp::reduce(1 << 32)) });
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut a = [_mm512_and_si512(old, low), all(0), all(0)];
        unrolled!(N, number, {
            let (factor, x) = (&factors[number], load(&vectors[number][k]));
            let upper = _mm512_srli_epi64::<32>(x);
            for (i, sum) in a.iter_mut().enumerate() {
                let both = _mm512_add_epi64(_mm512_mul_epu32(x, factor.lower[i]), _mm512_mul_epu32(upper, factor.upper[i]));
                *sum = _mm512_add_epi64(*sum, both);
            }
        });
        // 2^44·A2 = 2^32·(2^12·(lower 20 bits)) + 2^64·(rest), and 2^22·A1 = 2^22·(lower 10 bits) + 2^32·(rest).
        let rest = _mm512_srli_epi64::<20>(a[2]);
        let middle = _mm512_slli_epi64::<22>(_mm512_and_si512(a[1], all((1 << 10) - 1)));
        let u0 = _mm512_sub_epi64(_mm512_add_epi64(a[0], middle), rest);
        let top = _mm512_slli_epi64::<12>(_mm512_and_si512(a[2], all((1 << 20) - 1)));
        let u1 = _mm512_add_epi64(_mm512_add_epi64(_mm512_srli_epi64::<10>(a[1]), top), rest);
        store(sum, reduce(u0, _mm512_add_epi64(u1, _mm512_srli_epi64::<32>(old))));
    }
}

#[target_feature(enable = "avx512f")]
fn small_products<const N: usize>(sums: &mut [[u64; LANES]], factors: [i64; N], vectors: [&[[u64; LANES]]; N]) {
    // -a is !a + 1.
    let negative = factors.iter().filter(|factor| **factor < 0).count() as i64;
    let (start0, start1) = (all(SMALL_BIAS.0 + negative), all(SMALL_BIAS.1 + negative));
    let factors = factors.map(|factor| (all(factor.abs()), all(factor >> 63)));
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut u0 = _mm512_add_epi64(_mm512_and_si512(old, low), start0);
        let mut u1 = _mm512_add_epi64(_mm512_srli_epi64::<32>(old), start1);
        unrolled!(N, number, {
            let ((factor, sign), x) = (&factors[number], load(&vectors[number][k]));
            u0 = _mm512_add_epi64(u0, _mm512_xor_si512(_mm512_mul_epu32(x, *factor), *sign));
            u1 = _mm512_add_epi64(u1, _mm512_xor_si512(_mm512_mul_epu32(_mm512_srli_epi64::<32>(x), *factor), *sign));
        });
        store(sum, reduce(u0, u1));
    }
}

#[target_feature(enable = "avx512f")]
fn plain<const N: usize>(sums: &mut [[u64; LANES]], vectors: [&[[u64; LANES]]; N]) {
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let (mut u0, mut u1) = (_mm512_and_si512(old, low), _mm512_srli_epi64::<32>(old));
        unrolled!(N, number, {
            let x = load(&vectors[number][k]);
            u0 = _mm512_add_epi64(u0, _mm512_and_si512(x, low));
            u1 = _mm512_add_epi64(u1, _mm512_srli_epi64::<32>(x));
        });
        store(sum, reduce(u0, u1));
    }
}

/// U0 + 2^32·U1 mod p, canonical, for U0 in -2^40..2^60 and U1 in 0..2^62.
#[inline]
#[target_feature(enable = "avx512f")]
fn reduce(u0: __m512i, u1: __m512i) -> __m512i {
    let low = all(u32::MAX.into());
    let (u0, u1) = (_mm512_add_epi64(u0, all(BIAS.0)), _mm512_add_epi64(u1, all(BIAS.1)));
    // U1 = u + 2^32·v, so 2^32·U1 = 2^32·(u + v) - v; and u + v has at most one bit above the 32nd.
    let v = _mm512_srli_epi64::<32>(u1);
    let w = _mm512_add_epi64(_mm512_and_si512(u1, low), v);
    let carry = _mm512_srli_epi64::<32>(w);
    let carry = _mm512_sub_epi64(_mm512_slli_epi64::<32>(carry), carry);
    let rest = _mm512_add_epi64(_mm512_sub_epi64(u0, v), carry);
    let upper = _mm512_slli_epi64::<32>(w);
    let sum = _mm512_add_epi64(upper, rest);
    // At most one of these: after a carry the sum is small. Each is worth 2^32 - 1.
    let carried = _mm512_cmplt_epu64_mask(sum, upper);
    let over = _mm512_cmpge_epu64_mask(sum, all(MODULUS as i64));
    _mm512_mask_add_epi64(sum, carried | over, sum, all(EPSILON as i64))
}
