//! Different receipts for different nodes: what most have is receipted to one node only; the rest get receipts for another
//! contribution of the site, or for one that nobody has. The one node then has a certificate that nobody else can have.

use super::{Me, Mischief, to};
use alloy_primitives::{Address, B256, keccak256};
use consilium_core::certify::SetMember;
use consilium_core::round::{Effect, Message};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct SplitReceipts {
    heard: BTreeMap<Address, BTreeMap<B256, BTreeSet<usize>>>,
    ticks: usize,
    told: BTreeSet<(u64, Address)>,
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
                let of_site = self.heard.entry(receipt.member.site).or_default();
                of_site.entry(receipt.member.digest).or_default().insert(receipt.node);
            }
        }
        Vec::new()
    }

    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        self.ticks += 1;
        if self.ticks < 8 {
            return Vec::new();
        }
        let mut effects = Vec::new();
        for (site, digests) in &self.heard {
            let Some((most, holders)) = digests.iter().max_by_key(|(_, nodes)| nodes.len()) else { continue };
            let other = digests.keys().find(|digest| *digest != most).copied().unwrap_or_else(|| keccak256(site));
            if self.told.insert((me.terms.round, *site)) {
                for node in me.others() {
                    let digest = if holders.first() == Some(&node) { *most } else { other };
                    effects.push(to(node, me.receipt(SetMember { site: *site, digest })));
                }
            }
        }
        effects
    }
}
