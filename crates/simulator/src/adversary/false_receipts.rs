//! Receipts for contributions that nobody has.

use super::{Me, Mischief, to_all};
use alloy_primitives::keccak256;
use consilium_core::certify::SetMember;
use consilium_core::round::Effect;

#[derive(Debug, Default)]
pub(super) struct FalseReceipts {
    ticks: usize,
}

impl Mischief for FalseReceipts {
    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        self.ticks += 1;
        if self.ticks > 4 {
            return Vec::new();
        }
        let invent = |site| SetMember { site, digest: keccak256([self.ticks as u8]) };
        me.terms.sites.iter().map(|site| to_all(me.receipt(invent(*site)))).collect()
    }
}
