//! The loops for AVX-512: 512-bit vectors with masks. F, BW and VL are enough.

pub(super) mod canonical;
pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;
