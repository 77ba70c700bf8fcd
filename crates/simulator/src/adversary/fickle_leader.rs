//! A leader that replaces its set by another as soon as it has the votes, and then certifies the first: does anyone
//! still know its members?

use super::{Me, Mischief, to_all};
use alloy_primitives::B256;
use consilium_core::certify::Cohort;
use consilium_core::eip712::{Signed, SignerSet};
use consilium_core::round::{Effect, Message};
use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(super) struct FickleLeader {
    votes: BTreeMap<(B256, u32), BTreeMap<usize, Signed>>,
    proposed: Option<Cohort>,
    replaced_at: Option<u64>,
}

impl Mischief for FickleLeader {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match &effect {
            Effect::Send { to: None, message: Message::Proposal { cohort, vote } } if self.proposed.is_none() => {
                self.proposed = Some(cohort.clone());
                self.votes.entry((vote.set_root, vote.size)).or_default().insert(me.node, vote.signature);
                vec![effect]
            }
            // From then on it says nothing that could help.
            Effect::Send { message: Message::Sync { .. } | Message::Receipts(_), .. } => vec![effect],
            Effect::Send { .. } if self.proposed.is_some() => Vec::new(),
            _ => vec![effect],
        }
    }

    fn overhear(&mut self, _me: &Me<'_>, message: &Message) -> Vec<Effect> {
        if let Message::Vote(vote) = message {
            self.votes.entry((vote.set_root, vote.size)).or_default().insert(vote.node, vote.signature);
        }
        Vec::new()
    }

    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        let Some(cohort) = &self.proposed else { return Vec::new() };
        let key @ (set_root, size) = (cohort.root(), cohort.size());
        let Some(votes) = self.votes.get(&key).filter(|votes| votes.len() >= me.terms.committee.sizes().quorum()) else {
            return Vec::new();
        };
        let mut effects = Vec::new();
        if self.replaced_at.is_none() {
            self.replaced_at = Some(me.now);
            let first = cohort.members()[0];
            effects.extend(me.cohort(|member| *member != first).map(|fewer| to_all(me.proposal(fewer))));
        } else if self.replaced_at.is_some_and(|at| me.now >= at + 500) {
            self.replaced_at = Some(me.now + 10_000);
            effects.push(Effect::Certify { set_root, size, votes: SignerSet::collect(votes) });
        }
        effects
    }
}
