//! Reading events in bounded ranges, and everything about one study at one block.

use crate::contracts::{Consilium, IRecords, NodeRegistry};
use crate::decode::is_ours;
use crate::endpoint::{Block, Ledger};
use crate::error::{Error, Unknown};
use crate::event::{ChainEvent, Defect, Event, MalformedLog};
use crate::lists::ListFlaw;
use crate::sites_list::SitesList;
use crate::strikes::Strike;
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How often a reading is repeated that a reorganisation spoilt.
const ATTEMPTS: usize = 3;

/// The events of some blocks, in the order of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    /// What the contracts announced.
    pub events: Vec<ChainEvent>,
    /// Logs that are no such thing. Anyone can have strange bytes put into an event, so that one is a warning to
    /// write down and no reason to stop.
    pub malformed: Vec<MalformedLog>,
}

/// All events of one study up to one block, the keys of its committees, and what the contract stores.
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) ledger: Ledger,
    pub(crate) study: u64,
    pub(crate) head: Block,
    pub(crate) events: Vec<ChainEvent>,
    /// What the sponsor had published that is no event, such as a finality rule that is not UTF-8. It spoils the study
    /// as it is now, and every round that depends on it, but no earlier round.
    pub(crate) malformed: Vec<MalformedLog>,
    pub(crate) kem_keys: BTreeMap<(Address, B256), Bytes>,
    pub(crate) stored: IRecords::Study,
    pub(crate) strikes: Vec<Strike>,
    /// The lists that the chain does not have itself, by their roots, as far as rounds depend on them.
    pub(crate) published: Published,
}

/// Lists of sites that are published elsewhere, each as it was fetched or with the reason why it was not.
pub(crate) type Published = BTreeMap<B256, Result<Arc<[Address]>, ListFlaw>>;

impl Ledger {
    /// The events of the registry, of Consilium, of the treasury, of the token of studies and of the privacy accounts in the
    /// blocks `from..=to`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint. Malformed logs are in the batch.
    pub async fn events(&self, from: u64, to: u64) -> Result<Batch, Error> {
        let at = self.addresses();
        let contracts = vec![at.registry, at.consilium, at.treasury, at.study_token, at.privacy_budget];
        let mut logs = self.logs(&Filter::new().address(contracts), from, to).await?;
        // Transfers and approvals of studies are no business of this crate.
        logs.retain(|log| log.address() != at.study_token || is_ours(at, log));
        Ok(self.decode(&logs))
    }

    pub(crate) fn decode(&self, logs: &[Log]) -> Batch {
        let mut batch = Batch::default();
        for log in logs {
            match ChainEvent::decode(self.addresses(), log) {
                Ok(event) => batch.events.push(event),
                Err(defect) => batch.malformed.push(defect),
            }
        }
        batch
    }

    /// The logs of `from..=to`, asked for in pieces; pieces get smaller when the endpoint refuses large ones.
    pub(crate) async fn logs(&self, filter: &Filter, from: u64, to: u64) -> Result<Vec<Log>, Error> {
        let (mut found, mut next, mut span) = (Vec::new(), from, self.limits().blocks.max(1));
        while next <= to {
            let last = to.min(next.saturating_add(span - 1));
            let piece = filter.clone().from_block(next).to_block(last);
            match self.ask(self.provider.get_logs(&piece)).await {
                Ok(logs) => {
                    self.check_order(&logs, next, last)?;
                    found.extend(logs);
                    next = last + 1;
                }
                Err(Error::Rejected { .. }) if span > 1 && last > next => span = (last - next).div_ceil(2),
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    fn check_order(&self, logs: &[Log], from: u64, to: u64) -> Result<(), Error> {
        let place = |log: &Log| (log.block_number, log.log_index);
        let mut before = None;
        for log in logs {
            let inside = log.block_number.is_none_or(|number| (from..=to).contains(&number));
            if !inside || before.is_some_and(|before| before >= place(log)) {
                let defect = MalformedLog {
                    block: log.block_number,
                    index: log.log_index,
                    transaction: log.transaction_hash,
                    study: None,
                    defect: Defect::Place,
                };
                return Err(self.malformed(defect.into()));
            }
            before = Some(place(log));
        }
        Ok(())
    }

    /// Everything about a study at the newest block. Views of it are [`History::study`], [`History::round`],
    /// [`History::certified_subjects`].
    ///
    /// # Errors
    /// [`Unknown::Study`]; [`Error::Malformed`] when the events do not add up to what the contract stores.
    pub async fn history(&self, study: u64) -> Result<History, Error> {
        let mut last = None;
        for _ in 0..ATTEMPTS {
            let head = self.head().await?;
            let history = self.history_at(study, head).await;
            if self.block_hash(head.number).await? == Some(head.hash) {
                return history;
            }
            last = Some(head.number);
        }
        Err(Error::Reorganised { number: last.unwrap_or(0) })
    }

    /// Everything about a study at the newest block that is final by its present rule; none while no block is. What it
    /// says of committees and rounds stays true. A rule that cannot be read counts as `finalized`.
    ///
    /// # Errors
    /// As [`Self::history`]; [`Error::Rejected`] when the endpoint does not know the tags `safe` or `finalized`.
    pub async fn final_history(&self, study: u64) -> Result<Option<History>, Error> {
        let rule = self.history(study).await?.finality();
        let Some(number) = self.final_height(rule).await? else { return Ok(None) };
        let Some(block) = self.block(number.into()).await? else { return Ok(None) };
        let history = match self.history_at(study, block).await {
            // It was created after that block.
            Err(Error::Unknown(_)) => return Ok(None),
            history => history?,
        };
        if self.block_hash(number).await? != Some(block.hash) {
            return Err(Error::Reorganised { number });
        }
        Ok(Some(history))
    }

    async fn history_at(&self, study: u64, head: Block) -> Result<History, Error> {
        let stored = self.view(Consilium::studyOfCall { study }, Some(head.number)).await?;
        if stored.sponsor.is_zero() {
            return Err(Unknown::Study(study).into());
        }
        let contracts = vec![self.addresses().consilium, self.addresses().study_token];
        let filter = Filter::new().address(contracts).topic1(B256::from(U256::from(study)));
        let mut logs = self.logs(&filter, self.addresses().deployed_at, head.number).await?;
        logs.retain(|log| is_ours(self.addresses(), log));
        let Batch { events, malformed } = self.decode(&logs);
        let kem_keys = self.kem_keys(&events, head.number).await?;
        let published = self.published(&events).await;
        let strikes = self.strikes(study, &admitted(&events, &published), head.number).await?;
        let history = History { ledger: self.clone(), study, head, events, malformed, kem_keys, stored, strikes, published };
        history.check()?;
        Ok(history)
    }

    /// The lists that are not on the chain, of the rounds so far and of the next.
    async fn published(&self, events: &[ChainEvent]) -> Published {
        let mut found = Published::new();
        for (root, uri) in places(events) {
            found.insert(root, self.lists.get(root, &uri, self.limits().list).await);
        }
        found
    }

    /// The KEM keys under the hashes that the committees were formed with.
    async fn kem_keys(&self, events: &[ChainEvent], to: u64) -> Result<BTreeMap<(Address, B256), Bytes>, Error> {
        let (mut nodes, mut hashes) = (Vec::new(), Vec::new());
        for event in events {
            if let Event::CommitteeFormed { nodes: members, kem_key_hashes, .. } = &event.event {
                nodes.extend(members.iter().map(Address::into_word));
                hashes.extend_from_slice(kem_key_hashes);
            }
        }
        if nodes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let filter = Filter::new()
            .address(self.addresses().registry)
            .event_signature(NodeRegistry::KemKeySet::SIGNATURE_HASH)
            .topic1(nodes)
            .topic2(hashes);
        let logs = self.logs(&filter, self.addresses().deployed_at, to).await?;
        let keys = self.decode(&logs).events.into_iter().filter_map(|event| match event.event {
            Event::KemKeySet { node, key_hash, kem_key } => Some(((node, key_hash), kem_key)),
            _ => None,
        });
        Ok(keys.collect())
    }
}

/// Roots and places of the lists that rounds depend on: those in force when one was opened, and the newest.
fn places(events: &[ChainEvent]) -> BTreeMap<B256, String> {
    let (mut places, mut newest) = (BTreeMap::new(), None);
    for event in events {
        match &event.event {
            Event::SitesAdmitted { sites_root, sites: SitesList::At(uri), .. } => newest = Some((*sites_root, uri.clone())),
            Event::SitesAdmitted { .. } => newest = None,
            Event::RoundOpened(_) => places.extend(newest.clone()),
            _ => {}
        }
    }
    places.extend(newest);
    places
}

/// Every site that was ever on a list, as far as the lists are here.
fn admitted(events: &[ChainEvent], published: &Published) -> BTreeSet<Address> {
    let on_chain = events.iter().filter_map(|event| match &event.event {
        Event::SitesAdmitted { sites: SitesList::Listed(sites), .. } => Some(sites.as_slice()),
        _ => None,
    });
    let elsewhere = published.values().filter_map(|list| list.as_deref().ok());
    on_chain.chain(elsewhere).flatten().copied().collect()
}
