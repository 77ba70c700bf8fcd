//! Vectors as single elements of K: Σ_k v_k ρ^k for a random ρ. The map is linear, so that shares on one polynomial stay on one;
//! two different vectors of d coordinates become the same element for fewer than d of the p^2 choices of ρ.

use crate::cores::Cores;
use crate::field::{self, Ext, Fp};
use crate::simd::products::TOGETHER;
use core::ops::Range;
use rand_core::CryptoRng;
use std::collections::BTreeMap;

/// Coordinates of a row: number k of a vector is number j of row i, with k = ROW·i + j. The sums of the rows stay in the inner cache.
const ROW: usize = 1024;

/// A ρ, from 256 bits of randomness.
pub(super) fn draw(rng: &mut dyn CryptoRng) -> Ext {
    let mut element = || Fp::reduce_wide(u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64()));
    Ext { a: element(), b: element() }
}

/// What each node's vector becomes. All are of one length.
pub(super) fn compress(cores: Cores, rho: Ext, vectors: &BTreeMap<usize, &[Fp]>) -> Vec<(usize, Ext)> {
    let ranges = cores.ranges(vectors.values().next().map_or(0, |vector| vector.len()), ROW * TOGETHER);
    let parts = vectors.iter().flat_map(|(&node, &vector)| ranges.iter().map(move |range| (node, vector, range.clone())));
    let images = cores.each(parts.collect(), |(node, vector, range): (usize, &[Fp], Range<usize>)| {
        (node, rho.power(range.start as u64) * image(rho, &vector[range]))
    });
    let sum = |node: &usize| {
        let parts = images.iter().filter(|(owner, _)| owner == node);
        parts.fold(Ext::ZERO, |sum, (_, image)| sum + *image)
    };
    vectors.keys().map(|node| (*node, sum(node))).collect()
}

/// Σ_k v_k ρ^k: the rows times ρ^(ROW·i) are added up, coordinate by coordinate, then the sums times ρ^j.
fn image(rho: Ext, values: &[Fp]) -> Ext {
    let step = rho.power(ROW as u64);
    let mut powers = core::iter::successors(Some(Ext::ONE), |power| Some(*power * step));
    let mut sums = [[Fp::ZERO; ROW]; 2];
    let mut add = |rows: &[&[Fp]], length: usize| {
        let powers: Vec<Ext> = powers.by_ref().take(rows.len()).collect();
        let factors: [Vec<Fp>; 2] = [powers.iter().map(|power| power.a).collect(), powers.iter().map(|power| power.b).collect()];
        sums.iter_mut().zip(&factors).for_each(|(sums, factors)| field::add_products(&mut sums[..length], factors, rows));
    };
    let (whole, last) = values.as_chunks::<ROW>();
    for rows in whole.chunks(TOGETHER) {
        let rows: Vec<&[Fp]> = rows.iter().map(|row| &row[..]).collect();
        add(&rows, ROW);
    }
    add(&[last], last.len());
    let [a, b] = sums;
    a.into_iter().zip(b).rev().fold(Ext::ZERO, |sum, (a, b)| sum * rho + Ext { a, b })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::tests::each_set;
    use crate::stream::Stream;
    use core::num::NonZeroUsize;

    #[test]
    fn a_vector_becomes_its_polynomial_at_rho_on_any_processor_and_any_number_of_cores() {
        const ROWS: usize = ROW * TOGETHER;
        let mut stream = Stream::new(&[3; 32], "values", &[]);
        for length in [0, 1, 2, ROW - 1, ROW, ROW + 1, ROWS - 3, ROWS, 3 * ROWS + 2 * ROW + 7] {
            let (rho, vectors) = (stream.extension(), [stream.elements(length), stream.elements(length)]);
            let horner = |vector: &[Fp]| vector.iter().rev().fold(Ext::ZERO, |sum, v| sum * rho + Ext { a: *v, b: Fp::ZERO });
            let want = vec![(2, horner(&vectors[0])), (7, horner(&vectors[1]))];
            let served = BTreeMap::from([(2, vectors[0].as_slice()), (7, vectors[1].as_slice())]);
            for set in each_set() {
                for threads in 1..4 {
                    let cores = Cores::new(NonZeroUsize::new(threads).unwrap());
                    assert_eq!(compress(cores, rho, &served), want, "{length}, {threads} cores, {}", set.name());
                }
            }
        }
    }
}
