//! All studies that pay in one coin: what they hold together by their events, and what the coin itself says was moved.
//!
//! The treasury keeps one purse for all. What an endpoint leaves out of one study's claims shows only when everything that
//! is held in the coin is held against what the treasury has of it.

use crate::contracts::{Consilium as C, Treasury as T, TrialToken as E};
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::event::Event;
use crate::history::Batch;
use crate::money::Money;
use alloy::rpc::types::{Filter, Log};
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, U256};
use std::collections::BTreeSet;

/// Most events that are added up: anyone can make more for gas, and then the sum is not made.
const MOST: usize = 100_000;
/// Most studies that are asked for by number; of more, all are asked for.
const NAMED: usize = 64;

/// What the coin's own events say of an account, up to a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// What came in.
    pub into: U256,
    /// What went out.
    pub out: U256,
}

/// The treasury's events that move coins.
const MOVES: [B256; 7] = [
    T::Funded::SIGNATURE_HASH,
    T::RevenueReceived::SIGNATURE_HASH,
    T::FundsWithdrawn::SIGNATURE_HASH,
    T::Claimed::SIGNATURE_HASH,
    T::PaymentRefused::SIGNATURE_HASH,
    T::UnpaidSent::SIGNATURE_HASH,
    T::Escheated::SIGNATURE_HASH,
];

enum Way {
    In(U256),
    Out(U256),
}

/// Which way an event moves coins. What the currency refused was announced as claimed before, and is here all the same.
fn direction(money: &Money) -> Option<Way> {
    match money {
        Money::Funded { amount, .. } | Money::RevenueReceived { amount, .. } | Money::PaymentRefused { amount, .. } => {
            Some(Way::In(*amount))
        }
        Money::Withdrawn { amount, .. }
        | Money::Claimed { amount, .. }
        | Money::UnpaidSent { amount, .. }
        | Money::Escheated { amount, .. } => Some(Way::Out(*amount)),
        _ => None,
    }
}

impl Ledger {
    /// What all studies that pay in a coin hold together at a block, by what the treasury announced. `None` when there are
    /// more than 100,000 events to add up.
    pub(crate) async fn held_in(&self, currency: Address, at: u64) -> Result<Option<U256>, Error> {
        let conditions = Filter::new().address(self.addresses().consilium).event_signature(C::ConditionsSet::SIGNATURE_HASH);
        let Some(set) = self.some_logs(&conditions, at).await? else { return Ok(None) };
        let paying = set.events.iter().filter_map(|event| match &event.event {
            Event::ConditionsSet { study, conditions } if conditions.currency == currency => Some(*study),
            _ => None,
        });
        let paying: BTreeSet<u64> = paying.collect();
        let mut moved = Filter::new().address(self.addresses().treasury).event_signature(MOVES.to_vec());
        if paying.len() <= NAMED {
            moved = moved.topic1(paying.iter().map(|study| B256::from(U256::from(*study))).collect::<Vec<_>>());
        }
        let Some(moved) = self.some_logs(&moved, at).await? else { return Ok(None) };
        let (mut came, mut went) = (U256::ZERO, U256::ZERO);
        for event in &moved.events {
            let Event::Money(money) = &event.event else { continue };
            match direction(money).filter(|_| paying.contains(&money.study())) {
                Some(Way::In(amount)) => came = came.saturating_add(amount),
                Some(Way::Out(amount)) => went = went.saturating_add(amount),
                None => {}
            }
        }
        let unasked = || self.malformed(Malformed::Unasked("what studies hold: more went out than came in"));
        came.checked_sub(went).map(Some).ok_or_else(unasked)
    }

    /// What a coin's own events say that an account got and gave, up to a block: another contract's word than the
    /// treasury's. `None` when there are more than 100,000 of them.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint; [`Error::Malformed`] for events that are no ERC-20's.
    pub async fn moved(&self, currency: Address, account: Address, at: u64) -> Result<Option<Moved>, Error> {
        let transfers = Filter::new().address(currency).event_signature(E::Transfer::SIGNATURE_HASH);
        let account = account.into_word();
        let Some(into) = self.piecewise(&transfers.clone().topic2(account), at).await? else { return Ok(None) };
        let Some(out) = self.piecewise(&transfers.topic1(account), at).await? else { return Ok(None) };
        Ok(Some(Moved { into: self.sum_of(&into)?, out: self.sum_of(&out)? }))
    }

    fn sum_of(&self, transfers: &[Log]) -> Result<U256, Error> {
        transfers.iter().try_fold(U256::ZERO, |sum, log| {
            let transfer = E::Transfer::decode_log(&log.inner);
            let transfer = transfer.map_err(|_| self.malformed(Malformed::Unasked("a transfer of an ERC-20")))?;
            Ok(sum.saturating_add(transfer.value))
        })
    }

    async fn some_logs(&self, filter: &Filter, to: u64) -> Result<Option<Batch>, Error> {
        let Some(logs) = self.piecewise(filter, to).await? else { return Ok(None) };
        let batch = self.decode(&logs);
        match batch.malformed.into_iter().next() {
            Some(defect) => Err(self.malformed(defect.into())),
            None => Ok(Some(Batch { events: batch.events, malformed: Vec::new() })),
        }
    }

    /// The logs up to a block, unless they are too many.
    async fn piecewise(&self, filter: &Filter, to: u64) -> Result<Option<Vec<Log>>, Error> {
        let (mut found, mut next, span) = (Vec::new(), self.addresses().deployed_at, self.limits().blocks.max(1));
        while next <= to {
            let last = to.min(next.saturating_add(span - 1));
            found.extend(self.logs(filter, next, last).await?);
            if found.len() > MOST {
                return Ok(None);
            }
            next = last + 1;
        }
        Ok(Some(found))
    }
}
