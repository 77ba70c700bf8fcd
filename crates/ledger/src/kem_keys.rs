//! The KEM keys of a node and the committees that were formed with them.

use crate::contracts::{Consilium, NodeRegistry as R};
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::{Event, LogPosition};
use crate::history::History;
use crate::round::Settled;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256};
use std::collections::BTreeSet;

/// A committee in which a node sits or sat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The study.
    pub study: u64,
    /// From 1.
    pub epoch: u64,
    /// keccak256 of the KEM key that the node has in this committee.
    pub key_hash: B256,
    /// Where the committee was formed.
    pub formed: LogPosition,
}

impl Membership {
    fn of(event: &Event, at: LogPosition, node: Address) -> Option<Self> {
        let Event::CommitteeFormed { study, epoch, nodes, kem_key_hashes, .. } = event else { return None };
        let place = nodes.iter().position(|member| *member == node)?;
        Some(Self { study: *study, epoch: *epoch, key_hash: *kem_key_hashes.get(place)?, formed: at })
    }
}

impl Ledger {
    /// keccak256 of the KEM key with which a node enters the next committee; none if it is not registered.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn kem_key_hash(&self, node: Address) -> Result<Option<B256>, Error> {
        let found = self.view_of(self.addresses().registry, R::nodeOfCall { node }, None).await?;
        Ok((!found.keyHash.is_zero()).then_some(found.keyHash))
    }

    /// keccak256 of every KEM key that a node has registered so far.
    ///
    /// # Errors
    /// As [`Self::kem_key_hash`].
    pub async fn kem_key_hashes(&self, node: Address) -> Result<BTreeSet<B256>, Error> {
        let filter = Filter::new()
            .address(self.addresses().registry)
            .event_signature(R::KemKeySet::SIGNATURE_HASH)
            .topic1(node.into_word());
        let head = self.head().await?.number;
        let logs = self.logs(&filter, self.addresses().deployed_at, head).await?;
        let set = |event| if let Event::KemKeySet { key_hash, .. } = event { Some(key_hash) } else { None };
        Ok(self.decode(&logs).events.into_iter().filter_map(|event| set(event.event)).collect())
    }

    /// Every committee of every study that a node sits or sat in, in the order in which they were formed.
    ///
    /// # Errors
    /// As [`Self::kem_key_hash`].
    pub async fn memberships(&self, node: Address) -> Result<Vec<Membership>, Error> {
        let filter =
            Filter::new().address(self.addresses().consilium).event_signature(Consilium::CommitteeFormed::SIGNATURE_HASH);
        let head = self.head().await?.number;
        let logs = self.logs(&filter, self.addresses().deployed_at, head).await?;
        let events = self.decode(&logs).events.into_iter();
        Ok(events.filter_map(|event| Membership::of(&event.event, event.at, node)).collect())
    }
}

impl History {
    /// The memberships of a node in the study's committees, in the order of their epochs.
    pub fn memberships(&self, node: Address) -> impl Iterator<Item = Membership> {
        self.events.iter().filter_map(move |event| Membership::of(&event.event, event.at, node))
    }

    /// The epoch whose committee serves the next round; none while its seats are vacant, so that no round can be opened.
    #[must_use]
    pub fn sitting_epoch(&self) -> Option<u64> {
        (!self.stored.vacant).then_some(self.stored.epoch)
    }

    /// Seconds after a settlement in which it can be proved wrong.
    #[must_use]
    pub fn challenge_window(&self) -> u64 {
        self.stored.challengeWindow.into()
    }

    /// Where a round was settled, if it was.
    #[must_use]
    pub fn settled_at(&self, round: u64) -> Option<LogPosition> {
        self.settlement(round).map(|Settled { at, .. }| at)
    }
}
