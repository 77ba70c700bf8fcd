//! Who is owed what, and paying it: for `consilium claim`, `consilium study money` and the demo.

use crate::commands::round::unix_seconds;
use crate::failure::Failure;
use alloy_primitives::{Address, U256};
use consilium_ledger::{Books, CLAIMS_AT_ONCE, Cohorts, Credit, Event, Ledger, Money, Receipt, Wallet};
use consilium_site::Reader;
use serde::Serialize;
use std::collections::BTreeMap;

/// Calldata of one transaction, with room below the 128 KiB that pools take.
const MOST_BYTES: usize = 100_000;

/// The sets of settled rounds, as far as nodes serve them.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    pub(crate) cohorts: Cohorts,
    /// Rounds whose set no node serves, and why.
    pub(crate) missing: Vec<(u64, String)>,
}

impl Sets {
    /// Asks for the sets of the wanted rounds that pay anything.
    pub(crate) async fn fetch(reader: &Reader, books: &Books, wanted: impl Fn(u64) -> bool) -> Self {
        let mut sets = Self::default();
        for round in books.rounds().iter().filter(|round| wanted(round.round)) {
            match reader.cohort(&round.vote()).await {
                Ok(cohort) => drop(sets.cohorts.insert(round.round, cohort)),
                Err(error) => sets.missing.push((round.round, error.to_string())),
            }
        }
        sets
    }
}

/// The time at which a transaction that is sent now is executed, at the earliest.
pub(crate) fn now(books: &Books) -> u64 {
    books.read_at().max(unix_seconds())
}

/// What is paid now, and by which transactions.
#[derive(Debug, Default)]
pub(crate) struct Paid {
    /// These, by the transactions below or by somebody who was first.
    pub(crate) credits: Vec<Credit>,
    pub(crate) receipts: Vec<Receipt>,
}

impl Paid {
    /// What the transactions below have paid.
    pub(crate) fn total(&self) -> U256 {
        let told = self.receipts.iter().flat_map(|receipt| &receipt.events).map(|event| match event.event {
            Event::Money(Money::Claimed { amount, .. }) => amount,
            _ => U256::ZERO,
        });
        told.sum()
    }

    /// What somebody else has paid since it was found owed.
    pub(crate) fn meanwhile(&self) -> U256 {
        total(&self.credits).saturating_sub(self.total())
    }

    pub(crate) fn gas(&self) -> u64 {
        self.receipts.iter().map(|receipt| receipt.gas_used).sum()
    }
}

/// Pays these credits, in as few transactions as hold them. What somebody paid meanwhile is passed over.
pub(crate) async fn pay(
    ledger: &Ledger,
    wallet: &Wallet,
    books: &Books,
    sets: &Sets,
    credits: Vec<Credit>,
    period: u32,
) -> Result<Paid, Failure> {
    let mut receipts = Vec::new();
    let mut parts: Vec<&[Credit]> = credits.chunks(CLAIMS_AT_ONCE).rev().collect();
    while let Some(part) = parts.pop() {
        let claims = books.claims(part, &sets.cohorts, period)?;
        if part.len() > 1 && Ledger::claim_bytes(&claims) > MOST_BYTES {
            let (first, second) = part.split_at(part.len() / 2);
            parts.extend([second, first]);
            continue;
        }
        match ledger.claim(wallet, &claims).await {
            Ok(receipt) => receipts.push(receipt),
            Err(error) if error.revert().is_some_and(|revert| revert.is("NothingOwed")) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Paid { credits, receipts })
}

/// A sum of credits.
pub(crate) fn total(credits: &[Credit]) -> U256 {
    credits.iter().map(|credit| credit.amount).sum()
}

/// An account in a list of payments. Amounts are decimal, in the currency's smallest unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    pub(crate) account: Address,
    pub(crate) amount: String,
    pub(crate) rounds: Vec<u64>,
    /// Whether it is paid as a node in any of them.
    pub(crate) node: bool,
}

/// Credits by account.
pub(crate) fn by_account(credits: &[Credit]) -> Vec<Account> {
    let mut accounts = BTreeMap::<Address, Vec<Credit>>::new();
    for credit in credits {
        accounts.entry(credit.account).or_default().push(*credit);
    }
    let account = |(account, credits): (Address, Vec<Credit>)| Account {
        account,
        amount: total(&credits).to_string(),
        rounds: credits.iter().map(|credit| credit.round).collect(),
        node: credits.iter().any(|credit| credit.as_node),
    };
    accounts.into_iter().map(account).collect()
}
