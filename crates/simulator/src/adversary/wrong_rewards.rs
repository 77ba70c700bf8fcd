//! A node that signs rewards which are not those of the set, for whoever settles to take them up.

use super::{Me, Mischief, to_all};
use alloy_primitives::B256;
use consilium_core::round::{Effect, Message, SignedSettlement};

#[derive(Debug)]
pub(super) struct WrongRewards;

impl Mischief for WrongRewards {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        let Effect::Send { to: None, message: Message::Settlement(said) } = effect else { return vec![effect] };
        let wrong = SignedSettlement { reward_root: B256::repeat_byte(0x3e), ..said };
        let signature = me.terms.domain.sign(me.key, &wrong.statement(me.terms));
        vec![to_all(Message::Settlement(SignedSettlement { signature, ..wrong }))]
    }
}
