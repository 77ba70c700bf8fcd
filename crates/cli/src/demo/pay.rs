//! At the end a licence is sold and the sponsor pays everyone: all settled rounds, on record and in the archive, and what the
//! licence brought, in a few transactions.

use super::setup::{Stage, coin};
use crate::commands::keys::short;
use crate::failure::Failure;
use crate::output::spinner;
use crate::payments::{self, Account, Sets};
use alloy_primitives::U256;
use consilium_ledger::{Books, Endpoints, Offer, Paid, Wallet};
use consilium_site::Reader;
use serde::Serialize;
use std::time::Duration;

/// Coins of the trial currency that a licence costs.
const LICENCE: u64 = 600;

/// Who was paid how much. Amounts are decimal, in the currency's smallest unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Payments {
    pub(crate) funded: String,
    /// What a licence brought, which belongs to the sites and nodes of all settled rounds.
    pub(crate) revenue: String,
    pub(crate) claimed: String,
    /// What is left: what rounding leaves, and what no round used.
    pub(crate) held: String,
    pub(crate) accounts: Vec<Account>,
    pub(crate) transactions: usize,
    pub(crate) gas: u64,
}

/// Waits until the last settlement can no longer be challenged, then pays and prints.
pub(super) async fn everyone(stage: &Stage) -> Result<Payments, Failure> {
    let work = spinner("paying everyone");
    let books = stage.ledger.books(stage.study).await?;
    let last = books.rounds().iter().map(|round| round.pays_from).max().unwrap_or(0);
    tokio::time::sleep(Duration::from_secs(last.saturating_sub(payments::now(&books)))).await;

    sell(stage).await?;
    let books = stage.ledger.books(stage.study).await?;
    let reader = Reader::new(Endpoints::new(vec![stage.ledger.clone()])?, &stage.urls()).map_err(Failure::failed)?;
    let sets = Sets::fetch(&reader, &books, |_| true).await;
    let owed = books.owed(&sets.cohorts, payments::now(&books)).await?;
    let paid = books.pay(&stage.sponsor, &sets.cohorts, owed, payments::now(&books)).await?;
    let after = stage.ledger.books(stage.study).await?;
    work.finish_and_clear();
    let payments = Payments {
        funded: after.totals().funded.to_string(),
        revenue: after.totals().revenue.to_string(),
        claimed: after.totals().claimed.to_string(),
        held: after.totals().held().to_string(),
        accounts: payments::by_account(&paid.credits),
        transactions: paid.receipts.len(),
        gas: paid.gas(),
    };
    tell(stage, &after, &paid, &payments)?;
    Ok(payments)
}

/// Somebody buys a licence to the study's results.
async fn sell(stage: &Stage) -> Result<(), Failure> {
    let (ledger, study, price) = (&stage.ledger, stage.study, U256::from(LICENCE) * coin());
    let currency = ledger.currency(study).await?;
    ledger.set_offer(&stage.sponsor, study, Offer { price, royalty: 0 }).await?;
    ledger.mint_trial_coins(&stage.sponsor, currency, stage.sponsor.address(), price).await?;
    ledger.buy_licences(&stage.sponsor, study, 1, price, Wallet::new(stage.auditor.clone()).address()).await?;
    Ok(())
}

fn tell(stage: &Stage, books: &Books, paid: &Paid, payments: &Payments) -> Result<(), Failure> {
    let totals = books.totals();
    let (sites, nodes): (Vec<_>, Vec<_>) = payments.accounts.iter().partition(|account| !account.node);
    println!("\nwho was paid, in coins of the study's trial currency, by the sponsor's transactions alone");
    println!("  {} sites, {} nodes in {} transactions, {} gas a credit", sites.len(), nodes.len(), payments.transactions, {
        payments.gas / paid.credits.len().max(1) as u64
    });
    let amounts = sites.iter().map(|site| site.amount.parse::<U256>().unwrap_or_default());
    if let (Some(least), Some(most)) = (amounts.clone().min(), amounts.max()) {
        println!("  a site   {} to {}", coins(least), coins(most));
    }
    for node in stage.everyone() {
        let found = nodes.iter().find(|paid| paid.account == node.address);
        let (amount, rounds) = found.map_or((U256::ZERO, 0), |paid| (paid.amount.parse().unwrap_or_default(), paid.rounds.len()));
        println!("  node {}   {} for {rounds} votes ({})", node.number, coins(amount), short(&node.address));
    }
    let of_licence = payments.accounts.iter().map(|account| account.revenue.parse::<U256>().unwrap_or_default()).sum::<U256>();
    println!(
        "  of a licence for {}, {} went to those whose rounds were settled before the sale",
        coins(totals.revenue),
        coins(of_licence)
    );
    println!(
        "  {} funded + {} of a licence = {} claimed + {} held",
        coins(totals.funded),
        coins(totals.revenue),
        coins(totals.claimed),
        coins(totals.held())
    );
    let conserved = totals.funded + totals.revenue == totals.claimed + totals.withdrawn + totals.held();
    if conserved { Ok(()) } else { Err(Failure::wrong("the study's money does not add up")) }
}

/// Whole coins and thousandths.
fn coins(amount: U256) -> String {
    let thousandths = amount / (coin() / U256::from(1000));
    format!("{}.{:03}", thousandths / U256::from(1000), (thousandths % U256::from(1000)).to::<u64>())
}
