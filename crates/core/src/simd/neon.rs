//! The loops for NEON: 128-bit vectors, which every 64-bit ARM processor has.

pub(super) mod products;
pub(super) mod rows;
pub(super) mod xof;
