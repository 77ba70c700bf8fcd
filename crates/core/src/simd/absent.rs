//! Where this crate has no loops of its own: a token that nobody can have, so that nothing here is ever called.

/// No processor that this is built for has lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NoLanes {}

impl NoLanes {
    pub(crate) fn detect() -> Option<Self> {
        None
    }
}

pub(super) mod products {
    use super::NoLanes;
    use crate::field::Fp;

    pub(in crate::simd) fn add_products<const N: usize>(token: NoLanes, _: &mut [Fp], _: [Fp; N], _: [&[u64]; N]) -> usize {
        match token {}
    }

    pub(in crate::simd) fn add<const N: usize>(token: NoLanes, _: &mut [Fp], _: [&[u64]; N]) -> usize {
        match token {}
    }
}

pub(super) mod rows {
    use super::NoLanes;
    use crate::field::Fp;
    use crate::simd::rows::{GROUP, GroupIndices, GroupRows, Tables, VectorSums};

    pub(in crate::simd) fn indices(token: NoLanes, _: &GroupRows, _: &mut GroupIndices) {
        match token {}
    }

    pub(in crate::simd) fn tables<const PLANES: usize>(token: NoLanes, _: &[Fp; GROUP], _: &mut Tables<PLANES>) {
        match token {}
    }

    pub(in crate::simd) fn add_found<const PLANES: usize>(
        token: NoLanes,
        _: &[Tables<PLANES>],
        _: &[GroupIndices],
        _: usize,
        _: &mut VectorSums<PLANES>,
    ) {
        match token {}
    }
}

pub(super) mod xof {
    use super::NoLanes;
    use crate::simd::xof::{BLOCK_WORDS, Root};

    pub(in crate::simd) fn blocks(token: NoLanes, _: &Root, _: u64, _: &mut [[u64; BLOCK_WORDS]]) {
        match token {}
    }
}
