//! A round as the chain tells it, with what it certified and settled.

use crate::endpoint::Block;
use crate::event::LogPosition;
use crate::state::State;
use alloy_primitives::{Address, B256, Bytes, U256};
use consilium_core::eip712::{Settlement, Vote, nodes_in};
use consilium_core::terms::Terms;
use std::collections::BTreeSet;

/// A round at one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// What everyone agrees on; checked by [`Terms::check`].
    pub terms: Terms,
    /// The recorded state; see [`Self::state_at`].
    pub state: State,
    /// Its opening.
    pub opened: LogPosition,
    /// The set that counts.
    pub certificate: Option<Certified>,
    /// Votes for that set that came after the certificate, before the settlement.
    pub late: Vec<LateVotes>,
    /// The result that counts.
    pub settlement: Option<Settled>,
    /// Sites of the published list that were struck off when the round was opened: `terms.sites` is without them.
    pub struck: BTreeSet<Address>,
    /// The block at which this was read.
    pub read_at: Block,
}

impl Round {
    /// The state at a block time: a deadline that passed counts although nobody recorded it.
    #[must_use]
    pub fn state_at(&self, time: u64) -> State {
        self.state.at(time, self.terms.policy.deadline, self.terms.policy.settle_by)
    }

    /// Whether a node's vote for the certified set is on the chain, whenever it came.
    #[must_use]
    pub fn has_voted(&self, node: usize) -> bool {
        let certified = self.certificate.as_ref().map_or(U256::ZERO, |certificate| certificate.voters);
        nodes_in(certified | LateVotes::voters_of(&self.late)).contains(&node)
    }
}

/// A certified set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Study, round, root and size: what the voters signed.
    pub vote: Vote,
    /// Bit j-1: node j voted.
    pub voters: U256,
    /// 65 bytes for each voter, as [`Certified::votes`] reads them.
    pub signatures: Bytes,
    /// The certificate's place on the chain.
    pub at: LogPosition,
}

/// Votes for a certified set that came after its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateVotes {
    /// Bit j-1: node j voted.
    pub voters: U256,
    /// 65 bytes for each voter, by node number.
    pub signatures: Bytes,
    /// Their place on the chain.
    pub at: LogPosition,
}

impl Certified {
    /// The numbers of the nodes whose votes came with the certificate, increasing.
    #[must_use]
    pub fn voters(&self) -> Vec<usize> {
        nodes_in(self.voters)
    }
}

impl LateVotes {
    /// Bit j-1: node j is among those who voted late.
    #[must_use]
    pub fn voters_of(late: &[Self]) -> U256 {
        late.iter().fold(U256::ZERO, |all, votes| all | votes.voters)
    }
}

/// A settled result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// What the nodes signed.
    pub settlement: Settlement,
    /// Root of each node's output share, node 1 first.
    pub share_roots: Vec<B256>,
    /// Bit j-1: node j signed.
    pub signers: U256,
    /// The settlement's place on the chain.
    pub at: LogPosition,
}

impl Settled {
    /// The numbers of the nodes that signed, increasing.
    #[must_use]
    pub fn signers(&self) -> Vec<usize> {
        nodes_in(self.signers)
    }
}

/// A subject that has had its sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CertifiedSubject {
    /// The round.
    pub round: u64,
    /// What it was about.
    pub subject: B256,
    /// The set that was certified.
    pub set_root: B256,
}
