//! x86-64: the loops for AVX-512 where the processor has it, else those for AVX2.

mod avx2;
mod avx512;

use super::InstructionSet;

/// The vectors that the processor has, the widest that it may use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lanes {
    Avx2(Avx2),
    Avx512(Avx512),
}

impl Lanes {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        Avx512::detect().map(Self::Avx512).or_else(|| Avx2::detect().map(Self::Avx2))
    }

    pub(super) fn instruction_set(self) -> InstructionSet {
        match self {
            Self::Avx2(_) => InstructionSet::Avx2,
            Self::Avx512(_) => InstructionSet::Avx512,
        }
    }
}

/// The processor has AVX2.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    #[inline]
    fn detect() -> Option<Self> {
        (InstructionSet::Avx2.allowed() && is_x86_feature_detected!("avx2")).then_some(Self(()))
    }
}

/// The processor has AVX-512 F, BW and VL: Intel's servers since Skylake, AMD's since Zen 4.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    #[inline]
    fn detect() -> Option<Self> {
        let here =
            is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl");
        (InstructionSet::Avx512.allowed() && here).then_some(Self(()))
    }
}

/// The processor has the SHA extensions and AVX.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShaNi(());

impl ShaNi {
    #[inline]
    pub(crate) fn detect() -> Option<Self> {
        let here = is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx");
        (InstructionSet::Avx2.allowed() && here).then_some(Self(()))
    }
}

pub(super) mod canonical {
    use super::{Lanes, avx2, avx512};

    pub(in crate::simd) fn any_half_full(lanes: Lanes, words: &[[u64; 8]]) -> bool {
        match lanes {
            Lanes::Avx2(token) => avx2::canonical::any_half_full(token, words),
            Lanes::Avx512(token) => avx512::canonical::any_half_full(token, words),
        }
    }
}

pub(super) mod products {
    use super::{Lanes, avx2, avx512};
    use crate::field::Fp;

    pub(in crate::simd) fn add_products<const N: usize>(
        lanes: Lanes,
        sums: &mut [Fp],
        factors: [Fp; N],
        vectors: [&[u64]; N],
    ) -> usize {
        match lanes {
            Lanes::Avx2(token) => avx2::products::add_products(token, sums, factors, vectors),
            Lanes::Avx512(token) => avx512::products::add_products(token, sums, factors, vectors),
        }
    }

    pub(in crate::simd) fn add_small_products<const N: usize>(
        lanes: Lanes,
        sums: &mut [Fp],
        factors: [i64; N],
        vectors: [&[u64]; N],
    ) -> usize {
        match lanes {
            Lanes::Avx2(token) => avx2::products::add_small_products(token, sums, factors, vectors),
            Lanes::Avx512(token) => avx512::products::add_small_products(token, sums, factors, vectors),
        }
    }

    pub(in crate::simd) fn add<const N: usize>(lanes: Lanes, sums: &mut [Fp], vectors: [&[u64]; N]) -> usize {
        match lanes {
            Lanes::Avx2(token) => avx2::products::add(token, sums, vectors),
            Lanes::Avx512(token) => avx512::products::add(token, sums, vectors),
        }
    }
}

pub(super) mod rows {
    use super::{Lanes, avx2, avx512};
    use crate::simd::rows::{GROUPS, GroupIndices, GroupRows, GroupTables, GroupValues, Sums};

    pub(in crate::simd) fn indices(lanes: Lanes, rows: &[GroupRows; GROUPS], out: &mut [GroupIndices; GROUPS]) {
        match lanes {
            Lanes::Avx2(token) => avx2::rows::indices(token, rows, out),
            Lanes::Avx512(token) => avx512::rows::indices(token, rows, out),
        }
    }

    pub(in crate::simd) fn tables<const PLANES: usize>(
        lanes: Lanes,
        values: &[GroupValues; GROUPS],
        out: &mut [GroupTables<PLANES>; GROUPS],
    ) {
        match lanes {
            Lanes::Avx2(token) => avx2::rows::tables(token, values, out),
            Lanes::Avx512(token) => avx512::rows::tables(token, values, out),
        }
    }

    pub(in crate::simd) fn add_found<const PLANES: usize>(
        lanes: Lanes,
        tables: &[GroupTables<PLANES>; GROUPS],
        indices: &[GroupIndices; GROUPS],
        sums: &mut Sums<PLANES>,
    ) {
        match lanes {
            Lanes::Avx2(token) => avx2::rows::add_found(token, tables, indices, sums),
            Lanes::Avx512(token) => avx512::rows::add_found(token, tables, indices, sums),
        }
    }
}

pub(super) mod xof {
    use super::{Lanes, avx2, avx512};
    use crate::simd::xof::{BLOCK_WORDS, Root};

    pub(in crate::simd) fn blocks<const WORDS: usize>(lanes: Lanes, root: &Root, counter: u64, out: &mut [[u64; BLOCK_WORDS]]) {
        match lanes {
            Lanes::Avx2(token) => avx2::xof::blocks::<WORDS>(token, root, counter, out),
            Lanes::Avx512(token) => avx512::xof::blocks::<WORDS>(token, root, counter, out),
        }
    }
}
