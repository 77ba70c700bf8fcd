//! The watchman: follows a study, looks for every offence on the list of PROTOCOL.md 6.12, and proves what it finds.
//!
//! It needs nobody's permission: statements and evidence are public, and the contract judges every proof. Output shares
//! are for auditors whom the sponsor has named, and for the sponsor: with such a key it also holds the vectors behind
//! every settlement against each other. After a proof it writes down whose the lost bond is, and pays the harmed sites
//! once that is due.
//!
//! What costs gas or ends a proof needs the word of every endpoint: see `views`. A settlement is judged before anyone is
//! accused of a share that is not the settled one: see `rounds`.

mod bonds;
mod memory;
mod proofs;
mod rounds;
pub(crate) mod suspicions;
mod vectors;
mod views;

use crate::auditor::{SetupError, parse};
use crate::client::Client;
use alloy_primitives::{Address, B256};
use consilium_core::capability::Holder;
use consilium_core::eip712::Domain;
use consilium_ledger::{Endpoints, Error, Wallet};
use futures::lock::Mutex;
use memory::Memory;
use reqwest::Url;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use views::Views;

/// Transactions that bring the watchman nothing, such as payments to harmed sites and strikes of sites: a study gets this
/// many of them in a pass, so that one with invented sites costs no more than that.
const ERRANDS: usize = 16;

/// How a sighting ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is wrong.
    Sound,
    /// An offence is proved on chain.
    Proved,
    /// It is proved as far as the evidence goes; nothing was sent, as this is a dry run.
    WouldProve,
    /// It had been proved before, or its author answers for it no more.
    Settled,
    /// A lost bond was assigned to the harmed sites, or one of them was paid.
    Paid,
    /// A lost bond went to the sink: no site was to be paid of it.
    Forfeited,
    /// A payment costs more gas than it is worth, and is left to whom it is owed.
    Left,
    /// It could not be checked or sent for now.
    Unavailable,
}

/// One thing that the watchman saw or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// The study.
    pub study: u64,
    /// The round.
    pub round: u64,
    /// How it ends.
    pub outcome: Outcome,
    /// In words.
    pub words: String,
    /// The transaction, if one was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction: Option<B256>,
}

/// Whoever looks after the committees of others.
#[derive(Debug)]
pub struct Watchman {
    endpoints: Endpoints,
    nodes: BTreeMap<Address, Url>,
    client: Client,
    wallet: Wallet,
    dry: bool,
    /// What it knows of each study. A study is looked at by one pass at a time, several studies at once.
    memories: std::sync::Mutex<BTreeMap<u64, Arc<Mutex<Memory>>>>,
}

/// One pass over a study.
struct Pass<'a> {
    watchman: &'a Watchman,
    study: u64,
    views: &'a Views,
    memory: &'a mut Memory,
    seen: Vec<Sighting>,
    /// Transactions without a reward that this pass may still send.
    errands: usize,
}

impl Watchman {
    /// A watchman that reads the chain through `endpoints`, asks `nodes` (address -> base URL), and pays for its proofs
    /// from `wallet`, whose key also signs its requests. A `dry` one sends nothing.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(endpoints: Endpoints, nodes: &BTreeMap<Address, String>, wallet: Wallet, dry: bool) -> Result<Self, SetupError> {
        let parsed = nodes.iter().map(|(&node, url)| Ok((node, parse(node, url)?))).collect::<Result<_, SetupError>>()?;
        let holder = Holder::Key(wallet.key().map_err(|_| SetupError::KeyElsewhere)?.clone());
        let client = Client::new(endpoints.primary().domain(), Some(holder))?;
        Ok(Self { endpoints, nodes: parsed, client, wallet, dry, memories: std::sync::Mutex::default() })
    }

    /// Looks at the rounds of a study that are on record, proves what it can, and pays what is due. Passes over several
    /// studies may run at the same time; a second one over the same study waits for the first.
    ///
    /// # Errors
    /// The chain's, when nothing could be read; what fails later, and what nodes do not serve, is a sighting.
    pub async fn pass(&self, study: u64) -> Result<Vec<Sighting>, Error> {
        let memory = self.memory_of(study);
        let mut memory = memory.lock().await;
        let views = Views::read(&self.endpoints, study).await?;
        memory.passes += 1;
        memory.keep(|round| views.is_on_record(round));
        let mut pass = Pass { watchman: self, study, views: &views, memory: &mut memory, seen: Vec::new(), errands: ERRANDS };
        pass.retry().await;
        pass.rounds().await;
        pass.bonds().await;
        Ok(pass.seen)
    }

    fn memory_of(&self, study: u64) -> Arc<Mutex<Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner).entry(study).or_default().clone()
    }
}

impl Pass<'_> {
    fn domain(&self) -> Domain {
        self.watchman.endpoints.primary().domain()
    }

    fn tell(&mut self, round: u64, outcome: Outcome, words: String) {
        self.seen.push(Sighting { study: self.study, round, outcome, words, transaction: None });
    }

    fn tell_sent(&mut self, round: u64, outcome: Outcome, words: String, transaction: B256) {
        self.seen.push(Sighting { study: self.study, round, outcome, words, transaction: Some(transaction) });
    }

    /// Whether one more transaction without a reward may be sent now.
    fn errand(&mut self) -> bool {
        let left = self.errands.checked_sub(1);
        self.errands = left.unwrap_or(0);
        left.is_some()
    }
}
