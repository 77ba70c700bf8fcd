//! Vectors of secrets: what a site puts in, and its shares of it.

use crate::cores::{Cores, split};
use crate::field::Fp;
use core::ops::{Deref, DerefMut};
use zeroize::Zeroize;

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

    /// Hands vectors of one length to `work` for the last time, piece by piece: the first coordinate of a piece, and what each vector
    /// has there. A core wipes a piece after that, as long as it has it in its cache: a pass of its own over memory takes longer
    /// than all else that is left to one core. The vectors are empty then. The results are in the order of the pieces.
    pub(crate) fn use_up<R: Send>(
        cores: Cores,
        vectors: &mut [&mut Self],
        piece: usize,
        work: impl Fn(usize, &[&[Fp]]) -> R + Sync,
    ) -> Vec<R> {
        let ranges = cores.ranges(vectors.first().map_or(0, |vector| vector.len()), piece);
        let mut parts: Vec<_> = ranges.iter().map(|range| (range.start, Vec::new())).collect();
        for vector in vectors.iter_mut() {
            parts.iter_mut().zip(split(vector, &ranges)).for_each(|((_, vectors), part)| vectors.push(part));
        }
        let results = cores.each(parts, |(mut start, mut rest): (usize, Vec<&mut [Fp]>)| {
            let mut results = Vec::new();
            while rest.first().is_some_and(|rest| !rest.is_empty()) {
                let mut pieces: Vec<&mut [Fp]> =
                    rest.iter_mut().filter_map(|rest| rest.split_off_mut(..piece.min(rest.len()))).collect();
                results.push(work(start, &pieces.iter().map(|piece| &**piece).collect::<Vec<_>>()));
                start += pieces[0].len();
                pieces.iter_mut().for_each(|piece| piece.zeroize());
            }
            results
        });
        // What is wiped is given back as it is.
        vectors.iter_mut().for_each(|vector| drop(vector.reveal()));
        results.into_iter().flatten().collect()
    }
}

impl Deref for Secret {
    type Target = Vec<Fp>;

    fn deref(&self) -> &Vec<Fp> {
        &self.0
    }
}

impl DerefMut for Secret {
    fn deref_mut(&mut self) -> &mut Vec<Fp> {
        &mut self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        // Memory beyond the length is wiped at once, elements one by one.
        self.0.clear();
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_piece_is_seen_once_whole_and_in_order(length in 0usize..400, piece in 1usize..60, threads in 1usize..4) {
            let make = |factor: u64| Secret::new((0..length as u64).map(|i| Fp::reduce(factor * i)).collect());
            let (mut a, mut b) = (make(1), make(3));
            let (left, right) = (a.clone(), b.clone());
            let cores = Cores::new(threads.try_into().unwrap());
            let seen = Secret::use_up(cores, &mut [&mut a, &mut b], piece, |start, pieces| {
                (start, pieces.iter().map(|piece| piece.to_vec()).collect::<Vec<_>>())
            });
            let mut at = 0;
            for (start, pieces) in seen {
                prop_assert_eq!(start, at);
                at += pieces[0].len();
                prop_assert!(pieces[0].len() <= piece && pieces[0] == left[start..at] && pieces[1] == right[start..at]);
            }
            prop_assert!(at == length && a.is_empty() && b.is_empty());
        }
    }
}
