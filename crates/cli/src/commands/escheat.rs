//! `consilium study return-forfeits | announce-escheat | escheat | announce-unpaid-escheat | escheat-unpaid`: what nobody has a
//! right to, and what was forgotten for years.

use super::connection::NodeOptions;
use super::funds::Sending;
use super::governance::About;
use crate::failure::Failure;
use crate::output::print;
use crate::payments::{self, Sets};
use alloy_primitives::U256;
use consilium_ledger::{Books, Event, Ledger, Money, Receipt};
use consilium_site::Reader;
use serde_json::json;
use std::collections::BTreeSet;

/// A transaction about rounds whose sets the nodes tell.
#[derive(Debug, clap::Args)]
pub(super) struct OfRounds {
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    nodes: NodeOptions,
    /// Only these rounds; repeat it.
    #[arg(long, value_name = "ROUND", value_delimiter = ',')]
    rounds: Vec<u64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Taking {
    #[command(flatten)]
    of: OfRounds,
    /// Yes: what sites and nodes have not claimed of these rounds is lost to them.
    #[arg(long, required = true)]
    yes: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct TakingUnpaid {
    #[command(flatten)]
    about: About,
    /// Yes: the account loses what the currency refused to pay it.
    #[arg(long, required = true)]
    yes: bool,
}

/// The books, and the sets of the rounds that matter.
struct Read {
    ledger: Ledger,
    books: Books,
    sets: Sets,
    /// Those of them of which a set is here.
    rounds: BTreeSet<u64>,
    time: u64,
}

impl OfRounds {
    /// `wanted` picks the rounds that matter, at a block time.
    async fn read(&self, wanted: impl Fn(&Books, u64, u64) -> BTreeSet<u64>) -> Result<Read, Failure> {
        let Sending { chain, study, .. } = &self.sending;
        let endpoints = chain.endpoints().await?;
        let ledger = endpoints.primary().clone();
        let reader = Reader::new(endpoints, &self.nodes.urls()).map_err(Failure::usage)?;
        let books = ledger.books(*study).await?;
        let (time, years) = (payments::now(&books), ledger.escheat_time().await?);
        let mut rounds = wanted(&books, time, years);
        rounds.retain(|round| self.rounds.is_empty() || self.rounds.contains(round));
        let sets = Sets::fetch(&reader, &books, |round| rounds.contains(&round)).await;
        rounds.retain(|round| sets.cohorts.contains_key(round));
        Ok(Read { ledger, books, sets, rounds, time })
    }
}

impl Read {
    /// Fails if there are rounds of which no node serves the set, and nothing was done for want of them.
    fn unless_missing(&self, done: bool) -> Result<(), Failure> {
        if done || self.sets.missing.is_empty() {
            return Ok(());
        }
        let rounds: Vec<u64> = self.sets.missing.iter().map(|(round, _)| *round).collect();
        Err(Failure::unreachable(format!("no node serves the sets of rounds {rounds:?}: give more of them with --node")))
    }

    /// Prints what was done, and which rounds are left out.
    fn tell(&self, json: bool, study: u64, receipts: &[Receipt], amount: U256, words: &str) {
        let transactions: Vec<_> = receipts.iter().map(|receipt| receipt.transaction).collect();
        let gas: u64 = receipts.iter().map(|receipt| receipt.gas_used).sum();
        let missing: Vec<u64> = self.sets.missing.iter().map(|(round, _)| *round).collect();
        let value = json!({
            "study": study, "amount": amount.to_string(), "transactions": transactions, "gas": gas,
            "rounds_without_set": missing,
        });
        print(json, &value, |_| {
            let left_out = self.sets.left_out().map(|(round, why)| format!("\nround {round} is left out: {why}"));
            format!("{words} ({gas} gas){}", left_out.collect::<String>())
        });
    }
}

/// The sum over the events that this picks.
fn sum(receipts: &[Receipt], pick: impl Fn(&Money) -> Option<U256>) -> U256 {
    let events = receipts.iter().flat_map(|receipt| &receipt.events);
    events.filter_map(|event| if let Event::Money(money) = &event.event { pick(money) } else { None }).sum()
}

fn escheated(receipts: &[Receipt]) -> U256 {
    sum(receipts, |money| if let Money::Escheated { amount, .. } = money { Some(*amount) } else { None })
}

pub(super) async fn return_forfeits(options: OfRounds, json: bool) -> Result<(), Failure> {
    let Sending { key, study, .. } = &options.sending;
    let wallet = key.wallet()?;
    let read = options.read(|books, _, _| books.struck_rounds()).await?;
    let receipts = match read.books.return_forfeits(&wallet, &read.sets.cohorts, read.time).await {
        Err(error) if error.revert().is_some_and(|revert| revert.is("NothingOwed")) => {
            read.unless_missing(false)?;
            return Err(error.into());
        }
        receipts => receipts?,
    };
    let amount = sum(&receipts, |money| if let Money::Returned { amount, .. } = money { Some(*amount) } else { None });
    read.tell(json, *study, &receipts, amount, &format!("{amount} of study {study} is free money again"));
    Ok(())
}

pub(super) async fn announce_escheat(options: OfRounds, json: bool) -> Result<(), Failure> {
    let Sending { key, study, .. } = &options.sending;
    let wallet = key.wallet()?;
    let read = options.read(Books::announceable).await?;
    let Read { books, sets, rounds, time, .. } = &read;
    let receipts = books.announce_escheat(&wallet, &sets.cohorts, rounds, *time).await?;
    read.unless_missing(!receipts.is_empty())?;
    let told = receipts.iter().flat_map(|receipt| &receipt.events).filter_map(|event| match &event.event {
        Event::Money(Money::EscheatAnnounced { round, from, .. }) => Some((*round, *from)),
        _ => None,
    });
    let told: Vec<(u64, U256)> = told.collect();
    let transactions: Vec<_> = receipts.iter().map(|receipt| receipt.transaction).collect();
    let announced: Vec<_> = told.iter().map(|(round, from)| json!({ "round": round, "from": from.to::<u64>() })).collect();
    let value = json!({ "study": study, "announced": announced, "transactions": transactions });
    let next = next_announcement(&read).await?;
    print(json, &value, |_| {
        let line =
            |(round, from): &(u64, U256)| format!("what is unclaimed of round {round} may go to the sink from second {from} on");
        match told.is_empty() {
            true => format!("no round that owes anything is old enough{next}"),
            false => told.iter().map(line).collect::<Vec<_>>().join("\n"),
        }
    });
    Ok(())
}

/// When the next round can be announced, in words; nothing if there is none.
async fn next_announcement(read: &Read) -> Result<String, Failure> {
    let (years, announced) = (read.ledger.escheat_time().await?, read.books.announced());
    let waiting = read.books.rounds().iter().filter(|round| !announced.contains_key(&round.round));
    let first = waiting.map(|round| round.announceable_from(years)).filter(|from| *from > read.time).min();
    Ok(first.map_or_else(String::new, |from| format!(": the next one is from second {from} on")))
}

pub(super) async fn escheat(options: Taking, json: bool) -> Result<(), Failure> {
    let Sending { key, study, .. } = &options.of.sending;
    let wallet = key.wallet()?;
    let read = options.of.read(|books, time, _| books.forgotten(time)).await?;
    let receipts = read.books.escheat(&wallet, &read.sets.cohorts, &read.rounds, read.time).await?;
    read.unless_missing(!receipts.is_empty())?;
    let amount = escheated(&receipts);
    let words = match receipts.is_empty() {
        true => "nothing goes to the sink: no round was announced a quarter ago and owes anything".to_owned(),
        false => format!("{amount} of study {study} went to the sink"),
    };
    read.tell(json, *study, &receipts, amount, &words);
    Ok(())
}

pub(super) async fn announce_unpaid(options: About, json: bool) -> Result<(), Failure> {
    let Sending { chain, key, study } = &options.sending;
    let account = options.account;
    let receipt = chain.ledger().await?.announce_unpaid_escheat(&key.wallet()?, *study, account).await?;
    let from = receipt.events.iter().find_map(|event| match &event.event {
        Event::Money(Money::UnpaidEscheatAnnounced { from, .. }) => Some(from.to::<u64>()),
        _ => None,
    });
    let value = json!({ "study": study, "account": account, "from": from, "gas": receipt.gas_used });
    print(json, &value, |_| {
        let from = from.map_or_else(|| "later".to_owned(), |from| format!("from second {from} on"));
        format!("what the currency refuses to pay {account} may go to the sink {from} ({} gas)", receipt.gas_used)
    });
    Ok(())
}

pub(super) async fn escheat_unpaid(options: TakingUnpaid, json: bool) -> Result<(), Failure> {
    let About { sending: Sending { chain, key, study }, account } = &options.about;
    let receipt = chain.ledger().await?.escheat_unpaid(&key.wallet()?, *study, *account).await?;
    let (amount, gas) = (escheated(std::slice::from_ref(&receipt)), receipt.gas_used);
    let value = json!({ "study": study, "account": account, "amount": amount.to_string(), "gas": gas });
    print(json, &value, |_| format!("{amount} that the currency refused to pay {account} went to the sink ({gas} gas)"));
    Ok(())
}
