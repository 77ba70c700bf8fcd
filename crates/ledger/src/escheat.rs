//! What is nobody's: what struck sites lost returns to the sponsor, and what was not claimed in years goes to the sink.

use crate::books::{Books, PaidRound};
use crate::claims::{CLAIMS_AT_ONCE, Cohorts, Credit};
use crate::contracts::ITreasury;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::money::Money;
use crate::paying::MOST_BYTES;
use crate::wallet::{Receipt, Wallet};
use alloy_primitives::U256;
use std::collections::{BTreeMap, BTreeSet};

/// Seconds between an announcement and what it announces, as the treasury has it.
const QUARTER: u64 = 91 * 24 * 3600;

impl PaidRound {
    /// Block time from which it can be announced that what nobody has claimed of the round goes to the sink, where unclaimed
    /// money is kept for so many seconds ([`Ledger::escheat_time`]).
    #[must_use]
    pub fn announceable_from(&self, escheat_time: u64) -> u64 {
        self.settle_by.saturating_add(escheat_time).saturating_sub(QUARTER)
    }
}

impl Books {
    /// The rounds for which a site was struck off: their sets show what it lost.
    #[must_use]
    pub fn struck_rounds(&self) -> BTreeSet<u64> {
        self.struck().into_iter().map(|(_, round)| round).collect()
    }

    /// The rounds of which the sink is announced, and the block time from which it may have what is unclaimed by then.
    #[must_use]
    pub fn announced(&self) -> BTreeMap<u64, U256> {
        let announced = self.events().filter_map(|(_, money)| match money {
            Money::EscheatAnnounced { round, from, .. } => Some((*round, *from)),
            _ => None,
        });
        announced.collect()
    }

    /// The rounds that can be announced at a block time and have not been.
    #[must_use]
    pub fn announceable(&self, time: u64, escheat_time: u64) -> BTreeSet<u64> {
        let announced = self.announced();
        let old = self.rounds().iter().filter(|round| round.pays_from <= time && round.announceable_from(escheat_time) <= time);
        old.map(|round| round.round).filter(|round| !announced.contains_key(round)).collect()
    }

    /// The rounds of which the sink may have what is unclaimed at a block time.
    #[must_use]
    pub fn forgotten(&self, time: u64) -> BTreeSet<u64> {
        self.announced().into_iter().filter(|(_, from)| *from <= U256::from(time)).map(|(round, _)| round).collect()
    }

    /// Gives the sponsor back what sites lost that were struck off, as far as the sets of their rounds are given, and what
    /// nobody had earned.
    ///
    /// # Errors
    /// As [`Ledger::return_forfeits`] and [`Self::claims`]; `NothingOwed` when there is nothing to give back.
    pub async fn return_forfeits(&self, wallet: &Wallet, cohorts: &Cohorts, time: u64) -> Result<Vec<Receipt>, Error> {
        let lost = self.forfeited(cohorts, time)?;
        if lost.is_empty() {
            return Ok(vec![self.ledger.return_forfeits(wallet, self.study, &[]).await?]);
        }
        let send = async |claims: Vec<ITreasury::Claim>| self.ledger.return_forfeits(wallet, self.study, &claims).await;
        self.in_batches(&lost, cohorts, send).await
    }

    /// Announces of each of these rounds that is owed anything that it goes to the sink a quarter later.
    ///
    /// # Errors
    /// As [`Ledger::announce_escheat`], [`Self::owed`] and [`Self::claims`].
    pub async fn announce_escheat(
        &self,
        wallet: &Wallet,
        cohorts: &Cohorts,
        rounds: &BTreeSet<u64>,
        time: u64,
    ) -> Result<Vec<Receipt>, Error> {
        // One leaf shows a round, whoever it belongs to.
        let mut shown = BTreeMap::new();
        for credit in self.owed_by(cohorts, rounds, time).await? {
            if let Some(leaf) = credit.leaf {
                shown.entry(leaf.round).or_insert(credit);
            }
        }
        let shown: Vec<Credit> = shown.into_values().collect();
        self.in_batches(&shown, cohorts, async |claims| self.ledger.announce_escheat(wallet, &claims).await).await
    }

    /// Sends what these rounds still owe to the sink, a quarter after it was announced.
    ///
    /// # Errors
    /// As [`Ledger::escheat`], [`Self::owed`] and [`Self::claims`].
    pub async fn escheat(
        &self,
        wallet: &Wallet,
        cohorts: &Cohorts,
        rounds: &BTreeSet<u64>,
        time: u64,
    ) -> Result<Vec<Receipt>, Error> {
        let owed = self.owed_by(cohorts, rounds, time).await?;
        self.in_batches(&owed, cohorts, async |claims| self.ledger.escheat(wallet, &claims).await).await
    }

    /// What these rounds owe, leaf by leaf. Revenue of leaves that were shown is the account's for good.
    async fn owed_by(&self, cohorts: &Cohorts, rounds: &BTreeSet<u64>, time: u64) -> Result<Vec<Credit>, Error> {
        let mut owed = self.owed(cohorts, time).await?;
        owed.retain(|credit| credit.leaf.is_some_and(|leaf| rounds.contains(&leaf.round)));
        Ok(owed)
    }

    /// Shows these leaves in as few transactions as hold them. A transaction for which nothing is left is passed over, unless
    /// that is all of them.
    async fn in_batches(
        &self,
        credits: &[Credit],
        cohorts: &Cohorts,
        send: impl AsyncFn(Vec<ITreasury::Claim>) -> Result<Receipt, Error>,
    ) -> Result<Vec<Receipt>, Error> {
        let mut parts: Vec<&[Credit]> = credits.chunks(CLAIMS_AT_ONCE).rev().collect();
        let (mut receipts, mut nothing) = (Vec::new(), None);
        while let Some(part) = parts.pop() {
            let claims = self.claims(part, cohorts)?;
            if part.len() > 1 && Ledger::claim_bytes(&claims) > MOST_BYTES {
                let (first, second) = part.split_at(part.len() / 2);
                parts.extend([second, first]);
                continue;
            }
            match send(claims).await {
                Ok(receipt) => receipts.push(receipt),
                Err(Error::Reverted(revert)) if revert.is("NothingOwed") => nothing = Some(revert),
                Err(error) => return Err(error),
            }
        }
        match nothing {
            Some(revert) if receipts.is_empty() => Err(revert.into()),
            _ => Ok(receipts),
        }
    }
}
