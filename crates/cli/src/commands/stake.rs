//! A node's stake after its registration: `consilium node deposit | resign | reclaim`.

use super::connection::ChainOptions;
use super::funds::Sending;
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::{Address, U256};
use serde_json::json;

#[derive(Debug, clap::Args)]
pub(super) struct Deposit {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    /// Wei.
    #[arg(long)]
    amount: U256,
}

#[derive(Debug, clap::Args)]
pub(super) struct Reclaim {
    #[command(flatten)]
    sending: Sending,
    /// Whose bond; the key's own if not given.
    #[arg(long, value_name = "ADDRESS")]
    node: Option<Address>,
}

pub(super) async fn deposit(options: Deposit, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let receipt = ledger.deposit(&wallet, options.amount).await?;
    let free = ledger.free_stake(wallet.address()).await?;
    let value = json!({ "node": wallet.address(), "free_stake": free.to_string(), "gas": receipt.gas_used });
    print(json, &value, |_| format!("node {} has {free} wei of free stake ({} gas)", wallet.address(), receipt.gas_used));
    Ok(())
}

pub(super) async fn resign(options: Sending, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let receipt = ledger.resign(&wallet, options.study).await?;
    let bond = ledger.bond(options.study, wallet.address()).await?;
    let value = json!({
        "node": wallet.address(), "study": options.study, "bond": bond.amount.to_string(), "reclaimable_at": bond.until,
        "gas": receipt.gas_used,
    });
    print(json, &value, |_| {
        format!(
            "node {} has left study {}; its bond of {} wei can be reclaimed from second {} on, and the sponsor has to form a new \
             committee",
            wallet.address(),
            options.study,
            bond.amount,
            bond.until
        )
    });
    Ok(())
}

pub(super) async fn reclaim(options: Reclaim, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (ledger, wallet) = (chain.ledger().await?, key.wallet()?);
    let node = options.node.unwrap_or(wallet.address());
    let receipt = ledger.reclaim(&wallet, *study, node).await?;
    let free = ledger.free_stake(node).await?;
    let value = json!({ "node": node, "study": study, "free_stake": free.to_string(), "gas": receipt.gas_used });
    print(json, &value, |_| format!("node {node} has {free} wei of free stake ({} gas)", receipt.gas_used));
    Ok(())
}
