//! The sponsor's money: `consilium study fund | withdraw | rewards | restore | money`.

use super::connection::{ChainOptions, NodeOptions};
use super::keys::KeyOption;
use crate::consent::Consent;
use crate::failure::Failure;
use crate::output::print;
use crate::payments::{self, Sets};
use alloy_primitives::{Address, U256};
use consilium_ledger::{Books, Credit, Endpoints};
use consilium_site::Reader;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A transaction about a study.
#[derive(Debug, clap::Args)]
pub(crate) struct Sending {
    #[command(flatten)]
    pub(super) chain: ChainOptions,
    #[command(flatten)]
    pub(super) key: KeyOption,
    /// Study number.
    #[arg(long)]
    pub(super) study: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct Fund {
    #[command(flatten)]
    sending: Sending,
    /// How much, in the smallest unit of the study's currency.
    #[arg(long)]
    amount: U256,
    /// Allow it by a signature instead of a transaction of its own; the currency must know ERC-2612 and ERC-5267.
    #[arg(long)]
    permit: bool,
    /// The currency that you expect: another one is refused. With --permit and one --rpc, give it, or --yes, where nobody
    /// can be asked.
    #[arg(long, value_name = "ADDRESS")]
    currency: Option<Address>,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Debug, clap::Args)]
pub(super) struct Withdraw {
    #[command(flatten)]
    sending: Sending,
    /// How much, in the smallest unit of the study's currency.
    #[arg(long)]
    amount: U256,
    /// To whom; the sponsor if not given.
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Rewards {
    #[command(flatten)]
    sending: Sending,
    /// What one settled round pays, in the smallest unit of the study's currency.
    #[arg(long)]
    budget: U256,
    /// The part of it for the nodes that sign, in ten-thousandths; the sites share the rest.
    #[arg(long)]
    node_share: u16,
}

#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    #[command(flatten)]
    sending: Sending,
    /// The site.
    #[arg(long, value_name = "ADDRESS")]
    site: Address,
    /// The round for which it was struck.
    #[arg(long)]
    round: u64,
}

#[derive(Debug, clap::Args)]
pub(super) struct Show {
    #[command(flatten)]
    chain: ChainOptions,
    #[command(flatten)]
    nodes: NodeOptions,
    /// Study number.
    #[arg(long)]
    study: u64,
}

pub(super) async fn fund(options: Fund, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (endpoints, wallet) = (chain.endpoints().await?, key.wallet()?);
    let currency = expected_currency(&options, &endpoints).await?;
    let ledger = endpoints.primary();
    let receipt = match options.permit {
        true => ledger.fund_with_permit(&wallet, *study, currency, options.amount).await?,
        false => ledger.fund(&wallet, *study, options.amount).await?,
    };
    let value = json!({ "study": study, "amount": options.amount.to_string(), "gas": receipt.gas_used });
    print(json, &value, |_| format!("study {study} was given {} ({} gas)", options.amount, receipt.gas_used));
    Ok(())
}

/// The study's currency by the word of every endpoint, or of the one who pays.
async fn expected_currency(options: &Fund, endpoints: &Endpoints) -> Result<Address, Failure> {
    let study = options.sending.study;
    let currency = endpoints.agreed(|ledger| async move { ledger.currency(study).await }).await?;
    match options.currency {
        Some(expected) if expected != currency => {
            Err(Failure::refused(format!("study {study} pays in {currency}, not in {expected} as --currency says: check both")))
        }
        None if options.permit && endpoints.all().len() == 1 => {
            let question = format!("one endpoint says that study {study} pays in {currency}; sign for {} of it", options.amount);
            options.consent.ask(&question, &format!("--currency {currency}, a second --rpc, or --yes")).map(|()| currency)
        }
        _ => Ok(currency),
    }
}

pub(super) async fn withdraw(options: Withdraw, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (ledger, wallet) = (chain.ledger().await?, key.wallet()?);
    let to = match options.to {
        Some(to) => to,
        None => ledger.study(*study).await?.sponsor,
    };
    let receipt = ledger.withdraw_funds(&wallet, *study, options.amount, to).await?;
    let value = json!({ "study": study, "amount": options.amount.to_string(), "to": to, "gas": receipt.gas_used });
    print(json, &value, |_| format!("{} of study {study} went to {to} ({} gas)", options.amount, receipt.gas_used));
    Ok(())
}

pub(super) async fn rewards(options: Rewards, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let (budget, node_share) = (options.budget, options.node_share);
    let receipt = chain.ledger().await?.set_rewards(&key.wallet()?, *study, budget, node_share).await?;
    let value = json!({ "study": study, "budget": budget.to_string(), "node_share": node_share, "gas": receipt.gas_used });
    print(json, &value, |_| {
        format!("rounds of study {study} pay {budget} from the next one on, {node_share} ten-thousandths of it to nodes")
    });
    Ok(())
}

pub(super) async fn restore(options: Restore, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let receipt = chain.ledger().await?.restore_site(&key.wallet()?, *study, options.site, options.round).await?;
    let value = json!({ "study": study, "site": options.site, "round": options.round, "gas": receipt.gas_used });
    print(json, &value, |_| {
        format!("site {} takes part in study {study} again; round {} stays unpaid for it", options.site, options.round)
    });
    Ok(())
}

pub(super) async fn show(options: Show, json: bool) -> Result<(), Failure> {
    let endpoints = options.chain.endpoints().await?;
    let books = endpoints.primary().books(options.study).await?;
    let mut value = summary(&books);
    let mut accounts = Vec::new();
    let mut left_out: Vec<(u64, String)> = Vec::new();
    if !options.nodes.nodes.is_empty() {
        let reader = Reader::new(endpoints, &options.nodes.urls()).map_err(Failure::usage)?;
        let sets = Sets::fetch(&reader, &books, |_| true).await;
        accounts = lines(&books, &sets).await?;
        left_out = sets.left_out().cloned().collect();
        value["accounts"] = accounts.iter().map(Line::json).collect();
        value["rounds_without_set"] = sets.missing.iter().map(|(round, _)| *round).collect();
        value["rounds_passed_over"] = sets.unpaid.iter().map(|(round, _)| *round).collect();
    }
    print(json, &value, |_| describe(&books, &accounts, &left_out));
    Ok(())
}

/// What one account got and gets, of rounds and licence revenue together.
struct Line {
    account: Address,
    paid: U256,
    owed: U256,
    /// Of rounds that may still be challenged.
    later: U256,
}

impl Line {
    fn json(&self) -> Value {
        json!({
            "account": self.account, "paid": self.paid.to_string(), "owed": self.owed.to_string(), "later": self.later.to_string(),
        })
    }
}

async fn lines(books: &Books, sets: &Sets) -> Result<Vec<Line>, Failure> {
    let now = books.owed(&sets.cohorts, payments::now(books)).await?;
    let ever = books.owed(&sets.cohorts, u64::MAX).await?;
    let mut accounts: BTreeSet<Address> = ever.iter().map(|credit| credit.account).collect();
    accounts.extend(sets.cohorts.values().flat_map(|cohort| cohort.members().iter().map(|member| member.site)));
    accounts.extend(books.rounds().iter().flat_map(|round| round.voters.iter().copied()));
    accounts.extend(books.rounds().iter().flat_map(|round| round.late.iter().map(|(_, node)| *node)));
    let sum = |credits: &[Credit], account| credits.iter().filter(|c| c.account == account).map(Credit::amount).sum::<U256>();
    let line = |account| {
        let owed = sum(&now, account);
        Line { account, paid: books.claimed_by(account), owed, later: sum(&ever, account).saturating_sub(owed) }
    };
    Ok(accounts.into_iter().map(line).collect())
}

/// The totals of a study as JSON; amounts are decimal strings.
pub(crate) fn summary(books: &Books) -> Value {
    let (t, conditions) = (books.totals(), books.conditions());
    let amount = |amount: U256| amount.to_string();
    let rounds: Vec<Value> = books
        .rounds()
        .iter()
        .map(|round| {
            json!({
                "round": round.round, "sites": round.sites, "voters": round.voters.len(), "late_voters": round.late.len(),
                "budget": amount(round.budget),
                "per_site": amount(round.per_site), "per_node": amount(round.per_node), "pays_from": round.pays_from,
            })
        })
        .collect();
    json!({
        "currency": conditions.currency, "budget": amount(conditions.budget), "node_share": conditions.node_share,
        "funded": amount(t.funded), "revenue": amount(t.revenue), "withdrawn": amount(t.withdrawn),
        "claimed": amount(t.claimed), "waiting": amount(t.waiting), "escheated": amount(t.escheated), "held": amount(t.held()),
        "free": amount(t.free), "reserved": amount(t.reserved), "unclaimed": amount(t.unclaimed),
        "treasury": amount(t.balance),
        "held_by_all_studies": t.held_by_all.map(amount), "rounds": rounds,
    })
}

fn describe(books: &Books, accounts: &[Line], left_out: &[(u64, String)]) -> String {
    let (t, conditions) = (books.totals(), books.conditions());
    if conditions.currency.is_zero() {
        return "the study has no currency: nobody pays, and nobody is owed anything".to_owned();
    }
    let mut text = format!(
        "currency   {}\na round    {}, {} ten-thousandths of it to nodes\n\
         in         {} funded + {} from licences\nout        {} withdrawn + {} claimed + {} never claimed\n\
         held       {} = {} free + {} reserved + {} of rounds and licences, not paid out",
        conditions.currency,
        conditions.budget,
        conditions.node_share,
        t.funded,
        t.revenue,
        t.withdrawn,
        t.claimed.saturating_sub(t.waiting),
        t.escheated,
        t.held(),
        t.free,
        t.reserved,
        t.unclaimed
    );
    if !t.waiting.is_zero() {
        text += &format!("\nwaiting    {} of it, which the currency refused to pay to some accounts", t.waiting);
    }
    text += &match t.held_by_all {
        Some(all) => format!("\ntreasury   {} of the currency; all studies that pay in it hold {all} by their events", t.balance),
        None => format!(
            "\ntreasury   {} of the currency; too many events to add up what all studies hold: claims that an endpoint leaves out \
             would show only in this study's own sums",
            t.balance
        ),
    };
    if !accounts.is_empty() {
        text += &format!("\n{:42} {:>24} {:>24} {:>24}", "account", "paid", "owed", "owed, to be challenged");
    }
    for line in accounts {
        text += &format!("\n{} {:>24} {:>24} {:>24}", line.account, line.paid, line.owed, line.later);
    }
    for (round, why) in left_out {
        text += &format!("\nround {round} is not in it: {why}");
    }
    text
}
