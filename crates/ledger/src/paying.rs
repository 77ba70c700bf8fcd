//! Paying what is owed: credits in as few transactions as hold them, whoever else pays at the same time.

use crate::books::{Books, PaidRound};
use crate::claims::{CLAIMS_AT_ONCE, Cohorts, Credit};
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::Event;
use crate::money::Money;
use crate::wallet::{Receipt, Wallet};
use alloy_primitives::U256;

/// Calldata of one transaction, with room below the 128 KiB that pools take.
const MOST_BYTES: usize = 100_000;

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
    /// What the treasury announced that it paid, in the smallest unit of the study's currency.
    #[must_use]
    pub fn total(&self) -> U256 {
        let events = self.receipts.iter().flat_map(|receipt| &receipt.events);
        let amounts = events.filter_map(|event| match event.event {
            Event::Money(Money::Claimed { amount, .. }) => Some(amount),
            _ => None,
        });
        amounts.fold(U256::ZERO, U256::saturating_add)
    }

    /// What somebody else has paid of these credits since they were found owed.
    #[must_use]
    pub fn meanwhile(&self) -> U256 {
        let sum = self.credits.iter().fold(U256::ZERO, |sum, credit| sum.saturating_add(credit.amount));
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

    /// Pays these credits of a period, at a block time. A transaction that is refused is made up anew from what is still
    /// owed, once: mostly somebody else has paid one of the accounts meanwhile.
    ///
    /// # Errors
    /// As [`Ledger::claim`], [`Self::owed`], [`Self::claims`]; what was paid before the error stays paid.
    pub async fn pay(
        &self,
        wallet: &Wallet,
        cohorts: &Cohorts,
        credits: Vec<Credit>,
        period: u32,
        time: u64,
    ) -> Result<Paid, Error> {
        let (mut paid, mut books) = (Paid::default(), self.clone());
        let mut parts: Vec<(Vec<Credit>, bool)> =
            credits.chunks(CLAIMS_AT_ONCE).rev().map(|part| (part.to_vec(), true)).collect();
        while let Some((part, is_first)) = parts.pop() {
            let claims = books.claims(&part, cohorts, period)?;
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
                    let open = books.owed(cohorts, period, time.max(books.read_at())).await?;
                    let left: Vec<Credit> = part.into_iter().filter(|credit| open.contains(credit)).collect();
                    parts.extend((!left.is_empty()).then_some((left, false)));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(paid)
    }
}
