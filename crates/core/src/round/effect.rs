//! What the machine wants done.

use super::{Message, SignedIntent, Statement};
use crate::audit::Evidence;
use crate::certify::{Cohort, DatedCertificate, SetMember};
use crate::eip712::{Final, Settlement, ShareRoot, SignerSet};
use alloy_primitives::{B256, Bytes};
use std::collections::BTreeMap;

/// What the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Verify a stored contribution.
    Verify(SetMember),
    /// Pull a contribution from one of these nodes.
    Pull {
        /// Which one.
        member: SetMember,
        /// Nodes that have signed a receipt for it.
        from: Vec<usize>,
    },
    /// Journal, sign, and feed back [`Event::Signed`].
    Sign(Statement),
    /// Keep these certificates with their times over a restart, before any statement of the same step is signed.
    Keep(Vec<DatedCertificate>),
    /// Keep the members of a set over a restart, before the vote for it is signed: if everybody forgot them, a certificate
    /// could never be settled.
    KeepSet(Cohort),
    /// Keep a peer's intent unless its slot holds another, on disk before it is acknowledged, and feed back
    /// [`super::Event::Held`] with the one that the slot holds.
    Hold(SignedIntent),
    /// Send to one node, or to all others.
    Send {
        /// A node's number, or `None` for all others.
        to: Option<usize>,
        /// The message.
        message: Message,
    },
    /// Send these seeds of a held contribution to a node that is entitled to them, sealed to its KEM key.
    AnswerSeeds {
        /// The node.
        to: usize,
        /// The contribution.
        member: SetMember,
        /// Seed numbers, all of subsets without the node.
        numbers: Vec<usize>,
    },
    /// Open sealed seeds that a peer sent, check them against the commitments, and verify the contribution again.
    OpenSeeds {
        /// The contribution.
        member: SetMember,
        /// Sealed seeds by number.
        sealed: BTreeMap<usize, Bytes>,
    },
    /// Send the certificate to the chain.
    Certify {
        /// The set's root.
        set_root: B256,
        /// Number of sites.
        size: u32,
        /// Q or more votes.
        votes: SignerSet,
    },
    /// Compute the output share over this set, and serve it from now on.
    Release(Cohort),
    /// Fetch a node's output share and check it against this root.
    FetchShare {
        /// Whose.
        node: usize,
        /// The root that the node signed.
        root: B256,
    },
    /// Interpolate the shares of these nodes, this node's own among them if it has one.
    Unmask(Vec<usize>),
    /// Send the settlement to the chain.
    Settle {
        /// What was signed.
        settlement: Settlement,
        /// The n share roots.
        share_roots: Vec<B256>,
        /// Q or more signatures.
        signatures: SignerSet,
    },
    /// Look at the chain at once and not at the next time: a peer says that it saw there what this node has not seen.
    Look,
    /// Keep this evidence: it proves an offence.
    Report(Offender),
}

/// Evidence against a node, from its own signed statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Offender {
    /// Two Finals for one subject.
    Finals(usize, Box<[Evidence<Final>; 2]>),
    /// Two share roots for one round.
    ShareRoots(usize, Box<[Evidence<ShareRoot>; 2]>),
    /// Two settlements for one round.
    Settlements(usize, Box<[Evidence<Settlement>; 2]>),
    /// A share root that differs from the settled one, or is for another set.
    WrongShareRoot(usize, Box<Evidence<ShareRoot>>),
}

impl Offender {
    /// The number of the node that offended.
    #[must_use]
    pub fn node(&self) -> usize {
        match self {
            Self::Finals(node, _) | Self::ShareRoots(node, _) | Self::Settlements(node, _) | Self::WrongShareRoot(node, _) => {
                *node
            }
        }
    }
}
