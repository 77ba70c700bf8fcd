//! The only place with `unsafe`: vector instructions behind safe functions, and vectors on huge pages ([`pages`]).
//!
//! Four inner loops take nearly all the time of the protocol: BLAKE3's output blocks ([`xof`]), look-ups for the
//! ternary rows ([`rows`]), SHA-256 of the vector trees ([`sha256`]) and sums of products ([`products`]). Each loop here exists twice, as
//! portable code, which is the reference, and for an instruction set: AVX2 on x86-64 and NEON on 64-bit ARM, `lanes` and
//! the token `Lanes` for whichever this is built for, and SHA-NI. Property tests hold them equal.
//!
//! Which one runs is decided at run time by what the processor has. A token such as `Avx2` can only be had from the
//! detection, so that a function that takes one may call code compiled for that instruction set. Building with
//! `RUSTFLAGS='--cfg consilium_backend="portable"'` leaves the portable code alone, and [`use_portable_code`] does so
//! in a running process, to test and to measure it.
//!
//! Nothing here branches on or indexes memory by a secret: look-ups in a register (`vpshufb`, `tbl`) take the public matrix
//! as their index.

#[cfg(any(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    consilium_backend = "portable"
))]
mod absent;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod avx2;
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
mod neon;
pub(crate) mod pages;
pub(crate) mod products;
pub(crate) mod rows;
pub(crate) mod sha256;
pub(crate) mod xof;

use crate::field::Fp;
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
use {Avx2 as Lanes, avx2 as lanes};
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
use {Neon as Lanes, neon as lanes};
#[cfg(any(
    not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little"))),
    consilium_backend = "portable"
))]
use {absent as lanes, absent::NoLanes as Lanes};

static PORTABLE: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);

/// From now on this process uses this crate's portable code only, whatever the processor has: to measure it. Results are
/// the same. The `blake3` and `sha2` crates go on using what they find.
pub fn use_portable_code() {
    PORTABLE.store(true, core::sync::atomic::Ordering::Relaxed);
}

#[cfg(all(
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")),
    not(consilium_backend = "portable")
))]
fn may_use_vectors() -> bool {
    !PORTABLE.load(core::sync::atomic::Ordering::Relaxed)
}

/// The instruction sets in use, for reports of measurements.
#[must_use]
pub fn features() -> &'static str {
    if Avx512::detect().is_some() {
        "avx512 (xof), avx2 (rows)"
    } else if Lanes::detect().is_some() {
        if cfg!(target_arch = "aarch64") { "neon" } else { "avx2" }
    } else {
        "portable"
    }
}

/// The processor has AVX2.
#[derive(Debug, Clone, Copy)]
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) struct Avx2(());

/// The processor has NEON.
#[derive(Debug, Clone, Copy)]
#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
pub(crate) struct Neon(());

/// The processor has what the `blake3` crate's own AVX-512 code needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

/// The processor has the SHA extensions and AVX.
#[derive(Debug, Clone, Copy)]
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) struct ShaNi(());

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl ShaNi {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (may_use_vectors() && is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx")).then_some(Self(()))
    }
}

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl Avx2 {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (may_use_vectors() && is_x86_feature_detected!("avx2")).then_some(Self(()))
    }
}

#[cfg(all(target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
impl Neon {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (may_use_vectors() && std::arch::is_aarch64_feature_detected!("neon")).then_some(Self(()))
    }
}

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl Avx512 {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (may_use_vectors() && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")).then_some(Self(()))
    }
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        None
    }
}

/// The canonical representatives of elements, in place.
#[inline]
pub(crate) fn words(values: &[Fp]) -> &[u64] {
    // SAFETY: an `Fp` is a `u64` by its layout (`repr(transparent)`), and the borrow is the same.
    unsafe { core::slice::from_raw_parts(values.as_ptr().cast(), values.len()) }
}

/// As [`words`], to write canonical ones.
#[cfg(all(
    any(target_arch = "x86_64", all(target_arch = "aarch64", target_endian = "little")),
    not(consilium_backend = "portable")
))]
#[inline]
fn words_mut(values: &mut [Fp]) -> &mut [u64] {
    // SAFETY: as above; the modules here store canonical words alone.
    unsafe { core::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), values.len()) }
}

#[cfg(all(test, target_arch = "aarch64", target_endian = "little", not(consilium_backend = "portable")))]
mod tests {
    #[test]
    fn the_loops_for_neon_are_the_ones_that_run() {
        assert_eq!(super::features(), "neon");
    }
}
