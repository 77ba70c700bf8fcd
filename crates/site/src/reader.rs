//! Who is no site: reads certified sets, which are public, and with a licence the aggregates of settled rounds.
//!
//! A reader has no journal and pins no committee: what it gets is what the chain says, on every endpoint that it was given,
//! with Q signatures of the round's committee under it.

use crate::aggregate::{Aggregate, fetch_set};
use crate::config::Timeouts;
use crate::error::{ConfigError, Error};
use crate::nodes::{Caller, NodeClient, NodeFailure, NodeFault};
use crate::outcome::{check_signatures, is_settled_for_good};
use alloy_primitives::Address;
use consilium_core::capability::Holder;
use consilium_core::certify::Cohort;
use consilium_core::eip712::Vote;
use consilium_ledger::{Endpoints, State};
use std::collections::BTreeMap;
use std::future::Future;

/// Reads from nodes, and believes the chain.
#[derive(Debug, Clone)]
pub struct Reader {
    endpoints: Endpoints,
    nodes: BTreeMap<Address, NodeClient>,
}

impl Reader {
    /// A reader of these nodes.
    ///
    /// # Errors
    /// [`ConfigError::NodeUrl`], [`ConfigError::Client`].
    pub fn new(endpoints: Endpoints, nodes: &BTreeMap<Address, String>) -> Result<Self, ConfigError> {
        Ok(Self { endpoints, nodes: NodeClient::all(nodes, &Timeouts::default())? })
    }

    /// The members of a certified set, from whichever node serves them, with the root that was voted for.
    ///
    /// # Errors
    /// [`Error::NoResult`].
    pub async fn cohort(&self, vote: &Vote) -> Result<Cohort, Error> {
        self.ask(vote.round, "set", |node| async move { fetch_set(&node, vote).await }).await
    }

    /// The aggregate of a settled round, for a key to whose account the chain gives the right to it: a licence, or the
    /// rights of a member, sponsor, auditor or site.
    ///
    /// # Errors
    /// [`Error::NotSettled`]; [`Error::NoResult`] when no node serves what the chain says; [`Error::Ledger`].
    pub async fn aggregate(&self, study: u64, round: u64, holder: &Holder) -> Result<Aggregate, Error> {
        let found = self.endpoints.first_reachable(|ledger| async move { ledger.round(study, round).await }).await?;
        let state = found.state_at(found.read_at.timestamp);
        let not_settled = || Error::NotSettled { study, round, state: crate::admission::name(state) };
        let (Some(settled), Some(certificate), State::Settled) = (&found.settlement, &found.certificate, state) else {
            return Err(not_settled());
        };
        if !is_settled_for_good(&self.endpoints, &found, settled).await? {
            return Err(not_settled());
        }
        let terms = &found.terms;
        check_signatures(self.endpoints.primary(), self.nodes.values().cloned().collect(), terms, settled).await?;
        let caller = Caller { domain: terms.domain, holder: holder.clone() };
        let fetch = |node: NodeClient| {
            let caller = caller.clone();
            async move {
                let bytes = node.aggregate(study, round, 8 * terms.program.output_len(), &caller).await?;
                Aggregate::check(&bytes, terms, certificate, settled).map_err(|what| node.failure(NodeFault::False(what)))
            }
        };
        self.ask(round, "aggregate", fetch).await
    }

    /// Asks one node after the other until one answers well.
    async fn ask<T, F: Future<Output = Result<T, NodeFailure>>>(
        &self,
        round: u64,
        what: &'static str,
        ask: impl Fn(NodeClient) -> F,
    ) -> Result<T, Error> {
        let mut faults = Vec::new();
        for node in self.nodes.values() {
            match ask(node.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => faults.push(failure),
            }
        }
        Err(Error::NoResult { round, what, faults })
    }
}
