//! The order of an audit: the study on the chain, then each round, public part first.

use crate::client::{Client, peers};
use crate::report::{Book, Check, Level, Report, Scope};
use crate::{capability, chain, contributions, money, outputs, round};
use alloy_primitives::Address;
use consilium_core::capability::Holder;
use consilium_core::certify::Cohort;
use consilium_ledger::{Endpoints, State};
use reqwest::Url;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// How many copies of each contribution a full audit reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Copies {
    /// Every node's copy: whatever node was tampered with is named.
    #[default]
    All,
    /// One good copy, from the nodes in turn: n times less to read.
    One,
}

/// An auditor that cannot start.
#[derive(Debug, Error)]
pub enum SetupError {
    /// Not the URL of a node.
    #[error("{url:?} is not the URL of node {node}: write it as http://host:port or https://host")]
    Url {
        /// The node.
        node: Address,
        /// What was given.
        url: String,
    },
    /// Nodes are asked with a signature.
    #[error("the key of the account is not here: a watchman signs what it asks nodes for")]
    KeyElsewhere,
    /// HTTP cannot be used on this machine.
    #[error("cannot set up HTTP: {0}")]
    Http(#[from] reqwest::Error),
}

/// One auditor: what it reads from, and with what right.
#[derive(Debug, Clone)]
pub struct Auditor {
    endpoints: Endpoints,
    nodes: BTreeMap<Address, Url>,
    holder: Option<Holder>,
    client: Client,
    rounds: Option<BTreeSet<u64>>,
    copies: Copies,
}

impl Auditor {
    /// An auditor that reads the chain through `endpoints` and asks `nodes` (address -> base URL). `holder` is whom
    /// the sponsor named on chain; public audits need none.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn new(endpoints: Endpoints, nodes: &BTreeMap<Address, String>, holder: Option<Holder>) -> Result<Self, SetupError> {
        let parsed = nodes.iter().map(|(&node, url)| Ok((node, parse(node, url)?))).collect::<Result<_, SetupError>>()?;
        let client = Client::new(endpoints.primary().domain(), holder.clone())?;
        Ok(Self { endpoints, nodes: parsed, holder, client, rounds: None, copies: Copies::default() })
    }

    /// Audits these rounds only.
    #[must_use]
    pub fn with_rounds(mut self, rounds: impl IntoIterator<Item = u64>) -> Self {
        self.rounds = Some(rounds.into_iter().collect());
        self
    }

    /// Reads as many copies of each contribution.
    #[must_use]
    pub fn with_copies(mut self, copies: Copies) -> Self {
        self.copies = copies;
        self
    }

    /// The public audit of a study: the chain, and what the nodes show to everyone. Whatever goes wrong is in the report.
    pub async fn audit_public(&self, study: u64) -> Report {
        self.audit(study, Level::Public).await
    }

    /// The full audit: the public one, and all that can be recomputed from contributions, output shares and aggregates.
    pub async fn audit_full(&self, study: u64) -> Report {
        self.audit(study, Level::Full).await
    }

    async fn audit(&self, study: u64, level: Level) -> Report {
        let mut book = Book::default();
        let Some(view) = chain::read(&self.endpoints, study, &mut book).await else {
            return Report::new(study, level, Vec::new(), book.lines);
        };
        chain::contracts(&view, &mut book).await;
        for committee in view.study.committees.values() {
            chain::committee(&view, committee, &mut book);
        }
        chain::convictions(&view, &mut book);
        money::strikes(&view, &mut book);
        let may_read = level == Level::Full && capability::check(&view.study, self.holder.as_ref(), &mut book);
        let books = money::read(&view, &mut book).await;
        let rounds = self.chosen(view.study.rounds, &mut book);
        let mut sets = BTreeMap::new();
        for &round in &rounds {
            let set = self.audit_round(&view, round, may_read, &mut book).await;
            sets.extend(set.map(|set| (round, set)));
            if let Some(books) = &books {
                money::pay(books, round, &mut book).await;
            }
        }
        if let Some(books) = &books {
            money::claims(books, sets, &mut book).await;
        }
        capability::limits(level, &mut book);
        Report::new(study, level, rounds, book.lines)
    }

    fn chosen(&self, last: u64, book: &mut Book) -> Vec<u64> {
        let Some(wanted) = &self.rounds else { return (1..=last).collect() };
        for round in wanted.iter().filter(|round| !(1..=last).contains(*round)) {
            let reason = format!("the study has no round {round}: it has {last} so far");
            book.unavailable(Check::Order, Scope::Round(*round), reason);
        }
        wanted.iter().copied().filter(|round| (1..=last).contains(round)).collect()
    }

    async fn audit_round(&self, view: &chain::View, number: u64, may_read: bool, book: &mut Book) -> Option<Cohort> {
        let recorded = round::recorded(view, number, book).await?;
        let case = round::Case {
            client: &self.client,
            peers: peers(&recorded.terms.committee, &self.nodes),
            state: recorded.state_at(view.history.head().timestamp),
            round: &recorded,
        };
        let cohort = round::public(&self.endpoints, view, &case, book).await?;
        if may_read {
            contributions::check(&case, &cohort, self.copies, book).await;
            if case.state == State::Settled {
                outputs::check(view, &case, book).await;
            }
        }
        Some(cohort)
    }
}

pub(crate) fn parse(node: Address, url: &str) -> Result<Url, SetupError> {
    let wrong = || SetupError::Url { node, url: url.to_owned() };
    let parsed: Url = url.parse().map_err(|_| wrong())?;
    let plain = matches!(parsed.scheme(), "http" | "https") && parsed.has_host();
    if plain && parsed.query().is_none() && parsed.fragment().is_none() { Ok(parsed) } else { Err(wrong()) }
}
