//! What the studies of a sponsor may reveal together: accounts of zero-concentrated differential privacy, on which the rounds
//! of studies draw.

use crate::calls::number_in;
use crate::contracts::PrivacyBudget as P;
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed, Unknown};
use crate::event::Event;
use crate::wallet::{Mined, Wallet};
use alloy::rpc::types::Filter;
use alloy::sol_types::SolCall;
use alloy_primitives::{Address, B256, U256};
use std::collections::BTreeMap;

/// An event about a privacy account. Budgets and costs are zCDP's rho in 10^-9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privacy {
    /// An account was opened; neither budget nor delta ever changes.
    AccountOpened {
        /// Its number.
        account: u64,
        /// Whose it is.
        owner: Address,
        /// The owner's name for it.
        name: String,
        /// What all rounds may cost together.
        budget: u64,
        /// The delta at which the owner states epsilon, in 10^-18.
        delta: u64,
    },
    /// Every round of a study draws on an account.
    StudyJoined {
        /// The account.
        account: u64,
        /// The study.
        study: u64,
        /// What each of its rounds costs.
        cost: u64,
    },
    /// A round was opened.
    Charged {
        /// The account.
        account: u64,
        /// The study.
        study: u64,
        /// What all rounds have cost by now.
        spent: u64,
    },
    /// A round was void, and its cost is there again.
    GivenBack {
        /// The account.
        account: u64,
        /// The study.
        study: u64,
        /// What all rounds have cost by now.
        spent: u64,
    },
}

impl Privacy {
    /// The study; none for the opening of an account.
    #[must_use]
    pub fn study(&self) -> Option<u64> {
        match self {
            Self::AccountOpened { .. } => None,
            Self::StudyJoined { study, .. } | Self::Charged { study, .. } | Self::GivenBack { study, .. } => Some(*study),
        }
    }
}

/// A privacy account at one block. Budgets and costs are zCDP's rho in 10^-9.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivacyAccount {
    /// Its number.
    pub account: u64,
    /// Whose it is: the sponsor that opened it.
    pub owner: Address,
    /// The owner's name for it.
    pub name: String,
    /// What all rounds may cost together.
    pub budget: u64,
    /// What they have cost so far.
    pub spent: u64,
    /// The delta at which the owner states epsilon, in 10^-18.
    pub delta: u64,
    /// The studies that draw on it, and what a round of each costs.
    pub studies: BTreeMap<u64, u64>,
}

impl PrivacyAccount {
    /// The account as its events tell it; none if these cannot be all of them.
    fn of_events(events: impl Iterator<Item = Privacy>) -> Option<Self> {
        let mut told: Option<Self> = None;
        for event in events {
            match (event, told.as_mut()) {
                (Privacy::AccountOpened { account, owner, name, budget, delta }, None) => {
                    told = Some(Self { account, owner, name, budget, spent: 0, delta, studies: BTreeMap::new() });
                }
                (event, Some(told)) => told.take_in(&event)?,
                _ => return None,
            }
        }
        told
    }

    fn take_in(&mut self, event: &Privacy) -> Option<()> {
        let (spent, told) = match *event {
            Privacy::AccountOpened { .. } => return None,
            Privacy::StudyJoined { study, cost, .. } => return self.studies.insert(study, cost).is_none().then_some(()),
            Privacy::Charged { study, spent, .. } => (self.spent.checked_add(*self.studies.get(&study)?)?, spent),
            Privacy::GivenBack { study, spent, .. } => (self.spent.checked_sub(*self.studies.get(&study)?)?, spent),
        };
        self.spent = spent;
        (spent == told && spent <= self.budget).then_some(())
    }
}

impl Ledger {
    /// Opens an account of the wallet's own. Budget in 10^-9 of rho, delta in 10^-18. Yields its number.
    ///
    /// # Errors
    /// `InvalidAccount`.
    pub async fn open_privacy_account(&self, wallet: &Wallet, name: &str, budget: u64, delta: u64) -> Result<Mined<u64>, Error> {
        let call = P::openAccountCall { name: name.to_owned(), budget, delta };
        let to = self.addresses().privacy_budget.into();
        let receipt = self.send(wallet, to, U256::ZERO, call.abi_encode().into()).await?;
        number_in(self, receipt, |event| match event {
            Event::Privacy(Privacy::AccountOpened { account, .. }) => Some(*account),
            _ => None,
        })
    }

    /// A privacy account at the newest block, rebuilt from its events and held against what the contract stores.
    ///
    /// # Errors
    /// [`Unknown::PrivacyAccount`]; [`Error::Malformed`] when the events do not add up to what the contract stores, or the
    /// account's name is not text.
    pub async fn privacy_account(&self, account: u64) -> Result<PrivacyAccount, Error> {
        let (contract, head) = (self.addresses().privacy_budget, self.head().await?.number);
        let stored = self.view_of(contract, P::accountOfCall { account }, Some(head)).await?;
        if stored.owner.is_zero() {
            return Err(Unknown::PrivacyAccount(account).into());
        }
        let filter = Filter::new().address(contract).topic1(B256::from(U256::from(account)));
        let batch = self.decode(&self.logs(&filter, self.addresses().deployed_at, head).await?);
        if let Some(defect) = batch.malformed.into_iter().next() {
            return Err(self.malformed(defect.into()));
        }
        let events = batch.events.into_iter().filter_map(|event| match event.event {
            Event::Privacy(privacy) => Some(privacy),
            _ => None,
        });
        let kept = (stored.owner, stored.budget, stored.delta, stored.spent);
        let told = PrivacyAccount::of_events(events).filter(|told| (told.owner, told.budget, told.delta, told.spent) == kept);
        told.ok_or_else(|| self.malformed(Malformed::Account(account)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Address = Address::repeat_byte(7);

    fn opened() -> Privacy {
        Privacy::AccountOpened { account: 3, owner: OWNER, name: "patients".into(), budget: 10, delta: 1 }
    }

    fn joined(study: u64, cost: u64) -> Privacy {
        Privacy::StudyJoined { account: 3, study, cost }
    }

    fn charged(study: u64, spent: u64) -> Privacy {
        Privacy::Charged { account: 3, study, spent }
    }

    fn given_back(study: u64, spent: u64) -> Privacy {
        Privacy::GivenBack { account: 3, study, spent }
    }

    #[test]
    fn an_account_is_what_its_events_add_up_to() {
        let events = [opened(), joined(1, 4), joined(2, 6), charged(1, 4), charged(2, 10), given_back(2, 4)];
        let told = PrivacyAccount::of_events(events.into_iter()).unwrap();
        assert_eq!((told.spent, told.studies), (4, [(1, 4), (2, 6)].into()));
    }

    #[test]
    fn events_that_cannot_be_all_are_no_account() {
        let wrong: [&[Privacy]; 9] = [
            &[],
            &[joined(1, 4)],
            &[opened(), opened()],
            &[opened(), charged(1, 4)],
            &[opened(), joined(1, 4), joined(1, 4)],
            &[opened(), joined(1, 4), charged(1, 8)],
            &[opened(), joined(1, 4), given_back(1, 0)],
            &[opened(), joined(1, 4), charged(1, 4), given_back(1, 4)],
            &[opened(), joined(1, 6), charged(1, 6), charged(1, 12)],
        ];
        for events in wrong {
            assert_eq!(PrivacyAccount::of_events(events.iter().cloned()), None, "{events:?}");
        }
    }
}
