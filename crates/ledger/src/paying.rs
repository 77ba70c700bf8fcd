//! Paying what is owed: credits in as few transactions as hold them, whoever else pays at the same time.

use crate::books::{Books, PaidRound};
use crate::claims::{CLAIMS_AT_ONCE, Cohorts, Credit};
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::Event;
use crate::money::Money;
use crate::wallet::{Receipt, Wallet};
use alloy_primitives::{Address, U256};
use std::collections::BTreeMap;

/// Calldata of one transaction, with room below the 128 KiB that pools take.
pub(crate) const MOST_BYTES: usize = 100_000;

/// What was paid, and by which transactions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paid {
    /// What the transactions claimed. What somebody else had paid by then is in it only if that happened in the last moment:
    /// [`Self::total`] is what the treasury says that it paid.
    pub credits: Vec<Credit>,
    /// The transactions.
    pub receipts: Vec<Receipt>,
}

impl Paid {
    /// What the treasury announced that it paid, in the smallest unit of the study's currency, with what the currency refused.
    #[must_use]
    pub fn total(&self) -> U256 {
        let amounts = self.announced().filter_map(|money| match money {
            Money::Claimed { amount, .. } => Some(*amount),
            _ => None,
        });
        amounts.fold(U256::ZERO, U256::saturating_add)
    }

    /// What the currency refused to pay, by account: it waits for them ([`Ledger::pay_unpaid`]).
    #[must_use]
    pub fn refused(&self) -> BTreeMap<Address, U256> {
        let mut refused = BTreeMap::<Address, U256>::new();
        for money in self.announced() {
            if let Money::PaymentRefused { account, amount, .. } = money {
                *refused.entry(*account).or_default() += *amount;
            }
        }
        refused
    }

    fn announced(&self) -> impl Iterator<Item = &Money> {
        let events = self.receipts.iter().flat_map(|receipt| &receipt.events);
        events.filter_map(|event| if let Event::Money(money) = &event.event { Some(money) } else { None })
    }

    /// What somebody else has paid of these credits since they were found owed.
    #[must_use]
    pub fn meanwhile(&self) -> U256 {
        let sum = self.credits.iter().fold(U256::ZERO, |sum, credit| sum.saturating_add(credit.amount()));
        sum.saturating_sub(self.total())
    }

    /// The gas of all transactions.
    #[must_use]
    pub fn gas(&self) -> u64 {
        self.receipts.iter().map(|receipt| receipt.gas_used).sum()
    }
}

impl Books {
    /// Of the sets of settled rounds, those whose settled rewards are their own, and the rounds of the others: nothing can be
    /// claimed for these, whoever is right, and they are no reason not to pay the rest.
    #[must_use]
    pub fn creditable(&self, sets: Cohorts) -> (Cohorts, Vec<u64>) {
        let of = |round: &u64| self.rounds().iter().find(|paid| paid.round == *round);
        let (good, bad): (Cohorts, Cohorts) =
            sets.into_iter().partition(|(round, set)| of(round).is_some_and(|paid: &PaidRound| paid.credits(set)));
        (good, bad.into_keys().collect())
    }

    /// Pays these credits, at a block time. A transaction that is refused is made up anew from what is still owed, once: mostly
    /// somebody else has paid one of the accounts meanwhile. What the currency refuses to pay to one account keeps nobody else
    /// from theirs ([`Paid::refused`]).
    ///
    /// # Errors
    /// As [`Ledger::claim`], [`Self::owed`], [`Self::claims`]; what was paid before the error stays paid.
    pub async fn pay(&self, wallet: &Wallet, cohorts: &Cohorts, credits: Vec<Credit>, time: u64) -> Result<Paid, Error> {
        let (mut paid, mut books) = (Paid::default(), self.clone());
        let mut parts: Vec<(Vec<Credit>, bool)> =
            credits.chunks(CLAIMS_AT_ONCE).rev().map(|part| (part.to_vec(), true)).collect();
        while let Some((part, is_first)) = parts.pop() {
            let claims = books.claims(&part, cohorts)?;
            if part.len() > 1 && Ledger::claim_bytes(&claims) > MOST_BYTES {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([(second.to_vec(), is_first), (first.to_vec(), is_first)]);
                continue;
            }
            match self.ledger.claim(wallet, &claims).await {
                Ok(receipt) => {
                    paid.receipts.push(receipt);
                    paid.credits.extend(part);
                }
                Err(Error::Reverted(_)) if is_first => {
                    books = self.ledger.books(self.study).await?;
                    let open = books.owed(cohorts, time.max(books.read_at())).await?;
                    let left = |credit: &Credit| part.iter().any(|wanted| wanted.is_same(credit));
                    let left: Vec<Credit> = open.into_iter().filter(left).collect();
                    parts.extend((!left.is_empty()).then_some((left, false)));
                }
                // Fractions of a unit: they are paid with what comes next.
                Err(Error::Reverted(revert)) if revert.is("NothingOwed") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(paid)
    }
}
