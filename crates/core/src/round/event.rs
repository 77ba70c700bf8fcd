//! What the machine is told.

use super::{Genuine, SignedIntent, SignedVote, Statement};
use crate::certify::SetMember;
use crate::eip712::{Settlement, Signed};
use crate::error::Rejection;
use alloy_primitives::{Address, B256};

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// Time passed.
    Tick,
    /// A contribution whose signature is the site's was stored with its masked vector.
    Stored(SetMember),
    /// The outcome of [`Effect::Verify`] or [`Effect::OpenSeeds`].
    Verified {
        /// Which contribution.
        member: SetMember,
        /// What came out.
        verdict: Verdict,
    },
    /// A message from a committee member; the shell has authenticated the sender's number.
    Message {
        /// Sender, 1..=n.
        from: usize,
        /// Its message.
        message: Genuine,
    },
    /// A statement is in the journal and signed.
    Signed {
        /// What was signed.
        statement: Statement,
        /// This node's signature.
        signature: Signed,
    },
    /// The first intent of a peer for its slot is in the journal: the one of [`super::Effect::Hold`], or an earlier one.
    Held(SignedIntent),
    /// Something on the chain.
    Chain(ChainEvent),
    /// This node's output share over the certified set is ready to be served.
    Released {
        /// Its vector root.
        root: B256,
    },
    /// A peer's output share arrived; it has the right length, is canonical and matches the signed root.
    ShareFetched {
        /// Whose share.
        node: usize,
    },
    /// Enough shares agree.
    Unmasked(Unmasked),
}

/// Outcome of verifying a contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Valid on this node's shares.
    Accepted,
    /// The box was bad: these seeds are missing.
    MissingSeeds(Vec<usize>),
    /// Invalid.
    Rejected(Rejection),
}

/// What the node sees on its own endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainEvent {
    /// A certificate is in a block. It counts once this node holds Q votes for it, wherever they came from.
    Certified {
        /// The set's root.
        set_root: B256,
        /// Number of sites.
        size: u32,
        /// The nodes whose votes the chain recorded, in node order.
        voters: Vec<Address>,
        /// The votes that the certificate's event carries. The machine checks them: an endpoint may invent them.
        votes: Vec<SignedVote>,
    },
    /// The block with the certificate was reorganised away.
    CertificateGone,
    /// The certificate is final by the study's rule on all of the node's endpoints.
    CertificateFinal,
    /// A settlement is final by the study's rule.
    Settled {
        /// The settled share roots, node 1 first.
        share_roots: Vec<B256>,
        /// The settled aggregate's root.
        aggregate_root: B256,
    },
    /// An end of the round is in a block and not final yet. Nothing is signed, released or sent to the chain meanwhile.
    Paused,
    /// The block with the end was reorganised away.
    Resumed,
    /// Void, abandoned or fraudulent, and final: nothing more will happen.
    Closed,
}

/// What [`crate::unmask::unmask`] found, in roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmasked {
    /// The statement that every honest node signs.
    pub settlement: Settlement,
    /// The n share roots, node 1 first.
    pub share_roots: Vec<B256>,
    /// Nodes whose served share is off the polynomial.
    pub liars: Vec<usize>,
}
