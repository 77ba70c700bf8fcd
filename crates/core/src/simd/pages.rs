//! Memory for large vectors: on huge pages, and without a pass that only zeroes it ([`filled`]).
//!
//! A vector of many megabytes is fresh memory each time, which the system hands out page by page as it is first written:
//! with pages of 4 KiB that is a third of the time to copy and hash it. Linux gives pages of 2 MiB to who asks for them, if
//! its setting is `madvise`; with `always` it does so unasked, and with `never` nothing changes.

use crate::cores::{Cores, next_of_all, split_all};
use crate::field::Fp;
use crate::secret::Secret;
use core::mem::MaybeUninit;
use core::ops::Range;

/// Vectors from this many bytes on ask for huge pages; smaller ones hold too few of them.
#[cfg(target_os = "linux")]
const LARGE: usize = 4 << 20;

/// An empty vector with room for `capacity` elements, on huge pages where it is large and the system has them.
pub(crate) fn with_capacity(capacity: usize) -> Vec<Fp> {
    let vector = Vec::with_capacity(capacity);
    ask_for_huge_pages(&vector);
    vector
}

/// A vector of zeros, as [`with_capacity`] makes room for it. Fresh memory is zero, so that whoever writes it first,
/// on whatever core, is the first to touch it.
pub(crate) fn zeros(length: usize) -> Vec<Fp> {
    let words = vec![0_u64; length];
    ask_for_huge_pages(&words);
    let mut words = core::mem::ManuallyDrop::new(words);
    // SAFETY: an `Fp` is a `u64` by its layout (`repr(transparent)`), 0 is canonical, and the parts are those of a vector
    // that is not used or dropped any more.
    unsafe { Vec::from_raw_parts(words.as_mut_ptr().cast(), words.len(), words.capacity()) }
}

/// Some vectors of one length, written block by block on several cores: `fill` gets a part's number, its range and its blocks.
/// A block is zeroed when it is its turn, so that it is in the cache when it is filled, and no pass over memory is made before
/// that one.
pub(crate) fn filled(
    cores: Cores,
    vectors: usize,
    length: usize,
    unit: usize,
    fill: impl Fn(usize, Range<usize>, &mut Blocks<'_>) + Sync,
) -> Vec<Secret> {
    let mut vectors: Vec<_> = (0..vectors).map(|_| Secret::new(with_capacity(length))).collect();
    let ranges = cores.ranges(length, unit);
    let memory = vectors.iter_mut().map(|vector| &mut vector.memory().spare_capacity_mut()[..length]);
    let parts = ranges.iter().zip(split_all(memory, &ranges)).enumerate().collect();
    cores.each(parts, |(number, (range, rest)): (usize, (&Range<usize>, _))| {
        let mut blocks = Blocks { rest, unit };
        fill(number, range.clone(), &mut blocks);
        blocks.for_each(drop);
    });
    // SAFETY: the parts follow each other from 0 to `length`, and of each all blocks were taken, which zeroes them.
    vectors.iter_mut().for_each(|vector| unsafe { vector.memory().set_len(length) });
    vectors
}

/// The blocks of one part of some vectors that are written for the first time: each time the next one of all vectors.
pub(crate) struct Blocks<'a> {
    rest: Vec<&'a mut [MaybeUninit<Fp>]>,
    unit: usize,
}

impl<'a> Iterator for Blocks<'a> {
    type Item = Vec<&'a mut [Fp]>;

    fn next(&mut self) -> Option<Self::Item> {
        let zeroed = |block: &'a mut [MaybeUninit<Fp>]| {
            block.fill(MaybeUninit::new(Fp::ZERO));
            // SAFETY: all of it was written.
            unsafe { block.assume_init_mut() }
        };
        Some(next_of_all(&mut self.rest, self.unit)?.into_iter().map(zeroed).collect())
    }
}

/// The advice concerns time only: if the system does not take it, pages are small.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages<T>(vector: &Vec<T>) {
    const PAGE: usize = 4096;
    let bytes = vector.capacity() * size_of::<T>();
    if bytes < LARGE {
        return;
    }
    let pointer = vector.as_ptr().cast_mut().cast::<u8>();
    let skipped = pointer.align_offset(PAGE);
    // SAFETY: whole pages of memory that the vector has allocated, as `skipped` is less than `PAGE`; the advice leaves
    // their contents, and what may be done with them, as they are.
    let _ = unsafe {
        let first = pointer.add(skipped).cast();
        rustix::mm::madvise(first, (bytes - skipped) / PAGE * PAGE, rustix::mm::Advice::LinuxHugepage)
    };
}

#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages<T>(_vector: &Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_the_same_whatever_their_pages_are() {
        for length in [0, 1, 1000, (5 << 20) / 8 + 3] {
            assert_eq!(zeros(length), vec![Fp::ZERO; length]);
            let mut vector = with_capacity(length);
            assert!(vector.is_empty() && vector.capacity() >= length);
            vector.extend(zeros(length).iter().map(|&zero| zero + Fp::ONE));
            assert_eq!(vector, vec![Fp::ONE; length]);
            for threads in [1, 3] {
                let cores = Cores::new(threads.try_into().unwrap());
                // Each part leaves its last block to be zeroed.
                let vectors = filled(cores, 2, length, 512, |_, range, blocks| {
                    for (block, start) in blocks.zip(range.clone().step_by(512)).take(range.len().div_ceil(512) - 1) {
                        block.into_iter().zip([1, 2]).for_each(|(block, times)| {
                            block.iter_mut().zip(start..).for_each(|(value, at)| *value += Fp::reduce((times * at) as u64));
                        });
                    }
                });
                let ranges = cores.ranges(length, 512);
                for (vector, times) in vectors.iter().zip([1, 2]) {
                    let left =
                        |at: usize| ranges.iter().any(|range| (range.end.next_multiple_of(512) - 512..range.end).contains(&at));
                    let want = |at| if left(at) { Fp::ZERO } else { Fp::reduce((times * at) as u64) };
                    assert!(vector.iter().enumerate().all(|(at, value)| *value == want(at)) && vector.len() == length);
                }
            }
        }
    }
}
