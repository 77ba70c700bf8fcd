//! Sums of products with constants, and plain sums, where the processor has lanes for them. What does not fill a
//! register is left to the caller: the functions say how many coordinates they have done.
//!
//! A constant c and c·2^32 are cut into limbs of 22 bits, so that the two halves of a coordinate, 32 bits each, times a
//! limb are below 2^54, and up to 2^6 products add up without a carry. The three sums A0 + 2^22 A1 + 2^44 A2 are then
//! brought to U0 + 2^32 U1 and to a canonical value, with 2^64 = 2^32 - 1 and 2^96 = -1.
//!
//! Constants of one limb and a sign, as a proof's evaluation points are chosen to give, need a third of the products: the sums of
//! the halves' products are U0 and U1 already.

use super::lanes::{self, Lanes};
use crate::field::{Fp, MODULUS};

/// Vectors that are added at once.
pub(crate) const TOGETHER: usize = 5;
pub(super) const LIMB: u32 = 22;
/// p as B0 + 2^32·B1 with a B0 that exceeds whatever is subtracted from U0.
pub(super) const BIAS: (i64, i64) = (1 + (1 << 42), (1 << 32) - 1 - (1 << 10));

/// Magnitudes below this have one limb.
pub(super) const SMALL: u64 = 1 << LIMB;
/// A multiple of p as B0 + 2^32·B1, each of which exceeds what [`TOGETHER`] products of halves with small constants may take away.
pub(super) const SMALL_BIAS: (i64, i64) = ((1 << 59) + (1 << 28), (1 << 60) - (1 << 28) - (1 << 27));

// The sums of so many products of halves and limbs fit the reduction.
const _: () = assert!((2 * TOGETHER as u64) << (32 + LIMB) < 1 << 60);
const _: () = assert!((BIAS.0 as u128 + ((BIAS.1 as u128) << 32)).is_multiple_of(MODULUS as u128));
const _: () = assert!((SMALL_BIAS.0 as u128 + ((SMALL_BIAS.1 as u128) << 32)).is_multiple_of(MODULUS as u128));
// What is taken away leaves the sums positive, and what is added leaves them within the reduction's limits.
const _: () = {
    let most = (TOGETHER as i64) << (32 + LIMB);
    assert!(most < SMALL_BIAS.0 && SMALL_BIAS.0 + most + (1 << 33) < 1 << 60);
    assert!(most < SMALL_BIAS.1 && SMALL_BIAS.1 + most + (1 << 33) < 1 << 62);
};

/// Does `body` for i in 0..N in straight-line code, for an N of at most [`TOGETHER`]: the compiler leaves a loop with so long a body
/// as it is, and what it adds up in memory.
macro_rules! unrolled {
    ($count:ident, $i:ident, $body:block) => {{
        const { assert!($count <= $crate::simd::products::TOGETHER && $crate::simd::products::TOGETHER == 5) };
        unrolled!($count, $i, $body, 0, 1, 2, 3, 4);
    }};
    ($count:ident, $i:ident, $body:block, $($number:literal),*) => {
        $(if $count > $number {
            let $i = $number;
            $body
        })*
    };
}
pub(super) use unrolled;

/// Adds Σ_i factors\[i\]·vectors\[i\], at most [`TOGETHER`], to the first coordinates of `sums`; how many those are.
pub(crate) fn add_products(sums: &mut [Fp], factors: &[Fp], vectors: &[&[u64]]) -> usize {
    let Some(token) = Lanes::detect() else { return 0 };
    match (factors, vectors) {
        (&[a, b, c, d, e], &[v, w, x, y, z]) => products(token, sums, [a, b, c, d, e], [v, w, x, y, z]),
        (&[a, b, c, d], &[v, w, x, y]) => products(token, sums, [a, b, c, d], [v, w, x, y]),
        (&[a, b, c], &[v, w, x]) => products(token, sums, [a, b, c], [v, w, x]),
        (&[a, b], &[v, w]) => products(token, sums, [a, b], [v, w]),
        (&[a], &[v]) => products(token, sums, [a], [v]),
        _ => 0,
    }
}

fn products<const N: usize>(token: Lanes, sums: &mut [Fp], factors: [Fp; N], vectors: [&[u64]; N]) -> usize {
    let signed = factors.map(Fp::signed);
    if signed.iter().all(|factor| factor.unsigned_abs() < SMALL) {
        lanes::products::add_small_products(token, sums, signed, vectors)
    } else {
        lanes::products::add_products(token, sums, factors, vectors)
    }
}

/// Adds the vectors, at most [`TOGETHER`], to the first coordinates of `sums`; how many those are.
pub(crate) fn add(sums: &mut [Fp], vectors: &[&[u64]]) -> usize {
    use lanes::products::add;
    let Some(token) = Lanes::detect() else { return 0 };
    match *vectors {
        [v, w, x, y, z] => add(token, sums, [v, w, x, y, z]),
        [v, w, x, y] => add(token, sums, [v, w, x, y]),
        [v, w, x] => add(token, sums, [v, w, x]),
        [v, w] => add(token, sums, [v, w]),
        [v] => add(token, sums, [v]),
        _ => 0,
    }
}
