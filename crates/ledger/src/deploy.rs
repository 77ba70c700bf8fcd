//! Deploying the contracts.

use crate::addresses::Addresses;
use crate::contracts::Creations;
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::wallet::{Receipt, Wallet};
use alloy::providers::{DynProvider, Provider};
use alloy_primitives::{Address, TxKind, U256, address};

const DAY: u64 = 24 * 3600;
/// Nobody has the key of this account: what it gets is burnt.
const NOBODY: Address = address!("000000000000000000000000000000000000dEaD");

/// What holds for every study of a deployment, for good. Durations are in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployOptions {
    /// Smallest stake of a node, and smallest bond of one study, in wei.
    pub minimum_stake: U256,
    /// Between a node's leaving and its stake's return. A round is opened only if its settlement, its challenge window,
    /// the longest pause and the dispute time end before that, so that what a proof takes is still there.
    pub unbonding_delay: u64,
    /// For how long a node counts as a newcomer.
    pub probation: u64,
    /// Between a conviction and the payment to the sites. No study's challenge window and longest pause are longer together.
    pub compensation_delay: u64,
    /// For sites to take a compensation that is due; then it goes to the sink.
    pub claim_time: u64,
    /// Who gets what no site may have of a bond that was taken, and what nobody claims of the treasury in years. It has no
    /// other right.
    pub sink: Address,
    /// For evidence after the challenge window.
    pub dispute_time: u64,
    /// Shortest challenge window of a study: an hour at least, but for a trial.
    pub minimum_window: u32,
    /// Whether this is for trying out, where windows may last seconds: the chain says so to everybody.
    pub trial: bool,
    /// For how long a study's guardian may stop its proofs and payouts: less than the compensation delay, from which it takes
    /// away. An unbonding delay lies between two pauses.
    pub longest_pause: u32,
    /// After this time, and a quarter's notice, what nobody has claimed of a round goes to the sink: a year at least.
    pub escheat_time: u64,
}

impl Default for DeployOptions {
    /// One unit of native currency, three weeks of unbonding, a week of compensation delay, pauses of three days, windows of an
    /// hour or more; what nobody claims is lost after five years. What no site may have is burnt.
    fn default() -> Self {
        Self {
            minimum_stake: U256::from(10).pow(U256::from(18)),
            unbonding_delay: 21 * DAY,
            probation: 7 * DAY,
            compensation_delay: 7 * DAY,
            claim_time: 730 * DAY,
            sink: NOBODY,
            dispute_time: 3 * DAY,
            minimum_window: 3600,
            trial: false,
            longest_pause: 3 * 24 * 3600,
            escheat_time: 5 * 365 * DAY,
        }
    }
}

impl DeployOptions {
    /// For trying out: windows may last seconds, and the chain says so.
    #[must_use]
    pub fn trial() -> Self {
        Self { minimum_window: 0, trial: true, ..Self::default() }
    }
}

/// A deployment.
#[derive(Debug, Clone)]
pub struct Deployment {
    /// Where the contracts are; save them for everyone who is to join.
    pub addresses: Addresses,
    /// Each contract's name and creation, in order.
    pub creations: Vec<(&'static str, Receipt)>,
}

impl Deployment {
    /// Gas of all creations.
    #[must_use]
    pub fn gas_used(&self) -> u64 {
        self.creations.iter().map(|(_, receipt)| receipt.gas_used).sum()
    }
}

/// Deploys all contracts. Nobody else may send with this wallet meanwhile.
///
/// # Errors
/// [`Error`]; `NotOurs` if another transaction of the wallet came in between.
pub async fn deploy(provider: DynProvider, wallet: &Wallet, options: DeployOptions) -> Result<Deployment, Error> {
    let nowhere = Addresses::default();
    let chain_id = Ledger::unchecked(provider.clone(), nowhere, "the endpoint").served_chain_id().await?;
    let ledger = Ledger::unchecked(provider.clone(), Addresses { chain_id, ..nowhere }, "the endpoint");

    let deployed_at = ledger.head().await?.number;
    let nonce = ledger.ask(provider.get_transaction_count(wallet.address()).pending()).await?;
    let Creations { addresses, codes } = Creations::by(wallet.address(), nonce, chain_id, &options);
    let mut creations = Vec::new();
    for (name, expected, code) in codes {
        let receipt = ledger.send(wallet, TxKind::Create, U256::ZERO, code).await?;
        if receipt.created != Some(expected) {
            return Err(ledger.malformed(Malformed::Unasked("the creation of the next contract")));
        }
        creations.push((name, receipt));
    }
    let addresses = Addresses { deployed_at, ..addresses };
    Ledger::new(provider, addresses).await?;
    Ok(Deployment { addresses, creations })
}
