//! A node's stake after its registration: free stake, and what answers for one study.

use crate::contracts::NodeRegistry as R;
use crate::decode::registry;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::Consent;
use crate::wallet::{Receipt, Wallet};
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, U256};

/// `INodeRegistry.Standing` of a node that serves, and of one that has left and whose bond is still locked.
const SERVING: u8 = 1;
const DISCHARGED: u8 = 2;

/// What a node answers with for one study.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bond {
    /// Wei.
    pub amount: U256,
    /// Block time from which it can be reclaimed; zero while the node serves.
    pub until: u64,
    /// Whether the node answers for what it signed: it serves, or has left and was not convicted.
    pub liable: bool,
}

impl Ledger {
    /// Adds to the free stake of the wallet's node.
    ///
    /// # Errors
    /// `NodeNotActive`.
    pub async fn deposit(&self, wallet: &Wallet, wei: U256) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), wei, R::depositCall {}.abi_encode().into()).await
    }

    /// The wallet's node leaves a study's committee. No further round opens before the sponsor has formed another one; the
    /// bond stays locked for the unbonding delay.
    ///
    /// # Errors
    /// `NotServing`.
    pub async fn resign(&self, wallet: &Wallet, study: u64) -> Result<Receipt, Error> {
        self.registry(wallet, &R::resignCall { study }).await
    }

    /// Anyone: makes a node's bond free stake again after the unbonding delay.
    ///
    /// # Errors
    /// `BondLocked`, `NotServing`.
    pub async fn reclaim(&self, wallet: &Wallet, study: u64, node: Address) -> Result<Receipt, Error> {
        self.registry(wallet, &R::reclaimCall { study, node }).await
    }

    /// What a node answers with for a study.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn bond(&self, study: u64, node: Address) -> Result<Bond, Error> {
        self.bond_at(study, node, None).await
    }

    /// The same at a block.
    pub(crate) async fn bond_at(&self, study: u64, node: Address, block: Option<u64>) -> Result<Bond, Error> {
        let bond = self.view_of(self.addresses().registry, R::bondOfCall { study, node }, block).await?;
        let liable = matches!(bond.standing, SERVING | DISCHARGED);
        Ok(Bond { amount: U256::from(bond.amount), until: bond.until.to(), liable })
    }

    /// What a node has agreed to put up for a sponsor or a source, and how much of it is put up now, in wei.
    ///
    /// # Errors
    /// As [`Self::bond`].
    pub async fn consent(&self, node: Address, party: Address) -> Result<(Consent, U256), Error> {
        let found = self.view_of(self.addresses().registry, R::consentOfCall { node, party }, None).await?;
        Ok((registry::consent(&found.consent), U256::from(found.bonded)))
    }

    /// A node's free stake in wei.
    ///
    /// # Errors
    /// As [`Self::bond`].
    pub async fn free_stake(&self, node: Address) -> Result<U256, Error> {
        let found = self.view_of(self.addresses().registry, R::nodeOfCall { node }, None).await?;
        Ok(U256::from(found.stake))
    }

    async fn registry<C: SolCall>(&self, wallet: &Wallet, call: &C) -> Result<Receipt, Error> {
        self.send(wallet, self.addresses().registry.into(), U256::ZERO, call.abi_encode().into()).await
    }
}
