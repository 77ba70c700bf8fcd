//! What the nodes hold of this site, asked before it signs.
//!
//! The journal keeps a site from signing two contributions to one round, unless it is not the journal that this key has
//! written: a folder restored from a backup, or one that was copied to a second machine. In a round of which its journal has
//! nothing, a site asks the committee first, all nodes at the same time, and stops if one of them shows a contribution that
//! its own key has signed: only the key's holder can have made that signature. A receipt alone is the word of a node; it is
//! told and stops nothing.
//!
//! n - t nodes must answer. A contribution with Q = 3t+1 receipts is held by Q nodes; Q - t of them are among the n - t, and at
//! least Q - 2t = t+1 of those are honest. What only corrupt nodes have seen, and what is on its way while this site asks, is
//! not found.

use crate::config::seconds;
use crate::deliver::is_genuine;
use crate::error::{Error, Refusal};
use crate::journal::Slot;
use crate::nodes::{Held, NodeClient, NodeFailure, NodeFault};
use crate::pause::Pauses;
use crate::progress::Progress;
use crate::site::Site;
use consilium_core::terms::Terms;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

/// No honest node holds more contributions of one site; further ones are not looked at.
const MOST: usize = 64;

impl Site {
    /// Asks the round's nodes what they hold under this site's address.
    ///
    /// # Errors
    /// [`Refusal::SignedBefore`] when one of them shows a contribution that this key has signed; [`Error::TooFewAnswers`].
    pub(crate) async fn ask_what_nodes_hold(&self, terms: &Terms) -> Result<(), Error> {
        let nodes = self.nodes_of(terms.study, terms.round, &terms.committee)?;
        let timeouts = self.config().timeouts;
        let until = Instant::now() + seconds(timeouts.inquiry);
        let mut asked: FuturesUnordered<_> = nodes.iter().map(|node| self.ask(node, terms, until)).collect();
        let (needed, mut have, mut attempts) = (terms.committee.sizes().n() - terms.committee.sizes().t(), 0, Vec::new());
        while have < needed
            && let Some(answer) = asked.next().await
        {
            match self.check_answer(terms, answer)? {
                None => have += 1,
                Some(failure) => attempts.push(failure),
            }
        }
        // Silent nodes hold nobody up; slow ones get a moment more.
        let moment = Instant::now() + seconds(timeouts.poll);
        while let Ok(Some(answer)) = timeout_at(moment, asked.next()).await {
            self.check_answer(terms, answer)?;
        }
        if have >= needed || self.config().policy.trust_journal {
            return Ok(());
        }
        attempts.extend(self.without_url(terms));
        Err(Error::TooFewAnswers { have, needed, attempts })
    }

    /// Asks one node until it answers, refuses, or the time is over.
    async fn ask<'a>(&self, node: &'a NodeClient, terms: &Terms, until: Instant) -> Result<(&'a NodeClient, Held), NodeFailure> {
        let (caller, mut pauses) = (self.caller(), Pauses::of(self));
        loop {
            let Ok(answer) = timeout_at(until, node.held(terms.study, terms.round, &caller)).await else {
                return Err(node.failure(NodeFault::Unreachable("no answer in time".into())));
            };
            match answer {
                Ok(held) => return Ok((node, held)),
                Err(failure) if failure.fault.is_temporary() && Instant::now() + pauses.next() < until => pauses.wait().await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// What is wrong with an answer, which is held against this site's key: a node that shows what the key has not signed
    /// lies.
    fn check_answer(
        &self,
        terms: &Terms,
        answer: Result<(&NodeClient, Held), NodeFailure>,
    ) -> Result<Option<NodeFailure>, Refusal> {
        let (node, held) = match answer {
            Ok(answer) => answer,
            Err(failure) => return Ok(Some(failure)),
        };
        let (site, place) = (self.address(), Slot::new(terms.domain, terms.study, terms.round));
        let mut lie = None;
        for said in held.contributions.iter().take(MOST) {
            let statement = said.statement(terms.study, terms.round, site);
            if terms.domain.check(&statement, &said.signature, site).is_ok() {
                let (node, url) = (node.address(), node.url().to_owned());
                return Err(Refusal::SignedBefore { place, digest: said.digest, node, url });
            }
            lie = Some(node.failure(NodeFault::False(format!("contribution {}, which this site has not signed", said.digest))));
        }
        if let Some(lie) = &lie {
            self.tell(Progress::NodeFailed(lie.to_string()));
        }
        self.tell_of_receipts(node, terms, &held);
        Ok(lie)
    }

    /// A receipt for a contribution that nobody shows is a node's word against this journal: people hear of it.
    fn tell_of_receipts(&self, node: &NodeClient, terms: &Terms, held: &Held) {
        let site = self.address();
        let stray = held.receipts.iter().take(MOST).find(|r| r.member.site == site && is_genuine(terms, r));
        let Some(receipt) = stray else { return };
        let words = format!(
            "node {} at {} shows a receipt for contribution {} of this site in round {} of study {}, and not the contribution: \
             going on. If this data folder is a copy or was restored, stop, and take a new key",
            node.address(),
            node.url(),
            receipt.member.digest,
            terms.round,
            terms.study
        );
        self.tell(Progress::UnknownReceipt(words));
    }

    /// The committee's nodes that cannot be asked.
    fn without_url(&self, terms: &Terms) -> Vec<NodeFailure> {
        let unknown = terms.committee.members().iter().filter(|member| !self.nodes().contains_key(&member.address));
        let fault = || NodeFault::Unreachable("the configuration has no URL for it".into());
        unknown.map(|member| NodeFailure { node: member.address, url: "no URL".into(), fault: fault() }).collect()
    }
}
