//! Different receipts for different nodes: a contribution's own for one, invented or another's ones for the rest.

use super::{Me, Mischief, to};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::certify::SetMember;
use consilium_core::round::{Effect, Message};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct SplitReceipts {
    heard: BTreeMap<Address, BTreeSet<B256>>,
    told: BTreeSet<(u64, usize, Address)>,
}

impl Mischief for SplitReceipts {
    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Send { message: Message::Receipts(_), .. } => Vec::new(),
            other => vec![other],
        }
    }

    fn overhear(&mut self, _me: &Me<'_>, message: &Message) -> Vec<Effect> {
        if let Message::Receipts(receipts) = message {
            for receipt in receipts {
                self.heard.entry(receipt.member.site).or_default().insert(receipt.member.digest);
            }
        }
        Vec::new()
    }

    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (site, digests) in &self.heard {
            let fallback = keccak256(site);
            for node in me.others() {
                // The first digest goes to one node only; everyone else gets the last one, or one that nobody has.
                let favoured = node == 1 || (me.node == 1 && node == 2);
                let other = if digests.len() > 1 { digests.last() } else { None };
                let digest = if favoured { digests.first() } else { other };
                if self.told.insert((me.terms.round, node, *site)) {
                    let member = SetMember { site: *site, digest: *digest.unwrap_or(&fallback) };
                    effects.push(to(node, me.receipt(member)));
                }
            }
        }
        effects
    }
}
