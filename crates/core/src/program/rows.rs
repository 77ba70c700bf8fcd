//! Projections <R_i, X> on the rows of the ternary matrix R = P - Q.
//!
//! The portable code, eight coordinates at a time: a table of all 256 subset sums of the eight values, and for each row
//! one look-up for its eight bits of P and one for Q ("four Russians"). The look-ups are indexed by the public matrix
//! only. Values are kept as two 32-bit halves in 64-bit lanes, so sums over 2^28 groups of eight cannot overflow.

use super::ROW_WORDS;
use crate::field::Fp;
use crate::simd::rows::LaneProjections;
use zeroize::{Zeroize, Zeroizing};

/// Running projections of several vectors on the first rows of the same matrix.
#[derive(Clone)]
pub(crate) struct Projections(Paths);

#[derive(Clone)]
enum Paths {
    Portable(Vec<Portable>),
    Lanes(LaneProjections),
}

impl Projections {
    /// For one vector an entry of `small`: that no magnitude in it exceeds [`SMALL`](crate::simd::rows::SMALL), as in those of an honest update,
    /// whose projections then cost half. They are wrong if it is not so.
    pub(crate) fn new(tests: usize, small: &[bool]) -> Self {
        let portable = || Paths::Portable(vec![Portable::new(tests); small.len()]);
        Self(LaneProjections::new(tests, small).map_or_else(portable, Paths::Lanes))
    }

    /// Takes in the next coordinates of all vectors and their [`ROW_WORDS`] words each of the matrix.
    pub(crate) fn absorb(&mut self, vectors: &[&[Fp]], rows: &[u64]) {
        match &mut self.0 {
            Paths::Portable(all) => all.iter_mut().zip(vectors).for_each(|(one, vector)| one.absorb(vector, rows)),
            Paths::Lanes(lanes) => lanes.absorb(vectors, rows),
        }
    }

    /// The projections so far, one a vector and row.
    pub(crate) fn values(&self) -> Vec<Vec<Fp>> {
        match &self.0 {
            Paths::Portable(all) => all.iter().map(Portable::values).collect(),
            Paths::Lanes(lanes) => lanes.values(),
        }
    }
}

const GROUP: usize = 8;
/// Groups after which the halves are folded, far below the 2^28 at which they could overflow.
const FOLD: usize = 1 << 20;

/// Running projections of one vector, on any processor.
#[derive(Clone)]
struct Portable {
    halves: Vec<[u64; 2]>,
    folded: Vec<Fp>,
    groups: usize,
}

impl Portable {
    fn new(tests: usize) -> Self {
        Self { halves: vec![[0; 2]; tests], folded: vec![Fp::ZERO; tests], groups: 0 }
    }

    /// Takes in the next coordinates and their [`ROW_WORDS`] words each of the matrix.
    fn absorb(&mut self, input: &[Fp], rows: &[u64]) {
        let mut table = Zeroizing::new([[0u64; 2]; 1 << GROUP]);
        for (values, rows) in input.chunks(GROUP).zip(rows.chunks(GROUP * ROW_WORDS)) {
            subset_sums(values, &mut table);
            self.add_group(&table, rows);
            self.groups += 1;
            if self.groups == FOLD {
                self.fold();
            }
        }
    }

    #[inline]
    fn add_group(&mut self, table: &[[u64; 2]; 1 << GROUP], rows: &[u64]) {
        for (byte, sums) in self.halves.chunks_mut(8).enumerate() {
            let plus = transpose(rows, byte);
            let minus = transpose(rows, byte + 4 * ROW_WORDS);
            for (i, sum) in sums.iter_mut().enumerate() {
                let add = table[usize::from(plus[i])];
                let subtract = table[usize::from(minus[i])];
                sum[0] = sum[0].wrapping_add(add[0]).wrapping_sub(subtract[0]);
                sum[1] = sum[1].wrapping_add(add[1]).wrapping_sub(subtract[1]);
            }
        }
    }

    fn fold(&mut self) {
        for (sum, halves) in self.folded.iter_mut().zip(&mut self.halves) {
            *sum = plus_halves(*sum, *halves);
            *halves = [0; 2];
        }
        self.groups = 0;
    }

    /// The projections so far, one a row.
    fn values(&self) -> Vec<Fp> {
        let mut copy = self.clone();
        copy.fold();
        core::mem::take(&mut copy.folded)
    }
}

impl Drop for Portable {
    fn drop(&mut self) {
        self.halves.zeroize();
        self.folded.zeroize();
    }
}

/// Adds a projection. A function of its own, as the compiler makes branches of the carries' conditional moves in a loop.
#[inline(never)]
fn plus_halves(sum: Fp, [low, high]: [u64; 2]) -> Fp {
    sum + Fp::from_signed(i128::from(low as i64).wrapping_add(i128::from(high as i64) << 32))
}

#[inline]
fn subset_sums(values: &[Fp], table: &mut [[u64; 2]; 1 << GROUP]) {
    for k in 0..GROUP {
        let value = values.get(k).map_or(0, |v| v.value());
        let halves = [value & 0xffff_ffff, value >> 32];
        let (known, new) = table.split_at_mut(1 << k);
        for (sum, old) in new.iter_mut().zip(known) {
            *sum = [old[0].wrapping_add(halves[0]), old[1].wrapping_add(halves[1])];
        }
    }
}

/// Byte number `byte` of each of eight coordinates, as eight bytes of which bit k belongs to coordinate k (Hacker's
/// Delight, 7-3).
#[inline]
fn transpose(rows: &[u64], byte: usize) -> [u8; 8] {
    let mut x = 0u64;
    for (k, coordinate) in rows.chunks(ROW_WORDS).enumerate() {
        x |= (coordinate[byte / 8] >> (8 * (byte % 8)) & 0xff) << (8 * k);
    }
    let t = (x ^ (x >> 7)) & 0x00aa_00aa_00aa_00aa;
    x ^= t ^ (t << 7);
    let t = (x ^ (x >> 14)) & 0x0000_cccc_0000_cccc;
    x ^= t ^ (t << 14);
    let t = (x ^ (x >> 28)) & 0x0000_0000_f0f0_f0f0;
    x ^= t ^ (t << 28);
    x.to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::rows::SMALL;
    use crate::simd::tests::each_set;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn projections_are_those_of_the_plain_definition(
            values in proptest::collection::vec(any::<u64>().prop_map(Fp::reduce), 1..40),
            seed in any::<u8>(), tests in 1usize..=128, split in 0usize..5,
        ) {
            let mut rows = vec![0; values.len() * ROW_WORDS];
            crate::stream::Stream::new(&[seed; 32], "rows", &[]).fill_words(&mut rows);
            let mut running = Portable::new(tests);
            let cut = (8 * split).min(values.len());
            running.absorb(&values[..cut], &rows[..cut * ROW_WORDS]);
            running.absorb(&values[cut..], &rows[cut * ROW_WORDS..]);
            let bit = |k: usize, i: usize| Fp::reduce(rows[k * ROW_WORDS + i / 64] >> (i % 64) & 1);
            for (i, got) in running.values().into_iter().enumerate() {
                let want: Fp = values.iter().enumerate().map(|(k, &v)| (bit(k, i) - bit(k, i + 128)) * v).sum();
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn lanes_are_the_portable_code(
            length in 1usize..700, tests in 1usize..=128, seed: u8, split in 0usize..700, shift in 0u32..40,
        ) {
            let mut rows = vec![0; length * ROW_WORDS];
            let mut stream = crate::stream::Stream::new(&[seed; 32], "rows", &[]);
            stream.fill_words(&mut rows);
            let full = stream.elements(length);
            let small: Vec<Fp> = full.iter().map(|v| Fp::from_signed((i128::from(v.signed()) >> 36) >> shift)).collect();
            let edge = vec![Fp::from_signed(-i128::from(SMALL)); length];
            let vectors = [&full[..], &small, &edge, &vec![Fp::ZERO - Fp::ONE; length]];
            let cut = split.min(length);
            let want = vectors.map(|vector| {
                let mut want = Portable::new(tests);
                want.absorb(vector, &rows);
                want.values()
            });
            for set in each_set() {
                let mut running = Projections::new(tests, &[false, true, true, true]);
                running.absorb(&vectors.map(|v| &v[..cut]), &rows[..cut * ROW_WORDS]);
                running.absorb(&vectors.map(|v| &v[cut..]), &rows[cut * ROW_WORDS..]);
                prop_assert_eq!(&running.values()[..], &want[..], "{}", set.name());
            }
        }
    }
}
