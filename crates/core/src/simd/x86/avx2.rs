//! The loops for AVX2: 256-bit vectors of x86-64 processors since 2013.

pub(super) mod canonical;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;
