//! A node's stake after its registration: `consilium node consent | deposit | resign | reclaim | begin-unbond | withdraw`.

use super::connection::ChainOptions;
use super::funds::Sending;
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::{Address, U256};
use consilium_ledger::{Consent, Event};
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

/// A transaction of the node about itself.
#[derive(Debug, clap::Args)]
pub(super) struct Own {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
}

#[derive(Debug, clap::Args)]
pub(super) struct Consenting {
    #[command(flatten)]
    own: Own,
    /// The sponsor, or the committee source, that may take the node.
    #[arg(value_name = "SPONSOR")]
    party: Address,
    /// Largest bond of one study, in wei.
    #[arg(long, value_name = "WEI", required_unless_present = "revoke")]
    max_bond: Option<U256>,
    /// Largest sum of the bonds of all its studies, in wei; that of one study if not given. A bond that a proof has taken goes
    /// on counting.
    #[arg(long, value_name = "WEI", conflicts_with = "revoke")]
    max_total: Option<U256>,
    /// Shortest challenge window of a study, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    minimum_window: u32,
    /// Unix second from which nobody is taken by it any more; never if not given.
    #[arg(long, value_name = "SECOND", default_value_t = Consent::NEVER, hide_default_value = true)]
    expires: u64,
    /// Take the consent back: the sponsor takes the node no more. Bonds that are put up already stay; `resign` ends them.
    #[arg(long, conflicts_with = "max_bond")]
    revoke: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Reclaim {
    #[command(flatten)]
    sending: Sending,
    /// Whose bond; the key's own if not given.
    #[arg(long, value_name = "ADDRESS")]
    node: Option<Address>,
}

pub(super) async fn consent(options: Consenting, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.own.chain.ledger().await?, options.own.key.wallet()?);
    let Consenting { party, max_bond, max_total, minimum_window, expires, revoke, .. } = options;
    let consent = match max_bond {
        Some(max_bond) if !revoke => Consent { max_bond, max_total: max_total.unwrap_or(max_bond), minimum_window, expires },
        _ => Consent::NONE,
    };
    let receipt = ledger.set_consent(&wallet, party, consent).await?;
    let (agreed, bonded) = ledger.consent(wallet.address(), party).await?;
    let value = json!({
        "node": wallet.address(), "party": party, "max_bond": agreed.max_bond.to_string(),
        "max_total": agreed.max_total.to_string(), "minimum_window": agreed.minimum_window, "expires": agreed.expires,
        "bonded": bonded.to_string(), "gas": receipt.gas_used,
    });
    print(json, &value, |_| {
        let (node, gas) = (wallet.address(), receipt.gas_used);
        if revoke {
            return format!("{party} takes node {node} no more; {bonded} wei are put up for it now ({gas} gas)");
        }
        format!(
            "node {node} puts up {} wei a study and {} wei in all for {party}, with windows of {} seconds or more; {bonded} wei \
             are put up now ({gas} gas)",
            agreed.max_bond, agreed.max_total, agreed.minimum_window
        )
    });
    Ok(())
}

pub(super) async fn begin_unbond(options: Own, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let receipt = ledger.begin_unbond(&wallet).await?;
    let until = receipt.events.iter().find_map(|event| match event.event {
        Event::UnbondingBegun { withdrawable_at, .. } => Some(withdrawable_at),
        _ => None,
    });
    let value = json!({ "node": wallet.address(), "withdrawable_at": until, "gas": receipt.gas_used });
    print(json, &value, |_| {
        let until = until.map_or_else(|| "later".to_owned(), |second| format!("from second {second} on"));
        format!("node {} is leaving; its free stake can be withdrawn {until} ({} gas)", wallet.address(), receipt.gas_used)
    });
    Ok(())
}

pub(super) async fn withdraw(options: Own, json: bool) -> Result<(), Failure> {
    let (ledger, wallet) = (options.chain.ledger().await?, options.key.wallet()?);
    let free = ledger.free_stake(wallet.address()).await?;
    let receipt = ledger.withdraw(&wallet).await?;
    let value = json!({ "node": wallet.address(), "stake": free.to_string(), "gas": receipt.gas_used });
    print(json, &value, |_| format!("node {} has its {free} wei back ({} gas)", wallet.address(), receipt.gas_used));
    Ok(())
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
