//! The same work on several cores: plain threads that end before the call does. The results are those of one core, bit
//! for bit, whatever the number.
//!
//! A step is cut into more parts than there are cores, and each core takes the next one. What a part gives is put in the
//! order of the parts or added up in the field, where the order does not matter. Wiping is left to one core, but for what a step
//! uses for the last time (`secret.rs`).
//! `cargo bench -p consilium-core --bench scaling` shows what it brings.

use core::num::NonZeroUsize;
use core::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Parts of a step for each of several cores: a core that others slow down leaves the last of its parts to the rest.
const PARTS: usize = 16;

/// How many threads a step may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cores(NonZeroUsize);

impl Cores {
    /// The calling thread alone.
    pub const ONE: Self = Self(NonZeroUsize::MIN);

    /// That many threads, the calling one among them.
    #[must_use]
    pub const fn new(threads: NonZeroUsize) -> Self {
        Self(threads)
    }

    /// As many as the system says that this process may use; one if it does not say.
    #[must_use]
    pub fn all() -> Self {
        std::thread::available_parallelism().map_or(Self::ONE, Self)
    }

    /// The number of threads.
    #[must_use]
    pub const fn count(self) -> usize {
        self.0.get()
    }

    /// 0..`length` in ranges for [`Self::each`], each but the last a multiple of `unit` long: one for a single core, some
    /// for each of several.
    pub(crate) fn ranges(self, length: usize, unit: usize) -> Vec<Range<usize>> {
        let parts = if self.count() == 1 { 1 } else { PARTS * self.count() };
        let step = length.div_ceil(unit).div_ceil(parts).max(1) * unit;
        (0..length).step_by(step).map(|start| start..length.min(start + step)).collect()
    }

    /// Does `work` on all of the parts, each core taking the next one that is left, and returns the results in the
    /// order of the parts.
    pub(crate) fn each<P: Send, R: Send>(self, parts: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
        if self.count() == 1 || parts.len() < 2 {
            return parts.into_iter().map(work).collect();
        }
        let mut results: Vec<Option<R>> = parts.iter().map(|_| None).collect();
        let threads = self.count().min(parts.len());
        let left = Mutex::new(parts.into_iter().zip(&mut results));
        let next = || locked(&left).next();
        let take = || {
            while let Some((part, slot)) = next() {
                *slot = Some(work(part));
            }
        };
        std::thread::scope(|scope| {
            (1..threads).for_each(|_| drop(scope.spawn(take)));
            take();
        });
        drop(left);
        results.into_iter().flatten().collect()
    }
}

/// The lock, also of what a thread held that panicked: whoever cares keeps what shows that.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A vector's parts at ranges that follow each other from 0 on.
pub(crate) fn split<'a, T>(mut vector: &'a mut [T], ranges: &[Range<usize>]) -> Vec<&'a mut [T]> {
    ranges.iter().map(|range| vector.split_off_mut(..range.len()).unwrap_or_default()).collect()
}

/// The parts of several vectors at such ranges: for each range those of all vectors.
pub(crate) fn split_all<'a, T: 'a>(vectors: impl Iterator<Item = &'a mut [T]>, ranges: &[Range<usize>]) -> Vec<Vec<&'a mut [T]>> {
    let mut parts: Vec<Vec<_>> = ranges.iter().map(|_| Vec::new()).collect();
    for vector in vectors {
        parts.iter_mut().zip(split(vector, ranges)).for_each(|(parts, part)| parts.push(part));
    }
    parts
}

/// Takes the next elements off parts of one length, at most `most` of each; `None` when none are left.
pub(crate) fn next_of_all<'a, T>(rest: &mut [&'a mut [T]], most: usize) -> Option<Vec<&'a mut [T]>> {
    let length = rest.first()?.len().min(most);
    if length == 0 { None } else { rest.iter_mut().map(|rest| rest.split_off_mut(..length)).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ranges_cover_all_in_order_and_results_keep_the_order(length in 0usize..5_000, unit in 1usize..600, threads in 1usize..6) {
            let cores = Cores::new(NonZeroUsize::new(threads).unwrap());
            let ranges = cores.ranges(length, unit);
            let most = if threads == 1 { 1 } else { PARTS * threads };
            prop_assert!(ranges.len() <= most);
            prop_assert!(ranges.iter().rev().skip(1).all(|range| range.len().is_multiple_of(unit)));
            let all: Vec<usize> = cores.each(ranges, Iterator::collect::<Vec<_>>).concat();
            prop_assert_eq!(all, (0..length).collect::<Vec<_>>());
        }
    }
}
