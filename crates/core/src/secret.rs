//! Vectors of secrets: what a site puts in, and its shares of it.

use crate::cores::{Cores, next_of_all, split_all};
use crate::field::Fp;
use core::ops::{Deref, DerefMut};
use zeroize::{Zeroize, Zeroizing};

/// Elements of all vectors together that a core uses for the last time at once: its cache holds them until they are wiped.
const CACHED: usize = 1 << 15;

/// A vector that is wiped when it is dropped, all of its memory, or before, as it is used for the last time.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(Vec<Fp>);

impl Secret {
    pub(crate) fn new(values: Vec<Fp>) -> Self {
        Self(values)
    }

    /// The vector, for who knows that it is no secret.
    pub(crate) fn reveal(&mut self) -> Vec<Fp> {
        core::mem::take(&mut self.0)
    }

    /// The vector, for who fills the memory that it has. It must not grow: what it leaves behind is not wiped.
    pub(crate) fn memory(&mut self) -> &mut Vec<Fp> {
        &mut self.0
    }

    fn wipe(&mut self) {
        self.0.as_mut_slice().zeroize();
        self.0.spare_capacity_mut().zeroize();
    }

    /// Hands vectors of one length to `work` for the last time, piece by piece: the first coordinate of a piece, a multiple of
    /// `unit`, and what each vector has there. A core wipes a piece after that, while it has it in its cache: by itself, a pass
    /// over memory takes longer than all else that is left to one core. The vectors are empty then. The results are in the
    /// order of the pieces, and secrets.
    pub(crate) fn use_up<R: Zeroize + Send>(
        cores: Cores,
        vectors: &mut [&mut Self],
        unit: usize,
        work: impl Fn(usize, &[&[Fp]]) -> Vec<R> + Sync,
    ) -> Vec<Zeroizing<Vec<R>>> {
        let piece = CACHED / vectors.len().max(1) / unit * unit;
        let results = Self::work_and_wipe(cores, vectors, unit, piece.max(unit), work);
        for vector in vectors {
            vector.0.spare_capacity_mut().zeroize();
            // All of it is wiped.
            drop(vector.reveal());
        }
        results
    }

    fn work_and_wipe<R: Zeroize + Send>(
        cores: Cores,
        vectors: &mut [&mut Self],
        unit: usize,
        piece: usize,
        work: impl Fn(usize, &[&[Fp]]) -> Vec<R> + Sync,
    ) -> Vec<Zeroizing<Vec<R>>> {
        let length = vectors.first().map_or(0, |vector| vector.len());
        assert!(vectors.iter().all(|vector| vector.len() == length), "vectors of several lengths");
        let ranges = cores.ranges(length, unit);
        let parts = split_all(vectors.iter_mut().map(|vector| &mut ***vector), &ranges);
        let parts = ranges.iter().map(|range| range.start).zip(parts).collect();
        let results = cores.each(parts, |(mut start, mut rest): (usize, Vec<&mut [Fp]>)| {
            let mut results = Vec::new();
            while let Some(mut pieces) = next_of_all(&mut rest, piece) {
                results.push(Zeroizing::new(work(start, &pieces.iter().map(|piece| &**piece).collect::<Vec<_>>())));
                start += pieces[0].len();
                pieces.iter_mut().for_each(|piece| piece.zeroize());
            }
            results
        });
        results.into_iter().flatten().collect()
    }
}

impl Deref for Secret {
    type Target = [Fp];

    fn deref(&self) -> &[Fp] {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut [Fp] {
        &mut self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret(length: usize, factor: u64) -> Secret {
        Secret::new((1..=length as u64).map(|i| Fp::reduce(factor * i)).collect())
    }

    proptest! {
        #[test]
        fn each_piece_is_seen_once_whole_and_in_order_and_wiped(
            length in 0usize..400, unit in 1usize..20, units in 1usize..9, threads in 1usize..4,
        ) {
            let (mut a, mut b) = (secret(length, 1), secret(length, 3));
            let (left, right) = (a.clone(), b.clone());
            let (cores, piece) = (Cores::new(threads.try_into().unwrap()), units * unit);
            let see = |start: usize, pieces: &[&[Fp]]| vec![vec![Fp::reduce(start as u64)], pieces[0].to_vec(), pieces[1].to_vec()];
            let mut at = 0_usize;
            for seen in Secret::work_and_wipe(cores, &mut [&mut a, &mut b], unit, piece, see) {
                prop_assert!(seen[0] == [Fp::reduce(at as u64)] && at.is_multiple_of(unit) && seen[1].len() <= piece);
                let range = at..at + seen[1].len();
                prop_assert!(seen[1] == left[range.clone()] && seen[2] == right[range.clone()]);
                at = range.end;
            }
            prop_assert_eq!(at, length);
            prop_assert!([&a, &b].iter().all(|vector| vector.len() == length && vector.iter().all(|value| *value == Fp::ZERO)));
        }
    }

    #[test]
    fn what_is_used_up_is_empty_and_what_is_dropped_is_wiped_before() {
        let (mut a, mut b) = (secret(CACHED, 1), secret(CACHED, 2));
        let pieces = Secret::use_up(Cores::ONE, &mut [&mut a, &mut b], 512, |start, pieces| vec![start + pieces[0].len()]);
        assert_eq!(pieces.iter().map(|ends| ends[0]).collect::<Vec<_>>(), [CACHED / 2, CACHED]);
        assert!(a.is_empty() && b.is_empty());
        let mut dropped = secret(5, 1);
        dropped.wipe();
        assert_eq!(*dropped, [Fp::ZERO; 5]);
    }

    #[test]
    #[should_panic(expected = "vectors of several lengths")]
    fn vectors_of_several_lengths_are_not_used_up() {
        Secret::use_up(Cores::ONE, &mut [&mut secret(5, 1), &mut secret(6, 1)], 512, |_, _| vec![0]);
    }
}
