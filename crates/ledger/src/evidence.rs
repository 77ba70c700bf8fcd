//! The signatures behind a certificate, from its event, and behind a settlement, from the transaction that carried them:
//! what an endpoint cannot invent.

use crate::contracts::Consilium as C;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::round::{Certified, Round, Settled};
use alloy::sol_types::{SolCall, SolStruct};
use alloy_primitives::{B256, Bytes, U256};
use consilium_core::certify::CertificateError;
use consilium_core::eip712::{Signed, nodes_in};
use consilium_core::terms::Terms;
use std::collections::BTreeMap;

/// Signatures by node number.
pub type Signatures = BTreeMap<usize, Signed>;

impl Certified {
    /// The votes that the event shows, by increasing node number. Whose they are has not been checked: an endpoint may have
    /// made them up.
    pub fn votes(&self) -> impl Iterator<Item = (usize, Signed)> {
        signed_by(self.voters, &self.signatures)
    }

    /// Of the votes, those that their nodes signed. The contract accepts no certificate with another vote, nor with fewer
    /// than a quorum: if any is missing here, the endpoint made the certificate up.
    #[must_use]
    pub fn genuine_votes(&self, terms: &Terms) -> Signatures {
        self.votes().filter(|vote| self.is_genuine(terms, vote)).collect()
    }

    fn is_genuine(&self, terms: &Terms, (node, vote): &(usize, Signed)) -> bool {
        let member = terms.committee.member(*node);
        member.is_some_and(|member| terms.domain.check(&self.vote, vote, member.address).is_ok())
    }
}

impl Round {
    /// Of the votes that came after the certificate, those that their nodes signed, by node number: if any is missing here,
    /// the endpoint made it up.
    #[must_use]
    pub fn genuine_late_votes(&self) -> Signatures {
        let late = self.late.iter().flat_map(|votes| signed_by(votes.voters, &votes.signatures));
        late.filter(|vote| self.certificate.as_ref().is_some_and(|certified| certified.is_genuine(&self.terms, vote))).collect()
    }
}

/// 65 bytes for each node of a bitmap, by increasing number.
fn signed_by(voters: U256, signatures: &Bytes) -> impl Iterator<Item = (usize, Signed)> {
    let votes = nodes_in(voters).into_iter().zip(signatures.as_chunks::<65>().0);
    votes.filter_map(|(node, piece)| Some((node, Signed::from_bytes(piece).ok()?)))
}

impl Ledger {
    /// The signatures under a settlement, by node number, all checked. `None` if the transaction did not call the contract
    /// directly, so that its input does not show them.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint. Signatures that prove nothing are the inner error: then
    /// the contract cannot have accepted the transaction, so the endpoint made it up.
    pub async fn settlement_signatures(
        &self,
        terms: &Terms,
        settled: &Settled,
    ) -> Result<Option<Result<Signatures, CertificateError>>, Error> {
        let Some(input) = self.direct_input(settled.at.transaction).await? else { return Ok(None) };
        let Ok(call) = C::settleCall::abi_decode(&input) else { return Ok(None) };
        if call.signers != settled.signers {
            return Ok(None);
        }
        Ok(Some(checked(terms, &settled.settlement, settled.signers, &call.signatures)))
    }

    async fn direct_input(&self, transaction: B256) -> Result<Option<Bytes>, Error> {
        let found = self.input_of(transaction).await?;
        Ok(found.filter(|(to, _)| *to == Some(self.addresses().consilium)).map(|(_, input)| input))
    }
}

fn checked<S: SolStruct>(terms: &Terms, statement: &S, signers: U256, bytes: &Bytes) -> Result<Signatures, CertificateError> {
    let nodes = nodes_in(signers);
    let needed = terms.committee.sizes().quorum();
    let pieces = bytes.as_chunks::<65>().0;
    if nodes.len() < needed || pieces.len() != nodes.len() {
        return Err(CertificateError::TooFew { needed, found: pieces.len().min(nodes.len()) });
    }
    let mut signatures = BTreeMap::new();
    for (node, piece) in nodes.into_iter().zip(pieces) {
        let member = terms.committee.member(node).ok_or(CertificateError::NoSuchNode(node))?;
        let signed = Signed::from_bytes(piece)?;
        terms.domain.check(statement, &signed, member.address)?;
        signatures.insert(node, signed);
    }
    Ok(signatures)
}
