//! Who is owed what, and paying it: for `consilium claim`, `consilium study money` and the demo.

use crate::commands::round::unix_seconds;
use alloy_primitives::{Address, U256};
use consilium_ledger::{Books, Cohorts, Credit};
use consilium_site::Reader;
use serde::Serialize;
use std::collections::BTreeMap;

/// The sets of settled rounds, as far as nodes serve them.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    pub(crate) cohorts: Cohorts,
    /// Rounds whose set no node serves, and why.
    pub(crate) missing: Vec<(u64, String)>,
    /// Rounds for which nothing can be claimed, and why.
    pub(crate) unpaid: Vec<(u64, String)>,
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
        let (cohorts, wrong) = books.creditable(std::mem::take(&mut sets.cohorts));
        sets.cohorts = cohorts;
        let why = "its settled rewards are not those of its set and its voters, so that nobody can claim by them; \
                   `consilium audit` names who signed that";
        for round in wrong {
            tracing::warn!(round, "a round is passed over: {why}");
            sets.unpaid.push((round, why.to_owned()));
        }
        sets
    }

    /// All rounds that are left out, and why.
    pub(crate) fn left_out(&self) -> impl Iterator<Item = &(u64, String)> {
        self.missing.iter().chain(&self.unpaid)
    }
}

/// The time at which a transaction that is sent now is executed, at the earliest.
pub(crate) fn now(books: &Books) -> u64 {
    books.read_at().max(unix_seconds())
}

/// A sum of credits.
pub(crate) fn total(credits: &[Credit]) -> U256 {
    credits.iter().map(Credit::amount).sum()
}

/// An account in a list of payments. Amounts are decimal, in the currency's smallest unit.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Account {
    pub(crate) account: Address,
    pub(crate) amount: String,
    /// The part of it that is licence revenue.
    pub(crate) revenue: String,
    /// The rounds whose leaves were shown for it.
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
        revenue: credits.iter().map(|credit| credit.revenue).sum::<U256>().to_string(),
        rounds: credits.iter().filter_map(|credit| Some(credit.leaf?.round)).collect(),
        node: credits.iter().any(|credit| credit.leaf.is_some_and(|leaf| leaf.as_node)),
    };
    accounts.into_iter().map(account).collect()
}
