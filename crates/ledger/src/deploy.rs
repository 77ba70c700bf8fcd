//! Deploying the two contracts.

use crate::addresses::Addresses;
use crate::contracts::{consilium_creation, registry_creation};
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::wallet::{Receipt, Wallet};
use alloy::providers::{DynProvider, Provider};
use alloy_primitives::{Address, TxKind, U256};

/// What a registry is deployed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployOptions {
    /// Smallest stake of a node in wei.
    pub minimum_stake: U256,
    /// Seconds between a node's leaving and its stake's return.
    pub unbonding_delay: u64,
}

impl Default for DeployOptions {
    /// One unit of native currency, and a week.
    fn default() -> Self {
        Self { minimum_stake: U256::from(10).pow(U256::from(18)), unbonding_delay: 7 * 24 * 3600 }
    }
}

/// A deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where the contracts are; save them for everyone who is to join.
    pub addresses: Addresses,
    /// The registry's creation.
    pub registry: Receipt,
    /// Consilium's creation.
    pub consilium: Receipt,
}

/// Deploys the registry, then Consilium as its court. Nobody else may send with this wallet meanwhile.
///
/// # Errors
/// [`Error`]; `NotCourtOf` if another transaction of the wallet came in between.
pub async fn deploy(provider: DynProvider, wallet: &Wallet, options: DeployOptions) -> Result<Deployment, Error> {
    let nowhere = Addresses { chain_id: 0, registry: Address::ZERO, consilium: Address::ZERO, deployed_at: 0 };
    let chain_id = Ledger::unchecked(provider.clone(), nowhere, "the endpoint").served_chain_id().await?;
    let ledger = Ledger::unchecked(provider.clone(), Addresses { chain_id, ..nowhere }, "the endpoint");

    let deployed_at = ledger.head().await?.number;
    let nonce = ledger.ask(provider.get_transaction_count(wallet.address()).pending()).await?;
    let court = wallet.address().create(nonce + 1);
    let code = registry_creation(options.minimum_stake, options.unbonding_delay, court);
    let first = ledger.send(wallet, TxKind::Create, U256::ZERO, code).await?;
    let registry = first.created.ok_or_else(|| ledger.malformed(Malformed::Unasked("a contract's creation")))?;
    let second = ledger.send(wallet, TxKind::Create, U256::ZERO, consilium_creation(registry)).await?;
    let addresses = Addresses { chain_id, registry, consilium: court, deployed_at };
    Ledger::new(provider, addresses).await?;
    Ok(Deployment { addresses, registry: first, consilium: second })
}
