//! Vectors on huge pages. A vector of many megabytes is fresh memory each time, which the system hands out page by page
//! as it is first written: with pages of 4 KiB that is a third of the time to copy and hash it. Linux gives pages of 2 MiB to who
//! asks for them, if its setting is `madvise`; with `always` it does so unasked, and with `never` nothing changes.

use crate::field::Fp;

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
        }
    }
}
