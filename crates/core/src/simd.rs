//! The only place with `unsafe`: vector instructions behind safe functions, vectors on huge pages ([`pages`]), and a vector that
//! threads share ([`shared`]).
//!
//! Four inner loops take nearly all the time of the protocol: BLAKE3's output blocks ([`xof`]), look-ups for the
//! ternary rows ([`rows`]), SHA-256 of the vector trees ([`sha256`]) and sums of products ([`products`]); a fifth looks
//! whether words are field elements ([`canonical`]). Each exists as portable code, which is the reference, and for instruction
//! sets: SHA-256 for the SHA extensions of x86-64, the others for AVX-512 and AVX2 on x86-64 and for NEON on 64-bit ARM.
//! Property tests hold them equal.
//!
//! Which one runs is decided at run time by what the processor has. `lanes` is the module for the processors that this is
//! built for, and `lanes::Lanes` the token for what the one at hand has: it can only be had from the detection, so that a
//! function that takes one may call code compiled for that instruction set. Building with
//! `RUSTFLAGS='--cfg consilium_backend="portable"'` leaves the portable code alone, and [`use_at_most`] keeps a running
//! process to fewer instructions, to test and to measure them.
//!
//! Nothing here branches on or indexes memory by a secret: look-ups in a register (`vpshufb`, `tbl`) take the public matrix
//! as their index.

#[cfg(any(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    consilium_backend = "portable"
))]
mod absent;
pub(crate) mod canonical;
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
mod neon;
pub(crate) mod pages;
#[cfg_attr(
    any(
        not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
        consilium_backend = "portable"
    ),
    allow(dead_code, unused_imports, unused_macros, reason = "what the loops share, and there are none")
)]
pub(crate) mod products;
pub(crate) mod rows;
pub(crate) mod sha256;
pub(crate) mod shared;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod x86;
#[cfg_attr(
    any(
        not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
        consilium_backend = "portable"
    ),
    allow(dead_code, unused_imports, unused_macros, reason = "what the loops share, and there are none")
)]
pub(crate) mod xof;

use crate::field::Fp;
#[cfg(any(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    consilium_backend = "portable"
))]
use absent as lanes;
use core::sync::atomic::{AtomicU8, Ordering};
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
use neon as lanes;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
use x86 as lanes;
use zeroize::Zeroizing;

/// Instruction sets that this crate has loops for; a processor's later ones are wider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum InstructionSet {
    /// What every processor has: the reference.
    Portable,
    /// 128-bit vectors of 64-bit ARM.
    Neon,
    /// 256-bit vectors of x86-64.
    Avx2,
    /// 512-bit vectors of x86-64: AVX-512 F, BW and VL.
    Avx512,
}

impl InstructionSet {
    /// All of them, whatever this is built for.
    pub const ALL: [Self; 4] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512];

    /// The name in reports and options.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Whether this process may use it, if the processor has it.
    #[cfg(all(
        any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")),
        not(consilium_backend = "portable")
    ))]
    fn allowed(self) -> bool {
        self as u8 <= LIMIT.load(Ordering::Relaxed)
    }
}

static LIMIT: AtomicU8 = AtomicU8::new(InstructionSet::Avx512 as u8);

/// From now on this crate's own loops in this process use no wider instructions than these, whatever the processor has: to
/// measure them. Results are the same. With [`InstructionSet::Portable`] the SHA extensions are not used either. The
/// `blake3` and `sha2` crates go on using what they find.
pub fn use_at_most(set: InstructionSet) {
    LIMIT.store(set as u8, Ordering::Relaxed);
}

/// The instruction set of the loops in use.
#[must_use]
pub fn in_use() -> InstructionSet {
    lanes::Lanes::detect().map_or(InstructionSet::Portable, lanes::Lanes::instruction_set)
}

/// [`in_use`], and `sha` where the SHA extensions are, for reports of measurements.
#[must_use]
pub fn features() -> Vec<&'static str> {
    core::iter::once(in_use().name()).chain(sha256::Pairs::detect().map(|_| "sha")).collect()
}

/// The canonical representatives of elements, in place.
#[inline]
pub(crate) fn words(values: &[Fp]) -> &[u64] {
    // SAFETY: an `Fp` is a `u64` by its layout (`repr(transparent)`), and the borrow is the same.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// A value that travels or is hashed as eight bytes.
///
/// # Safety
/// It has eight bytes, all of them initialised, and on a little-endian machine they are those of [`Self::to_le_bytes`].
pub(crate) unsafe trait Word: Copy + Sync {
    /// The little-endian bytes.
    fn to_le_bytes(self) -> [u8; 8];
}

// SAFETY: an `Fp` is a `u64` by its layout (`repr(transparent)`).
unsafe impl Word for Fp {
    fn to_le_bytes(self) -> [u8; 8] {
        self.value().to_le_bytes()
    }
}

// SAFETY: a binary64 number has eight bytes and no padding, in the order of the machine's words.
unsafe impl Word for f64 {
    fn to_le_bytes(self) -> [u8; 8] {
        self.to_bits().to_le_bytes()
    }
}

/// The words as little-endian bytes, in place; `None` on a machine of the other order.
#[inline]
pub(crate) fn le_bytes<W: Word>(values: &[W]) -> Option<&[u8]> {
    // SAFETY: a word is eight initialised bytes, as its trait says, and the alignment of bytes is 1.
    cfg!(target_endian = "little").then(|| unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) })
}

/// Hands the words' little-endian bytes to `read`, without a copy where the machine's words have that order.
pub(crate) fn with_le_bytes<W: Word, R>(values: &[W], read: impl FnOnce(&[u8]) -> R) -> R {
    match le_bytes(values) {
        Some(bytes) => read(bytes),
        None => read(&Zeroizing::new(values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>())),
    }
}

/// As [`words`], to write canonical ones.
#[cfg(all(
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")),
    not(consilium_backend = "portable")
))]
#[inline]
fn words_mut(values: &mut [Fp]) -> &mut [u64] {
    // SAFETY: as for [`words`]; the modules here store canonical words alone.
    unsafe { core::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

/// Hands whole registers of the sums and of the vectors, which are as long or longer, to `work`; how many coordinates they hold.
#[cfg(all(
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")),
    not(consilium_backend = "portable")
))]
fn in_registers<const LANES: usize, const N: usize>(
    sums: &mut [Fp],
    vectors: [&[u64]; N],
    work: impl FnOnce(&mut [[u64; LANES]], [&[[u64; LANES]]; N]),
) -> usize {
    let vectors = vectors.map(|vector| vector[..sums.len()].as_chunks().0);
    work(words_mut(sums).as_chunks_mut().0, vectors);
    sums.len() / LANES * LANES
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Keeps the process to each instruction set in turn that the processor has, for the tests that compare them with the
    /// portable code; to none when dropped. One at a time.
    pub(crate) struct EachSet {
        left: core::array::IntoIter<InstructionSet, 4>,
        _alone: MutexGuard<'static, ()>,
    }

    pub(crate) fn each_set() -> EachSet {
        static ALONE: Mutex<()> = Mutex::new(());
        EachSet { left: InstructionSet::ALL.into_iter(), _alone: ALONE.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    impl Iterator for EachSet {
        type Item = InstructionSet;

        fn next(&mut self) -> Option<InstructionSet> {
            self.left.find(|&set| {
                use_at_most(set);
                in_use() == set
            })
        }
    }

    impl Drop for EachSet {
        fn drop(&mut self) {
            use_at_most(InstructionSet::Avx512);
        }
    }

    #[test]
    fn the_widest_loops_that_the_processor_has_are_the_ones_that_run() {
        assert_eq!(each_set().last(), Some(widest()));
        let _alone = each_set();
        assert_eq!(in_use(), widest());
    }

    #[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
    fn widest() -> InstructionSet {
        use std::is_x86_feature_detected as has;
        match (has!("avx512f") && has!("avx512bw") && has!("avx512vl"), has!("avx2")) {
            (true, _) => InstructionSet::Avx512,
            (_, true) => InstructionSet::Avx2,
            _ => InstructionSet::Portable,
        }
    }

    #[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
    fn widest() -> InstructionSet {
        InstructionSet::Neon
    }

    #[cfg(any(
        not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
        consilium_backend = "portable"
    ))]
    fn widest() -> InstructionSet {
        InstructionSet::Portable
    }
}
