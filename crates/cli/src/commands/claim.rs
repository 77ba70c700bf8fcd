//! `consilium claim`: anyone pays out what a study owes to anyone.

use super::connection::{ChainOptions, NodeOptions};
use super::keys::KeyOption;
use crate::failure::Failure;
use crate::output::{print, spinner};
use crate::payments::{self, Sets};
use alloy_primitives::Address;
use consilium_ledger::{Books, Credit, Paid};
use consilium_site::Reader;

/// Pay sites and nodes what settled rounds owe them, and their part in licence revenue so far. Whoever sends it pays the gas; the money goes to the accounts that it
/// is owed to, so that a hospital never sends a transaction nor holds a coin for gas. Several credits of one transaction
/// cost little more than half of what they cost alone.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    key: KeyOption,
    #[command(flatten)]
    nodes: NodeOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
    #[command(flatten)]
    whose: Whose,
    /// Only what these rounds owe; repeat it.
    #[arg(long, value_name = "ROUND", value_delimiter = ',')]
    rounds: Vec<u64>,
}

/// Whom to pay.
#[derive(Debug, clap::Args)]
#[group(id = "whose", required = true, multiple = false)]
struct Whose {
    /// Pay this account; repeat it.
    #[arg(long = "account", value_name = "ADDRESS", value_delimiter = ',')]
    accounts: Vec<Address>,
    /// Pay everyone.
    #[arg(long)]
    all: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let endpoints = arguments.chain.endpoints().await?;
    let ledger = endpoints.primary().clone();
    let reader = Reader::new(endpoints, &arguments.nodes.urls()).map_err(Failure::usage)?;
    let wallet = arguments.key.wallet()?;
    let work = spinner("reading what is owed");
    let books = ledger.books(arguments.study).await?;
    let wanted = |round| arguments.rounds.is_empty() || arguments.rounds.contains(&round);
    let sets = Sets::fetch(&reader, &books, wanted).await;
    let chosen = |credit: &Credit| arguments.whose.all || arguments.whose.accounts.contains(&credit.account);
    let time = payments::now(&books);
    let owed: Vec<Credit> = books.owed(&sets.cohorts, time).await?.into_iter().filter(chosen).collect();
    work.set_message("paying");
    let paid = books.pay(&wallet, &sets.cohorts, owed, time).await?;
    work.finish_and_clear();
    report(&arguments, &books, &sets, &paid);
    if paid.credits.is_empty() && !sets.missing.is_empty() {
        return Err(Failure::unreachable("no node serves the sets of the settled rounds: give more of them with --node"));
    }
    Ok(())
}

fn report(arguments: &Arguments, books: &Books, sets: &Sets, paid: &Paid) {
    let accounts = payments::by_account(&paid.credits);
    let transactions: Vec<_> = paid.receipts.iter().map(|receipt| receipt.transaction).collect();
    let missing: Vec<u64> = sets.missing.iter().map(|(round, _)| *round).collect();
    let passed_over: Vec<u64> = sets.unpaid.iter().map(|(round, _)| *round).collect();
    let refused: Vec<_> = paid
        .refused()
        .into_iter()
        .map(|(account, amount)| serde_json::json!({ "account": account, "amount": amount.to_string() }))
        .collect();
    let value = serde_json::json!({
        "study": arguments.study, "currency": books.conditions().currency,
        "paid": accounts, "total": paid.total().to_string(), "paid_by_others": paid.meanwhile().to_string(),
        "transactions": transactions, "gas": paid.gas(),
        "rounds_without_set": missing, "rounds_passed_over": passed_over, "refused": refused,
    });
    print(arguments.json, &value, |_| {
        let mut text = String::new();
        for account in &accounts {
            let role = if account.node { "node" } else { "site" };
            text += &format!("{} {role} {:>24} for {} rounds\n", account.account, account.amount, account.rounds.len());
        }
        for (round, why) in sets.left_out() {
            text += &format!("round {round} is left out: {why}\n");
        }
        let (count, gas) = (transactions.len(), paid.gas());
        if !paid.meanwhile().is_zero() {
            text += &format!("{} of it was paid by somebody else meanwhile\n", paid.meanwhile());
        }
        text += &format!("{} paid to {} accounts in {count} transactions ({gas} gas)", paid.total(), accounts.len());
        for (account, amount) in paid.refused() {
            text += &format!(
                "\nthe currency refused to pay {amount} of it to {account}: it waits for that account, which may have it sent \
                 elsewhere"
            );
        }
        text
    });
}
