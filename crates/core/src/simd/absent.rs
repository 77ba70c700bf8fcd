//! Where this crate has no loops of its own: a token that nobody can have, so that nothing here is ever called.

/// No processor that this is built for has lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lanes {}

impl Lanes {
    pub(crate) fn detect() -> Option<Self> {
        None
    }

    pub(super) fn instruction_set(self) -> super::InstructionSet {
        match self {}
    }
}

pub(super) mod canonical {
    use super::Lanes;

    pub(in crate::simd) fn any_half_full(token: Lanes, _: &[[u64; 8]]) -> bool {
        match token {}
    }
}

pub(super) mod products {
    use super::Lanes;
    use crate::field::Fp;

    pub(in crate::simd) fn add_products<const N: usize>(token: Lanes, _: &mut [Fp], _: [Fp; N], _: [&[u64]; N]) -> usize {
        match token {}
    }

    pub(in crate::simd) fn add_small_products<const N: usize>(token: Lanes, _: &mut [Fp], _: [i64; N], _: [&[u64]; N]) -> usize {
        match token {}
    }

    pub(in crate::simd) fn add<const N: usize>(token: Lanes, _: &mut [Fp], _: [&[u64]; N]) -> usize {
        match token {}
    }
}

pub(super) mod rows {
    use super::Lanes;
    use crate::simd::rows::{GROUPS, GroupIndices, GroupRows, GroupTables, GroupValues, Sums};

    pub(in crate::simd) fn indices(token: Lanes, _: &[GroupRows; GROUPS], _: &mut [GroupIndices; GROUPS]) {
        match token {}
    }

    pub(in crate::simd) fn tables<const PLANES: usize>(
        token: Lanes,
        _: &[GroupValues; GROUPS],
        _: &mut [GroupTables<PLANES>; GROUPS],
    ) {
        match token {}
    }

    pub(in crate::simd) fn add_found<const PLANES: usize>(
        token: Lanes,
        _: &[GroupTables<PLANES>; GROUPS],
        _: &[GroupIndices; GROUPS],
        _: &mut Sums<PLANES>,
    ) {
        match token {}
    }
}

pub(super) mod xof {
    use super::Lanes;
    use crate::simd::xof::{BLOCK_WORDS, Root};

    pub(in crate::simd) fn blocks<const WORDS: usize>(token: Lanes, _: &Root, _: u64, _: &mut [[u64; BLOCK_WORDS]]) {
        match token {}
    }
}
