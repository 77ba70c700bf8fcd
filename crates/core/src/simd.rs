//! The only place with `unsafe`: vector instructions behind safe functions.
//!
//! Three inner loops take nearly all the time of the protocol: BLAKE3's output blocks ([`xof`]), look-ups for the
//! ternary rows ([`rows`]) and SHA-256 of the vector trees ([`sha256`]). Each loop here exists twice, as
//! portable code, which is the reference, and for one instruction set; property tests hold them equal.
//!
//! Which one runs is decided at run time by what the processor has. A token such as `Avx2` can only be had from the
//! detection, so that a function that takes one may call code compiled for that instruction set. Building with
//! `RUSTFLAGS='--cfg consilium_backend="portable"'` leaves the portable code alone, to test and to measure it.
//!
//! Nothing here branches on or indexes memory by a secret: look-ups in a register (`vpshufb`) take the public matrix
//! as their index.

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
mod avx2;
pub(crate) mod rows;
pub(crate) mod sha256;
pub(crate) mod xof;

/// The instruction sets in use, for reports of measurements.
#[must_use]
pub fn features() -> &'static str {
    if Avx512::detect().is_some() {
        "avx512 (xof), avx2 (rows)"
    } else if Avx2::detect().is_some() {
        "avx2"
    } else {
        "portable"
    }
}

/// The processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

/// The processor has what the `blake3` crate's own AVX-512 code needs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

/// The processor has the SHA extensions.
#[derive(Debug, Clone, Copy)]
#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
pub(crate) struct ShaNi(());

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl ShaNi {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3");
        has.then_some(Self(()))
    }
}

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl Avx2 {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(()))
    }
}

#[cfg(all(target_arch = "x86_64", not(consilium_backend = "portable")))]
impl Avx512 {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")).then_some(Self(()))
    }
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        None
    }
}

#[cfg(not(all(target_arch = "x86_64", not(consilium_backend = "portable"))))]
impl Avx512 {
    pub(crate) fn detect() -> Option<Self> {
        None
    }
}
