//! What a contract says when it refuses, in words.

use crate::contracts::{Consilium::ConsiliumErrors as C, NodeRegistry::NodeRegistryErrors as R};
use crate::state::State;
use alloy::sol_types::{Panic, Revert as Reason, SolError, SolInterface};
use alloy_primitives::Bytes;
use thiserror::Error;

/// A contract's refusal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the contract refused: {words} ({name})")]
pub struct Revert {
    /// The custom error's name, such as `WrongState`; `Unknown` if it is none of the contracts'.
    pub name: &'static str,
    /// What it means, with its values.
    pub words: String,
    /// The ABI-encoded error.
    pub data: Bytes,
}

impl Revert {
    /// Decodes what a failed call returned.
    #[must_use]
    pub fn decode(data: Bytes) -> Self {
        let (name, words) = if let Ok(error) = C::abi_decode(&data) {
            consilium(&error)
        } else if let Ok(error) = R::abi_decode(&data) {
            registry(&error)
        } else if let Ok(reason) = Reason::abi_decode(&data) {
            ("Error", shorten(&reason.reason))
        } else if let Ok(panic) = Panic::abi_decode(&data) {
            ("Panic", format!("the contract panicked: {panic}"))
        } else {
            ("Unknown", "no reason that the contracts know".to_owned())
        };
        Self { name, words, data }
    }

    /// A failure of which the endpoint gives no reason.
    pub(crate) fn unexplained(words: &str) -> Self {
        Self { name: "Unknown", words: shorten(words), data: Bytes::new() }
    }

    /// Whether it is this custom error.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name
    }
}

/// Words from outside, cut to a length that fits a line.
pub(crate) fn shorten(text: &str) -> String {
    const MAX: usize = 300;
    let clean = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = clean.take(MAX).collect();
    if text.chars().nth(MAX).is_some() {
        short.push_str("...");
    }
    short
}

fn consilium(error: &C) -> (&'static str, String) {
    match error {
        C::ChainIdTooLarge(e) => ("ChainIdTooLarge", format!("chain id {} is above 2^64 - 1: use another chain", e.chainId)),
        C::CohortTooSmall(e) => ("CohortTooSmall", format!("the set has {} sites, the round needs {}", e.size, e.minimumCohort)),
        C::DuplicateNode(e) => ("DuplicateNode", format!("node {} is named twice: a node sits in a committee once", e.node)),
        C::InvalidCohort(e) => ("InvalidCohort", format!("a minimum cohort of {} hides nobody: use 2 or more", e.minimumCohort)),
        C::InvalidCommittee(e) => (
            "InvalidCommittee",
            format!("{} nodes do not fit threshold {}: t >= 1, 3t+1 <= n <= 5t+1 and n <= 32 must hold", e.nodes, e.threshold),
        ),
        C::InvalidDeadlines(e) => (
            "InvalidDeadlines",
            format!("deadline {} and settle-by {} must lie in the future, in this order", e.deadline, e.settleBy),
        ),
        C::InvalidFinality(_) => ("InvalidFinality", "the finality rule has 1 to 32 bytes".into()),
        C::InvalidParameters(_) => ("InvalidParameters", "the program's parameters have 1 to 256 bytes".into()),
        C::InvalidProgram(_) => ("InvalidProgram", "the program's name has 1 to 32 bytes".into()),
        C::InvalidSetRoot(_) => ("InvalidSetRoot", "the root of a certified set is not zero".into()),
        C::InvalidShortString(_) => ("InvalidShortString", "the contract's name is damaged".into()),
        C::InvalidSignature(e) => {
            ("InvalidSignature", format!("the signature of node {} is not {}'s over this statement", e.index, e.node))
        }
        C::InvalidSitesRoot(_) => ("InvalidSitesRoot", "the root of the admitted sites is not zero".into()),
        C::InvalidSubject(_) => ("InvalidSubject", "the subject is not zero".into()),
        C::NotCourtOf(e) => {
            ("NotCourtOf", format!("registry {} was deployed for another contract: deploy both together", e.registry))
        }
        C::NotSponsor(e) => ("NotSponsor", format!("{} is not the sponsor of study {}", e.caller, e.study)),
        C::QuorumMissing(e) => ("QuorumMissing", format!("{} signatures, {} are needed", e.signatures, e.quorum)),
        C::RoundInProgress(e) => ("RoundInProgress", format!("round {} of study {} is not over yet", e.round, e.study)),
        C::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        C::ShareRootCount(e) => ("ShareRootCount", format!("{} share roots for {} nodes", e.shareRoots, e.nodes)),
        C::SignaturesLength(e) => ("SignaturesLength", format!("{} bytes of signatures, {} expected", e.length, e.expected)),
        C::StringTooLong(_) => ("StringTooLong", "the contract's name is too long".into()),
        C::SubjectCertified(e) => (
            "SubjectCertified",
            format!("subject {} of study {} has had its sum: there are no two sums over one subject", e.subject, e.study),
        ),
        C::UnknownKind(e) => ("UnknownKind", format!("this contract does sums (kind 1), not kind {}", e.kind)),
        C::UnknownSigner(e) => {
            ("UnknownSigner", format!("signer bitmap {:#x} names nodes beyond the {} of the committee", e.signers, e.nodes))
        }
        C::UnknownStudy(e) => ("UnknownStudy", format!("there is no study {}", e.study)),
        C::WrongState(e) => ("WrongState", format!("round {} of study {} {}", e.round, e.study, state(e.actual))),
    }
}

fn state(actual: u8) -> &'static str {
    match State::from_code(actual) {
        Some(State::None) => "does not exist",
        Some(State::Open) => "is still open: its deadline has not passed and no set is certified",
        Some(State::Void) => "is void: the round's deadline has passed without a certified set",
        Some(State::Certified) => "is already certified and waits for its settlement",
        Some(State::Settled) => "is already settled",
        Some(State::Abandoned) => "is abandoned: it was not settled in time",
        Some(State::Fraudulent) => "was found to be fraudulent",
        None => "is in a state that this version does not know",
    }
}

fn registry(error: &R) -> (&'static str, String) {
    match error {
        R::AlreadyRegistered(e) => {
            ("AlreadyRegistered", format!("{} is registered already; a node that left comes back under another address", e.node))
        }
        R::InvalidCourt(_) => ("InvalidCourt", "the court is not the zero address".into()),
        R::InvalidIdentity(_) => ("InvalidIdentity", "operator and jurisdiction have 1 to 128 bytes each".into()),
        R::InvalidKemKey(e) => ("InvalidKemKey", format!("an X-Wing public key has 1216 bytes, not {}", e.length)),
        R::NodeNotActive(e) => ("NodeNotActive", format!("node {} is not registered, is leaving or has left", e.node)),
        R::NodeServing(e) => (
            "NodeServing",
            format!("node {} sits in {} committees: their sponsors have to let it go first", e.node, e.committees),
        ),
        R::NotCourt(e) => ("NotCourt", format!("{} is not the registry's court", e.caller)),
        R::SafeCastOverflowedUintDowncast(e) => {
            ("SafeCastOverflowedUintDowncast", format!("{} does not fit {} bits", e.value, e.bits))
        }
        R::StakeLocked(e) => (
            "StakeLocked",
            format!("the stake of {} is locked until second {} (0: it has not begun to leave)", e.node, e.withdrawableAt),
        ),
        R::StakeTooSmall(e) => ("StakeTooSmall", format!("a stake of {} wei is below the minimum of {} wei", e.stake, e.minimum)),
        R::TransferFailed(e) => ("TransferFailed", format!("{} did not take its stake back", e.node)),
    }
}
