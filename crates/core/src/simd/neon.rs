//! The loops for NEON: 128-bit vectors, which every 64-bit ARM processor has.

pub(super) mod canonical;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;

use super::InstructionSet;
use core::arch::aarch64::{uint64x2_t, vld1q_u64};

/// The processor has NEON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lanes(());

impl Lanes {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        (InstructionSet::Neon.allowed() && std::arch::is_aarch64_feature_detected!("neon")).then_some(Self(()))
    }

    pub(super) fn instruction_set(self) -> InstructionSet {
        InstructionSet::Neon
    }
}

/// A register of words.
#[inline]
#[target_feature(enable = "neon")]
fn load(words: &[u64; 2]) -> uint64x2_t {
    // SAFETY: 16 bytes are readable, aligned as words are.
    unsafe { vld1q_u64(words.as_ptr()) }
}
