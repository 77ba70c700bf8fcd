//! When a certificate is final, on one endpoint and on all that a node is given.

use crate::addresses::Addresses;
use crate::contracts::Consilium;
use crate::endpoint::{Block, Ledger, Limits};
use crate::error::{Disagreement, Error, Malformed, Misuse};
use crate::event::{BlockRef, ChainEvent, Event};
use crate::round::Certified;
use crate::state::State;
use alloy::eips::BlockNumberOrTag;
use alloy::rpc::types::Filter;
use alloy_primitives::{B256, U256, keccak256};
use consilium_core::params::Finality;
use futures::future::try_join_all;
use std::future::Future;
use std::sync::Arc;

/// Where a block stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Final by the rule.
    Final,
    /// On the chain, or not yet known there; not final.
    Pending,
    /// Another block has its height.
    Replaced,
}

impl Ledger {
    /// Where a block stands on this endpoint by a study's rule.
    ///
    /// # Errors
    /// [`Error::Unreachable`]; [`Error::Rejected`] when the endpoint does not know the tags `safe` or `finalized`.
    pub async fn standing(&self, block: &BlockRef, rule: Finality) -> Result<Standing, Error> {
        Ok(self.hash_and_standing(block, rule).await?.1)
    }

    /// Whether a block is final on this endpoint by a study's rule.
    ///
    /// # Errors
    /// As [`Self::standing`].
    pub async fn is_final(&self, block: &BlockRef, rule: Finality) -> Result<bool, Error> {
        Ok(self.standing(block, rule).await? == Standing::Final)
    }

    /// The height up to which blocks are final on this endpoint by a rule.
    pub(crate) async fn final_height(&self, rule: Finality) -> Result<Option<u64>, Error> {
        Ok(match rule {
            Finality::Instant => Some(self.head().await?.number),
            Finality::Depth(depth) => self.head().await?.number.checked_sub(depth),
            Finality::Safe => self.block(BlockNumberOrTag::Safe).await?.map(|tagged| tagged.number),
            Finality::Finalized => self.block(BlockNumberOrTag::Finalized).await?.map(|tagged| tagged.number),
        })
    }

    /// A round's state at the newest block that is final on this endpoint by a rule, with that block: a deadline that has
    /// passed by then counts. [`State::None`] for a round that is off the record. `None` if no block is final yet.
    ///
    /// # Errors
    /// As [`Self::standing`]; [`Error::Reorganised`] when the block was replaced meanwhile.
    pub async fn final_state(&self, study: u64, round: u64, rule: Finality) -> Result<Option<(Block, State)>, Error> {
        let Some(number) = self.final_height(rule).await? else { return Ok(None) };
        let Some(block) = self.block(number.into()).await? else { return Ok(None) };
        let stored = self.view(Consilium::roundOfCall { study, round }, Some(number)).await?;
        if self.block_hash(number).await? != Some(block.hash) {
            return Err(Error::Reorganised { number });
        }
        let unknown = || self.malformed(Malformed::Storage { study, what: "a round's state" });
        let recorded = State::from_code(stored.state).ok_or_else(unknown)?;
        Ok(Some((block, recorded.at(block.timestamp, stored.deadline, stored.settleBy))))
    }

    /// The hash at the block's height and the standing of whatever has that height.
    async fn hash_and_standing(&self, block: &BlockRef, rule: Finality) -> Result<(Option<B256>, Standing), Error> {
        let reached = match rule {
            Finality::Instant => Some(block.number),
            _ => self.final_height(rule).await?,
        };
        let Some(hash) = self.block_hash(block.number).await? else { return Ok((None, Standing::Pending)) };
        let standing = match reached {
            _ if hash != block.hash => Standing::Replaced,
            Some(reached) if reached >= block.number => Standing::Final,
            _ => Standing::Pending,
        };
        Ok((Some(hash), standing))
    }

    /// The certificate's event at the certificate's height, as this endpoint tells it.
    async fn certificate_event(&self, certificate: &Certified) -> Result<Option<ChainEvent>, Error> {
        let topics = [certificate.vote.study, certificate.vote.round].map(|number| B256::from(U256::from(number)));
        let filter = Filter::new().address(self.addresses().consilium).topic1(topics[0]).topic2(topics[1]);
        let number = certificate.at.block.number;
        let logs = self.logs(&filter, number, number).await?;
        Ok(self.decode(&logs).events.into_iter().find(|e| matches!(e.event, Event::RoundCertified { .. })))
    }
}

/// One deployment seen through several endpoints of one chain. The first is the one that is written to.
#[derive(Debug, Clone)]
pub struct Endpoints(Vec<Ledger>); // never empty, see `new`

impl Endpoints {
    /// Connects to all of them.
    ///
    /// # Errors
    /// [`Misuse::NoEndpoint`]; as [`Ledger::connect`], for the first that fails.
    pub async fn connect(urls: &[impl AsRef<str>], addresses: Addresses) -> Result<Self, Error> {
        let mut ledgers = Vec::with_capacity(urls.len());
        for url in urls {
            ledgers.push(Ledger::connect(url.as_ref(), addresses).await?);
        }
        Self::new(ledgers)
    }

    /// Of ledgers that are connected already.
    ///
    /// # Errors
    /// [`Misuse::NoEndpoint`].
    pub fn new(mut ledgers: Vec<Ledger>) -> Result<Self, Error> {
        let first = ledgers.first().ok_or(Misuse::NoEndpoint)?;
        // What leads to a root is the same list, whichever endpoint names the place.
        let lists = Arc::clone(&first.lists);
        for ledger in &mut ledgers {
            ledger.lists = Arc::clone(&lists);
        }
        Ok(Self(ledgers))
    }

    /// The same with other limits at each of them.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self(self.0.into_iter().map(|ledger| ledger.with_limits(limits)).collect())
    }

    /// The endpoint that is written to and read from.
    #[must_use]
    pub fn primary(&self) -> &Ledger {
        &self.0[0]
    }

    /// All endpoints.
    #[must_use]
    pub fn all(&self) -> &[Ledger] {
        &self.0
    }

    /// Whether a certificate is final by the rule on *every* endpoint, with the same block and the same event.
    /// An endpoint that lags behind makes it pending.
    ///
    /// # Errors
    /// [`Error::Disagreement`] when one endpoint has it as final and another has another block at its height, or not
    /// this event in that block. [`Error::Unreachable`] when one does not answer.
    pub async fn certificate(&self, certificate: &Certified, rule: Finality) -> Result<Standing, Error> {
        let block = certificate.at.block;
        let mut seen = Vec::with_capacity(self.0.len());
        for ledger in &self.0 {
            seen.push((ledger, ledger.hash_and_standing(&block, rule).await?));
        }
        let standing_of = |wanted| seen.iter().find(|(_, (_, standing))| *standing == wanted);
        match (standing_of(Standing::Final), standing_of(Standing::Replaced)) {
            (Some((first, _)), Some((second, (hash, _)))) => {
                Err(disagreement(first, second, block.number, block.hash, hash.unwrap_or_default()))
            }
            (None, Some(_)) if standing_of(Standing::Pending).is_none() => Ok(Standing::Replaced),
            _ if standing_of(Standing::Pending).is_some() || standing_of(Standing::Final).is_none() => Ok(Standing::Pending),
            _ => self.same_event(certificate).await.map(|()| Standing::Final),
        }
    }

    async fn same_event(&self, certificate: &Certified) -> Result<(), Error> {
        for ledger in &self.0 {
            let said = ledger.certificate_event(certificate).await?;
            if said.as_ref().is_none_or(|event| !certificate.is_told_by(event)) {
                let number = certificate.at.block.number;
                let says = said.map_or(B256::ZERO, |event| fingerprint(&event));
                let expected = keccak256(format!("{certificate:?}"));
                return Err(disagreement(self.primary(), ledger, number, expected, says));
            }
        }
        Ok(())
    }

    /// Reads the same from every endpoint: what one of them alone says counts for nothing.
    ///
    /// # Errors
    /// [`Error::Disagreement`]; the first error of any endpoint.
    pub async fn agreed<T, F>(&self, read: impl Fn(Ledger) -> F) -> Result<T, Error>
    where
        T: PartialEq + std::fmt::Debug,
        F: Future<Output = Result<T, Error>>,
    {
        let said = try_join_all(self.0.iter().map(|ledger| read(ledger.clone()))).await?;
        if let Some(other) = (1..said.len()).find(|i| said[*i] != said[0]) {
            let number = self.primary().head().await?.number;
            return Err(differ(self.primary(), &self.0[other], number, &said[0], &said[other]));
        }
        said.into_iter().next().ok_or_else(|| Misuse::NoEndpoint.into())
    }

    /// Reads from each endpoint in turn until one can be reached.
    ///
    /// # Errors
    /// The last endpoint's [`Error::Unreachable`], or the first other error.
    pub async fn first_reachable<T, F: Future<Output = Result<T, Error>>>(&self, read: impl Fn(Ledger) -> F) -> Result<T, Error> {
        let mut answer = read(self.primary().clone()).await;
        for ledger in &self.0[1..] {
            if !matches!(answer, Err(Error::Unreachable { .. })) {
                break;
            }
            answer = read(ledger.clone()).await;
        }
        answer
    }
}

impl Certified {
    fn is_told_by(&self, event: &ChainEvent) -> bool {
        let vote = &self.vote;
        let expected = Event::RoundCertified {
            study: vote.study,
            round: vote.round,
            set_root: vote.setRoot,
            size: vote.size,
            voters: self.voters,
            signatures: self.signatures.clone(),
        };
        event.at == self.at && event.event == expected
    }
}

fn fingerprint(event: &ChainEvent) -> B256 {
    keccak256(format!("{event:?}"))
}

fn disagreement(first: &Ledger, second: &Ledger, number: u64, first_says: B256, second_says: B256) -> Error {
    let (first, second) = (first.endpoint().to_owned(), second.endpoint().to_owned());
    Error::Disagreement(Box::new(Disagreement { first, second, number, first_says, second_says }))
}

/// Two endpoints that tell different things about what stood on the chain at one height.
pub(crate) fn differ<T: std::fmt::Debug>(first: &Ledger, second: &Ledger, number: u64, one: &T, other: &T) -> Error {
    let hash = |said: &T| keccak256(format!("{said:?}"));
    disagreement(first, second, number, hash(one), hash(other))
}
