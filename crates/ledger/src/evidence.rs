//! The signatures behind a certificate and a settlement, from the transactions that carried them: what an endpoint
//! cannot invent.

use crate::contracts::Consilium as C;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::study::{Certified, Settled};
use alloy::sol_types::{SolCall, SolStruct};
use alloy_primitives::{B256, Bytes, U256};
use consilium_core::certify::CertificateError;
use consilium_core::eip712::{Signed, nodes_in};
use consilium_core::terms::Terms;
use std::collections::BTreeMap;

/// Signatures by node number.
pub type Signatures = BTreeMap<usize, Signed>;

impl Ledger {
    /// The votes behind a certificate, by node number, all checked. `None` if the transaction did not call the contract
    /// directly, so that its input does not show them.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint. Signatures that prove nothing are the inner error: then
    /// the contract cannot have accepted the transaction, so the endpoint made it up.
    pub async fn votes(
        &self,
        terms: &Terms,
        certificate: &Certified,
    ) -> Result<Option<Result<Signatures, CertificateError>>, Error> {
        let Some(input) = self.direct_input(certificate.at.transaction).await? else { return Ok(None) };
        let Ok(call) = C::certifyCall::abi_decode(&input) else { return Ok(None) };
        if call.signers != certificate.voters {
            return Ok(None);
        }
        Ok(Some(checked(terms, &certificate.vote, certificate.voters, &call.signatures)))
    }

    /// The signatures under a settlement, as [`Self::votes`].
    ///
    /// # Errors
    /// As [`Self::votes`].
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
