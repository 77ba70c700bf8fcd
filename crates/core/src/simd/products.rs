//! Sums of products with constants, and plain sums, where the processor has lanes for them. What does not fill a
//! register is left to the caller: the functions say how many coordinates they have done.

use crate::field::Fp;

/// Vectors that are added at once.
pub(crate) const TOGETHER: usize = 5;

/// Adds Σ_i factors\[i\]·vectors\[i\], at most [`TOGETHER`], to the first coordinates of `sums`; how many those are.
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) fn add_products(sums: &mut [Fp], factors: &[Fp], vectors: &[&[u64]]) -> usize {
    use super::avx2::products::add_products;
    let Some(token) = super::Avx2::detect() else { return 0 };
    match (factors, vectors) {
        (&[a, b, c, d, e], &[v, w, x, y, z]) => add_products(token, sums, [a, b, c, d, e], [v, w, x, y, z]),
        (&[a, b, c, d], &[v, w, x, y]) => add_products(token, sums, [a, b, c, d], [v, w, x, y]),
        (&[a, b, c], &[v, w, x]) => add_products(token, sums, [a, b, c], [v, w, x]),
        (&[a, b], &[v, w]) => add_products(token, sums, [a, b], [v, w]),
        (&[a], &[v]) => add_products(token, sums, [a], [v]),
        _ => 0,
    }
}

/// Adds the vectors, at most [`TOGETHER`], to the first coordinates of `sums`; how many those are.
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) fn add(sums: &mut [Fp], vectors: &[&[u64]]) -> usize {
    use super::avx2::products::add;
    let Some(token) = super::Avx2::detect() else { return 0 };
    match *vectors {
        [v, w, x, y, z] => add(token, sums, [v, w, x, y, z]),
        [v, w, x, y] => add(token, sums, [v, w, x, y]),
        [v, w, x] => add(token, sums, [v, w, x]),
        [v, w] => add(token, sums, [v, w]),
        [v] => add(token, sums, [v]),
        _ => 0,
    }
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
pub(crate) fn add_products(_sums: &mut [Fp], _factors: &[Fp], _vectors: &[&[u64]]) -> usize {
    0
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
pub(crate) fn add(_sums: &mut [Fp], _vectors: &[&[u64]]) -> usize {
    0
}
