//! Different share roots for different nodes.

use super::{Me, Mischief, to};
use alloy_primitives::B256;
use consilium_core::round::{Effect, Message};

#[derive(Debug)]
pub(super) struct TwoShareRoots;

impl Mischief for TwoShareRoots {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        let Effect::Send { to: None, message: Message::ShareRoot(signed) } = &effect else { return vec![effect] };
        let other = me.share_root(signed.set_root, B256::repeat_byte(9));
        let foreign = me.share_root(B256::repeat_byte(8), signed.root);
        let versions = [Message::ShareRoot(signed.clone()), other, foreign];
        me.others().map(|node| to(node, versions[node % 3].clone())).collect()
    }
}
