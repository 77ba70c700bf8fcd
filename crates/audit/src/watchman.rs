//! The watchman: follows a study, looks for every offence on the list of PROTOCOL.md 6.12, and proves what it finds.
//!
//! It needs nobody's permission: statements and evidence are public, and the contract judges every proof. Output shares
//! are for auditors whom the sponsor has named, and for the sponsor: with such a key it also holds the vectors behind
//! every settlement against each other. After a proof it writes down whose the lost bond is, and pays the harmed sites
//! once that is due.

mod bonds;
mod suspicions;
mod vectors;

use crate::auditor::{SetupError, parse};
use crate::client::{Client, Peer, peers};
use crate::report::Book;
use crate::statements::gather;
use alloy_primitives::{Address, B256};
use consilium_core::accusation::Accusation;
use consilium_ledger::{Endpoints, Error, History, Ledger, Round, State, Wallet};
use reqwest::Url;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Newest rounds of a study whose statements are collected in every pass; those of older ones are, once.
const FRESH: u64 = 2;

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
    /// Rounds whose statements have been collected.
    heard: BTreeSet<(u64, u64)>,
    /// Rounds whose vectors have been judged.
    compared: BTreeSet<(u64, u64)>,
    /// What has been answered: study, round and the charge in JSON.
    answered: BTreeSet<(u64, u64, String)>,
    /// Sites that were paid of a convicted node's bond.
    paid: BTreeSet<(u64, Address, usize)>,
}

impl Watchman {
    /// A watchman that reads the chain through `endpoints`, asks `nodes` (address -> base URL), and pays for its proofs
    /// from `wallet`, whose key also signs its requests. A `dry` one sends nothing.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(endpoints: Endpoints, nodes: &BTreeMap<Address, String>, wallet: Wallet, dry: bool) -> Result<Self, SetupError> {
        let parsed = nodes.iter().map(|(&node, url)| Ok((node, parse(node, url)?))).collect::<Result<_, SetupError>>()?;
        let client = Client::new(endpoints.primary().domain(), Some(wallet.key().clone()))?;
        Ok(Self {
            endpoints,
            nodes: parsed,
            client,
            wallet,
            dry,
            heard: BTreeSet::new(),
            compared: BTreeSet::new(),
            answered: BTreeSet::new(),
            paid: BTreeSet::new(),
        })
    }

    fn ledger(&self) -> &Ledger {
        self.endpoints.primary()
    }

    /// Looks at every round of a study that is on record, proves what it can, and pays what is due.
    ///
    /// # Errors
    /// The chain's; what nodes do not serve is a sighting.
    pub async fn pass(&mut self, study: u64) -> Result<Vec<Sighting>, Error> {
        let history = self.ledger().history(study).await?;
        let newest = history.rounds();
        let mut seen = Vec::new();
        for number in (1..=newest).filter(|number| history.is_on_record(*number)) {
            let fresh = number + FRESH > newest;
            let done = self.heard.contains(&(study, number)) && self.compared.contains(&(study, number));
            if !fresh && done {
                continue;
            }
            match history.round(number).await {
                Ok(round) => self.look(&round, fresh, &mut seen).await,
                Err(error) if error.is_temporary() => return Err(error),
                Err(error) => seen.push(sighting(study, number, Outcome::Unavailable, error.to_string())),
            }
        }
        // What was proved is told, whatever becomes of the bonds.
        if let Err(error) = self.bonds(&history, &mut seen).await {
            seen.push(sighting(study, newest, Outcome::Unavailable, format!("lost bonds were not looked after: {error}")));
        }
        Ok(seen)
    }

    async fn look(&mut self, round: &Round, fresh: bool, seen: &mut Vec<Sighting>) {
        let id = (round.terms.study, round.terms.round);
        if matches!(round.state, State::Open | State::None) {
            return;
        }
        let peers = peers(&round.terms.committee, &self.nodes);
        if fresh || !self.heard.contains(&id) {
            let gathered = gather(&self.client, &peers, &round.terms, &mut Book::default()).await;
            if gathered.complete {
                self.heard.insert(id);
            } else if !fresh {
                seen.push(sighting(id.0, id.1, Outcome::Unavailable, "not every node shows what it signed".to_owned()));
            }
            for accusation in suspicions::of(round, &gathered) {
                self.prove(round, &accusation, seen).await;
            }
        }
        if round.state == State::Settled && !self.compared.contains(&id) {
            self.compare(round, &peers, seen).await;
        } else if round.state != State::Certified {
            self.compared.insert(id);
        }
    }

    async fn compare(&mut self, round: &Round, peers: &[Peer], seen: &mut Vec<Sighting>) {
        let (study, number) = (round.terms.study, round.terms.round);
        match vectors::judge(&self.client, peers, round).await {
            vectors::Verdict::Sound(words) => {
                self.compared.insert((study, number));
                seen.push(sighting(study, number, Outcome::Sound, words));
            }
            vectors::Verdict::Unknown(words) => seen.push(sighting(study, number, Outcome::Unavailable, words)),
            vectors::Verdict::Wrong(accusation) => {
                if self.prove(round, &accusation, seen).await {
                    self.compared.insert((study, number));
                }
            }
        }
    }

    /// Files a proof, once. Whether it is answered.
    async fn prove(&mut self, round: &Round, accusation: &Accusation, seen: &mut Vec<Sighting>) -> bool {
        let (study, number) = (accusation.study, accusation.round);
        let words = suspicions::in_words(round, accusation);
        let key = (study, number, serde_json::to_string(&accusation.charge).unwrap_or_default());
        if self.answered.contains(&key) || !accusation.holds(&self.ledger().domain(), &round.record()) {
            return true;
        }
        let (outcome, words, transaction) = match self.send(accusation).await {
            None => (Outcome::WouldProve, words, None),
            Some(Ok(receipt)) => (Outcome::Proved, words, Some(receipt.transaction)),
            Some(Err(Error::Reverted(revert))) => (Outcome::Settled, format!("{words}: {revert}"), None),
            Some(Err(error)) => (Outcome::Unavailable, format!("{words}: {error}"), None),
        };
        let answered = outcome != Outcome::Unavailable;
        if answered {
            self.answered.insert(key);
        }
        seen.push(Sighting { study, round: number, outcome, words, transaction });
        answered
    }

    async fn send(&self, accusation: &Accusation) -> Option<Result<consilium_ledger::Receipt, Error>> {
        if self.dry {
            return None;
        }
        Some(self.ledger().accuse(&self.wallet, accusation).await)
    }

    async fn bonds(&mut self, history: &History, seen: &mut Vec<Sighting>) -> Result<(), Error> {
        if self.dry {
            return Ok(());
        }
        bonds::look(self, history, seen).await
    }
}

fn sighting(study: u64, round: u64, outcome: Outcome, words: String) -> Sighting {
    Sighting { study, round, outcome, words, transaction: None }
}
