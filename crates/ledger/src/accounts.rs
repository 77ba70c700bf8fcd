//! Contracts that sign (ERC-1271): whether one takes a signature for its own, and what its owner signs.

use crate::endpoint::Ledger;
use crate::error::{Error, Misuse, Refusal};
use crate::finality::Endpoints;
use alloy::network::TransactionBuilder;
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, Bytes, keccak256};
use consilium_core::capability::{AccountForm, Holder};
use consilium_core::eip712::SecretKey;

/// Most gas of a contract's answer: enough for a dozen owners or a passkey verified in Solidity.
const ANSWER_GAS: u64 = 3_000_000;

#[allow(missing_docs, reason = "generated; ERC-1271 has the meaning")]
mod erc1271 {
    alloy::sol! {
        function isValidSignature(bytes32 hash, bytes signature) external view returns (bytes4 magic);
    }
}

use erc1271::isValidSignatureCall;

impl Ledger {
    /// Whether a contract takes a signature over a digest for its own, at the newest block. No code, a revert and any other
    /// answer than the one of ERC-1271 are a no.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn accepts_signature(&self, account: Address, digest: B256, signature: Bytes) -> Result<bool, Error> {
        let call = isValidSignatureCall { hash: digest, signature };
        let request = TransactionRequest::default().with_to(account).with_input(call.abi_encode()).with_gas_limit(ANSWER_GAS);
        let mut yes = [0; 32];
        yes[..4].copy_from_slice(&isValidSignatureCall::SELECTOR);
        match self.ask(self.provider.call(request)).await {
            Ok(answer) => Ok(answer[..] == yes),
            Err(Error::Reverted(_)) => Ok(false),
            // Out of gas, an invalid opcode: endpoints name it in many ways, and the contract has not said yes.
            Err(Error::Rejected { cause: Refusal::Other, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A key that asks in the name of a contract, in the form that this contract accepts of it now.
    ///
    /// # Errors
    /// [`Misuse::NotAccepted`]; [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn holder(&self, account: Address, key: SecretKey) -> Result<Holder, Error> {
        let probe = keccak256("consilium: does this account accept this key?");
        for form in [AccountForm::Digest, AccountForm::SafeMessage { chain_id: self.addresses().chain_id }] {
            let signature = key.sign(&form.wrap(account, probe)).as_bytes().to_vec().into();
            if self.accepts_signature(account, probe, signature).await? {
                return Ok(Holder::Account { account, key, form });
            }
        }
        Err(Misuse::NotAccepted { account, key: key.address() }.into())
    }
}

impl Endpoints {
    /// Whether a contract takes a signature for its own on *every* endpoint: one that lies lets nobody in.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when one does not answer; other faults of an endpoint.
    pub async fn accept_signature(&self, account: Address, digest: B256, signature: &Bytes) -> Result<bool, Error> {
        for ledger in self.all() {
            if !ledger.accepts_signature(account, digest, signature.clone()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
