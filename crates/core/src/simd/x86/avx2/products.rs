//! Sums of products with constants of the field, four coordinates at a time, reduced once; how is in [`crate::simd::products`].

use super::load;
use crate::field::{Fp, MODULUS};
use crate::simd::in_registers;
use crate::simd::products::{BIAS, LIMB, SMALL_BIAS, unrolled};
use crate::simd::x86::Avx2;
use core::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_and_si256, _mm256_cmpgt_epi64, _mm256_mul_epu32, _mm256_set1_epi64x, _mm256_slli_epi64,
    _mm256_srli_epi64, _mm256_storeu_si256, _mm256_sub_epi64, _mm256_xor_si256,
};

/// Coordinates of one vector register.
const LANES: usize = 4;

/// A constant's limbs, and those of the constant times 2^32: for the lower and for the upper half of a coordinate.
struct Factor {
    lower: [__m256i; 3],
    upper: [__m256i; 3],
}

/// Adds Σ_i factors\[i\]·vectors\[i\] to `sums`, as far as whole registers go; how many coordinates that are. At most
/// [`TOGETHER`](crate::simd::products::TOGETHER) vectors, all of them as long as `sums` or longer.
pub(in crate::simd) fn add_products<const N: usize>(_: Avx2, sums: &mut [Fp], factors: [Fp; N], vectors: [&[u64]; N]) -> usize {
    // SAFETY: an `Avx2` exists only where the processor has AVX2.
    in_registers(sums, vectors, |sums, vectors| unsafe { products(sums, factors, vectors) })
}

/// [`add_products`] with constants whose magnitudes are below [`SMALL`](crate::simd::products::SMALL).
pub(in crate::simd) fn add_small_products<const N: usize>(
    _: Avx2,
    sums: &mut [Fp],
    factors: [i64; N],
    vectors: [&[u64]; N],
) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { small_products(sums, factors, vectors) })
}

/// Adds the vectors to `sums`, as far as whole registers go; how many coordinates that are.
pub(in crate::simd) fn add<const N: usize>(_: Avx2, sums: &mut [Fp], vectors: [&[u64]; N]) -> usize {
    // SAFETY: as above.
    in_registers(sums, vectors, |sums, vectors| unsafe { plain(sums, vectors) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(word: i64) -> __m256i {
    _mm256_set1_epi64x(word)
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(words: &mut [u64; LANES], vector: __m256i) {
    // SAFETY: 32 bytes are writable, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn limbs(factor: Fp) -> [__m256i; 3] {
    let limb = |i: u32| all((factor.value() >> (LIMB * i) & ((1 << LIMB) - 1)) as i64);
    [limb(0), limb(1), limb(2)]
}

#[target_feature(enable = "avx2")]
fn products<const N: usize>(sums: &mut [[u64; LANES]], factors: [Fp; N], vectors: [&[[u64; LANES]]; N]) {
    let factors = factors.map(|factor| Factor { lower: limbs(factor), upper: limbs(factor * Fp::reduce(1 << 32)) });
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut a = [_mm256_and_si256(old, low), all(0), all(0)];
        unrolled!(N, number, {
            let (factor, x) = (&factors[number], load(&vectors[number][k]));
            let upper = _mm256_srli_epi64::<32>(x);
            for (i, sum) in a.iter_mut().enumerate() {
                let both = _mm256_add_epi64(_mm256_mul_epu32(x, factor.lower[i]), _mm256_mul_epu32(upper, factor.upper[i]));
                *sum = _mm256_add_epi64(*sum, both);
            }
        });
        // 2^44·A2 = 2^32·(2^12·(lower 20 bits)) + 2^64·(rest), and 2^22·A1 = 2^22·(lower 10 bits) + 2^32·(rest).
        let rest = _mm256_srli_epi64::<20>(a[2]);
        let middle = _mm256_slli_epi64::<22>(_mm256_and_si256(a[1], all((1 << 10) - 1)));
        let u0 = _mm256_sub_epi64(_mm256_add_epi64(a[0], middle), rest);
        let top = _mm256_slli_epi64::<12>(_mm256_and_si256(a[2], all((1 << 20) - 1)));
        let u1 = _mm256_add_epi64(_mm256_add_epi64(_mm256_srli_epi64::<10>(a[1]), top), rest);
        store(sum, reduce(u0, _mm256_add_epi64(u1, _mm256_srli_epi64::<32>(old))));
    }
}

#[target_feature(enable = "avx2")]
fn small_products<const N: usize>(sums: &mut [[u64; LANES]], factors: [i64; N], vectors: [&[[u64; LANES]]; N]) {
    // -a is !a + 1.
    let negative = factors.iter().filter(|factor| **factor < 0).count() as i64;
    let (start0, start1) = (all(SMALL_BIAS.0 + negative), all(SMALL_BIAS.1 + negative));
    let factors = factors.map(|factor| (all(factor.abs()), all(factor >> 63)));
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let mut u0 = _mm256_add_epi64(_mm256_and_si256(old, low), start0);
        let mut u1 = _mm256_add_epi64(_mm256_srli_epi64::<32>(old), start1);
        unrolled!(N, number, {
            let ((factor, sign), x) = (&factors[number], load(&vectors[number][k]));
            u0 = _mm256_add_epi64(u0, _mm256_xor_si256(_mm256_mul_epu32(x, *factor), *sign));
            u1 = _mm256_add_epi64(u1, _mm256_xor_si256(_mm256_mul_epu32(_mm256_srli_epi64::<32>(x), *factor), *sign));
        });
        store(sum, reduce(u0, u1));
    }
}

#[target_feature(enable = "avx2")]
fn plain<const N: usize>(sums: &mut [[u64; LANES]], vectors: [&[[u64; LANES]]; N]) {
    let low = all(u32::MAX.into());
    let vectors = vectors.map(|vector| &vector[..sums.len()]);
    for (k, sum) in sums.iter_mut().enumerate() {
        let old = load(sum);
        let (mut u0, mut u1) = (_mm256_and_si256(old, low), _mm256_srli_epi64::<32>(old));
        unrolled!(N, number, {
            let x = load(&vectors[number][k]);
            u0 = _mm256_add_epi64(u0, _mm256_and_si256(x, low));
            u1 = _mm256_add_epi64(u1, _mm256_srli_epi64::<32>(x));
        });
        store(sum, reduce(u0, u1));
    }
}

/// U0 + 2^32·U1 mod p, canonical, for U0 in -2^40..2^60 and U1 in 0..2^62.
#[inline]
#[target_feature(enable = "avx2")]
fn reduce(u0: __m256i, u1: __m256i) -> __m256i {
    let (sign, low) = (all(i64::MIN), all(u32::MAX.into()));
    let (u0, u1) = (_mm256_add_epi64(u0, all(BIAS.0)), _mm256_add_epi64(u1, all(BIAS.1)));
    // U1 = u + 2^32·v, so 2^32·U1 = 2^32·(u + v) - v; and u + v has at most one bit above the 32nd.
    let v = _mm256_srli_epi64::<32>(u1);
    let w = _mm256_add_epi64(_mm256_and_si256(u1, low), v);
    let carry = _mm256_srli_epi64::<32>(w);
    let carry = _mm256_sub_epi64(_mm256_slli_epi64::<32>(carry), carry);
    let rest = _mm256_add_epi64(_mm256_sub_epi64(u0, v), carry);
    let upper = _mm256_slli_epi64::<32>(w);
    let sum = _mm256_add_epi64(upper, rest);
    let flipped = _mm256_xor_si256(sum, sign);
    let carried = _mm256_cmpgt_epi64(_mm256_xor_si256(upper, sign), flipped);
    // At most one of these: after a carry the sum is small. Each is worth 2^32 - 1.
    let over = _mm256_cmpgt_epi64(flipped, all((MODULUS - 1) as i64 ^ i64::MIN));
    _mm256_add_epi64(sum, _mm256_srli_epi64::<32>(_mm256_xor_si256(carried, over)))
}
