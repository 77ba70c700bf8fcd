//! A vote that nobody sees but the chain: the certificate has a quorum that no other node holds.

use super::{Me, Mischief};
use alloy_primitives::B256;
use consilium_core::eip712::{Signed, SignerSet};
use consilium_core::round::{Effect, Message, Statement};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct HiddenVoter {
    votes: BTreeMap<(B256, u32), BTreeMap<usize, Signed>>,
    certified: BTreeSet<(u64, B256)>,
}

impl Mischief for HiddenVoter {
    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Sign(Statement::Vote(_)) | Effect::Send { message: Message::Proposal { .. } | Message::Vote(_), .. } => {
                Vec::new()
            }
            other => vec![other],
        }
    }

    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        let (Message::Vote(vote) | Message::Proposal { vote, .. }) = message else { return Vec::new() };
        let (set_root, size) = (vote.set_root, vote.size);
        let votes = self.votes.entry((set_root, size)).or_default();
        votes.insert(vote.node, vote.signature);
        votes.remove(&me.node);
        // As few others as possible: with all of them it would not be needed.
        if votes.len() + 1 != me.terms.committee.sizes().quorum() || !self.certified.insert((me.terms.round, set_root)) {
            return Vec::new();
        }
        let mut all = votes.clone();
        all.insert(me.node, me.vote(set_root, size).signature);
        vec![Effect::Certify { set_root, size, votes: SignerSet::collect(&all) }]
    }
}
