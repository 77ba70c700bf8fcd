//! A vector that several threads change at once, each a part of it, and that leaves as the vector it is. Parts of it behind
//! locks of their own would be vectors of their own, and putting them together would take as much memory again.

use super::pages;
use crate::cores::locked;
use crate::field::Fp;
use core::ops::Range;
use core::ptr::NonNull;
use std::sync::Mutex;
use zeroize::Zeroize;

/// Stripes of a vector, each with a lock: who changes it at the same time is mostly at different ones.
const STRIPES: usize = 64;

/// The vector, wiped when it is dropped. A stripe's lock says whether the vector is still here.
pub(crate) struct Shared {
    elements: NonNull<Fp>,
    length: usize,
    capacity: usize,
    stripe: usize,
    stripes: Vec<Mutex<bool>>,
}

// SAFETY: it owns its elements, as a vector does, and a reference gives access to those of a stripe only while its lock is held.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// Zeros, whose memory is taken when they are first written.
    pub(crate) fn zeros(length: usize) -> Self {
        let mut vector = core::mem::ManuallyDrop::new(pages::zeros(length));
        let stripe = length.div_ceil(STRIPES).max(1);
        let stripes = (0..length.div_ceil(stripe).max(1)).map(|_| Mutex::new(true)).collect();
        // SAFETY: a vector's pointer is not null.
        let elements = unsafe { NonNull::new_unchecked(vector.as_mut_ptr()) };
        Self { elements, length, capacity: vector.capacity(), stripe, stripes }
    }

    /// How many elements it has, or had.
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// Hands the elements within `range` to `change`, stripe by stripe, each with the range that it has; none once the vector was
    /// taken.
    pub(crate) fn change(&self, range: Range<usize>, mut change: impl FnMut(Range<usize>, &mut [Fp])) {
        assert!(range.end <= self.length, "elements {range:?} of {}", self.length);
        let mut start = range.start;
        while start < range.end {
            let number = start / self.stripe;
            let end = range.end.min((number + 1) * self.stripe);
            let here = locked(&self.stripes[number]);
            if *here {
                // SAFETY: `start..end` lies within the vector and within one stripe. Whoever has its lock is the only one who
                // refers to its elements, and they are there as long as the lock says so.
                change(start..end, unsafe { core::slice::from_raw_parts_mut(self.elements.add(start).as_ptr(), end - start) });
            }
            drop(here);
            start = end;
        }
    }

    /// The vector, unless it was taken before.
    pub(crate) fn take(&self) -> Option<Vec<Fp>> {
        // All locks at once, in order, so that nobody is at any of it.
        let mut here: Vec<_> = self.stripes.iter().map(locked).collect();
        if !here.iter().all(|here| **here) {
            return None;
        }
        here.iter_mut().for_each(|here| **here = false);
        // SAFETY: the parts are those of the vector that `zeros` did not drop; all locks say from now on that it is gone, and no
        // other reference to it exists, since they are held here.
        Some(unsafe { Vec::from_raw_parts(self.elements.as_ptr(), self.length, self.capacity) })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.take().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn threads_that_change_parts_of_it_change_what_one_would(
            length in 0usize..500, changes in proptest::collection::vec(any::<[prop::sample::Index; 2]>(), 0..40), threads in 1usize..4,
        ) {
            let ranges: Vec<_> = changes.iter().map(|ends| {
                let [a, b] = ends.map(|end| end.index(length + 1));
                a.min(b)..a.max(b)
            }).collect();
            let (shared, mut expected) = (Shared::zeros(length), vec![Fp::ZERO; length]);
            for range in &ranges {
                expected[range.clone()].iter_mut().zip(1..).for_each(|(value, i)| *value += Fp::reduce(i));
            }
            let add = |range: &Range<usize>| shared.change(range.clone(), |part, values| {
                values.iter_mut().zip(part).for_each(|(value, at)| *value += Fp::reduce((at - range.start + 1) as u64));
            });
            std::thread::scope(|scope| {
                for part in 0..threads {
                    let (ranges, add) = (&ranges, &add);
                    scope.spawn(move || ranges.iter().skip(part).step_by(threads).for_each(add));
                }
            });
            prop_assert_eq!(shared.take(), Some(expected));
            prop_assert_eq!(shared.take(), None);
            shared.change(0..length, |_, _| unreachable!("it was taken"));
        }
    }
}
