//! A Final for every set it hears of, and for one that nobody has.

use super::{Me, Mischief, to_all};
use alloy_primitives::B256;
use consilium_core::round::{Effect, Message};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct TwoFinals {
    signed: BTreeSet<(u64, B256)>,
}

impl Mischief for TwoFinals {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        if let Effect::Send { message: Message::Final(_), .. } = &effect {
            return vec![to_all(me.a_final(B256::repeat_byte(7))), effect];
        }
        vec![effect]
    }

    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        match message {
            Message::Final(signed) if self.signed.insert((me.terms.round, signed.set_root)) => {
                vec![to_all(me.a_final(signed.set_root))]
            }
            _ => Vec::new(),
        }
    }
}
