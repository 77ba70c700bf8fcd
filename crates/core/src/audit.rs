//! Section 6.12: the complete list of offences, as predicates over signed statements and opened leaves.
//!
//! Nothing here trusts anyone's word: every predicate takes what a node signed, or values opened from settled roots,
//! and says whether they prove an offence.

use crate::eip712::{Domain, Final, Settlement, ShareRoot, Signed};
use crate::error::SignatureError;
use crate::field::Fp;
use crate::params::{Committee, lagrange};
use alloy_primitives::{Address, B256};

/// A statement with its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence<S> {
    /// What was signed.
    pub statement: S,
    /// The signature.
    pub signature: Signed,
}

/// An offence that statements or openings prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Offence {
    /// A signed share root for the certified set that differs from the settled one.
    WrongShareRoot,
    /// Openings of settled roots that fit no polynomial of degree t.
    WrongSettlement,
    /// Two Finals for one (study, subject).
    TwoFinals,
    /// A share root for a set that is not the certified one.
    ForeignShareRoot,
    /// Two different share roots for one round.
    TwoShareRoots,
    /// Two different settlements for one round.
    TwoSettlements,
}

/// What a settled round recorded on chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Study number.
    pub study: u64,
    /// Round number.
    pub round: u64,
    /// The certified set's root.
    pub set_root: B256,
    /// The settled share roots, node 1 first.
    pub share_roots: Vec<B256>,
}

/// Whether a signed share root offends against a settled round (offences i and iii).
///
/// # Errors
/// [`SignatureError`] when the statement was not signed by `node`.
pub fn share_root_offence(
    domain: &Domain,
    node: Address,
    evidence: &Evidence<ShareRoot>,
    settled: &Settled,
) -> Result<Option<Offence>, SignatureError> {
    domain.check(&evidence.statement, &evidence.signature, node)?;
    let said = &evidence.statement;
    if (said.study, said.round) != (settled.study, settled.round) {
        return Ok(None);
    }
    if said.setRoot != settled.set_root {
        return Ok(Some(Offence::ForeignShareRoot));
    }
    let index = usize::from(said.index).checked_sub(1);
    let settled_root = index.and_then(|i| settled.share_roots.get(i));
    Ok((settled_root != Some(&said.root)).then_some(Offence::WrongShareRoot))
}

/// Whether two signed statements of one node contradict each other (offence iii).
///
/// # Errors
/// [`SignatureError`] when one was not signed by `node`.
pub fn contradiction<S: Contradicts>(
    domain: &Domain,
    node: Address,
    first: &Evidence<S>,
    second: &Evidence<S>,
) -> Result<Option<Offence>, SignatureError> {
    domain.check(&first.statement, &first.signature, node)?;
    domain.check(&second.statement, &second.signature, node)?;
    let clash = first.statement != second.statement && first.statement.same_slot(&second.statement);
    Ok(clash.then_some(S::OFFENCE))
}

/// Statements of which a node may sign only one a slot.
pub trait Contradicts: alloy_sol_types::SolStruct + PartialEq {
    /// The offence that two of them are.
    const OFFENCE: Offence;
    /// Whether both claim the same slot.
    fn same_slot(&self, other: &Self) -> bool;
}

impl Contradicts for Final {
    const OFFENCE: Offence = Offence::TwoFinals;

    fn same_slot(&self, other: &Self) -> bool {
        (self.study, self.subject) == (other.study, other.subject)
    }
}

impl Contradicts for ShareRoot {
    const OFFENCE: Offence = Offence::TwoShareRoots;

    fn same_slot(&self, other: &Self) -> bool {
        (self.study, self.round) == (other.study, other.round)
    }
}

impl Contradicts for Settlement {
    const OFFENCE: Offence = Offence::TwoSettlements;

    fn same_slot(&self, other: &Self) -> bool {
        (self.study, self.round) == (other.study, other.round)
    }
}

/// Whether t+2 values opened at one element of the settled roots fit no polynomial of degree t (offence ii). Point 0 is
/// the aggregate, points 1..=n the nodes; `None` when the points are not t+2 strictly increasing ones in 0..=n, which
/// proves nothing.
#[must_use]
pub fn leaf_is_fraud(committee: &Committee, points: &[(usize, Fp)]) -> Option<bool> {
    let increasing = points.is_sorted_by(|a, b| a.0 < b.0);
    if points.len() != committee.t() + 2 || !increasing || points.iter().any(|(point, _)| *point > committee.n()) {
        return None;
    }
    let (last, base) = points.split_last()?;
    let at: Vec<usize> = base.iter().map(|(point, _)| *point).collect();
    let expected: Fp = lagrange(&at, last.0).into_iter().zip(base).map(|(l, (_, value))| l * *value).sum();
    Some(expected != last.1)
}
