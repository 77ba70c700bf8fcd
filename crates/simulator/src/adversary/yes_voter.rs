//! Accepts, receipts and votes for anything.

use super::{Me, Mischief, to_all};
use alloy_primitives::B256;
use consilium_core::round::{Effect, Message, Verdict};
use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct YesVoter {
    voted: BTreeSet<B256>,
}

impl Mischief for YesVoter {
    fn verdict(&mut self, _verdict: Verdict) -> Verdict {
        Verdict::Accepted
    }

    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        match message {
            Message::Proposal { vote, .. } | Message::Vote(vote) if self.voted.insert(vote.set_root) => {
                vec![to_all(Message::Vote(me.vote(vote.set_root, vote.size)))]
            }
            Message::Receipts(receipts) => {
                let new = receipts.iter().filter(|receipt| self.voted.insert(receipt.member.digest));
                new.map(|receipt| to_all(me.receipt(receipt.member))).collect()
            }
            _ => Vec::new(),
        }
    }
}
