//! A study's money at one block, rebuilt from events and held against what the contracts store (docs/CONTRACTS.md, "Money").

use crate::contracts::{Consilium, IConsilium, Treasury as T};
use crate::decode::money::OF_LICENCES;
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::event::{ChainEvent, Conditions, Event};
use crate::history::{Batch, History};
use crate::money::Money;
use alloy::rpc::types::Filter;
use alloy_primitives::{Address, B256, U256};
use consilium_core::eip712::{Settlement, Vote, nodes_in};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;

/// Questions to an endpoint at the same time.
pub(crate) const QUESTIONS: usize = 16;
const WHOLE: u64 = 10_000;

/// The money of a study at one block.
#[derive(Debug, Clone)]
pub struct Books {
    pub(crate) ledger: Ledger,
    pub(crate) study: u64,
    pub(crate) at: u64,
    pub(crate) time: u64,
    pub(crate) conditions: Conditions,
    /// Of the treasury and the licences.
    pub(crate) events: Vec<ChainEvent>,
    pub(crate) rounds: Vec<PaidRound>,
    pub(crate) archived: usize,
    pub(crate) totals: Totals,
}

/// A settled round, and what it pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidRound {
    /// The round.
    pub round: u64,
    /// Number of its sites.
    pub sites: u32,
    /// The nodes whose votes the chain recorded, in node order.
    pub voters: Vec<Address>,
    /// What was reserved for it.
    pub budget: U256,
    /// What each site gets.
    pub per_site: U256,
    /// What each voter gets.
    pub per_node: U256,
    /// The block time from which it pays, as its challenge window is over then; 0 for a round that is off the record.
    pub pays_from: u64,
    /// The version of the rewards that it froze.
    pub(crate) version: u16,
    pub(crate) on_record: bool,
    pub(crate) settlement: Settlement,
}

/// A study's money, summed up. `funded + revenue = withdrawn + claimed + held`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What the study was given.
    pub funded: U256,
    /// What licences brought.
    pub revenue: U256,
    /// What the sponsor took back.
    pub withdrawn: U256,
    /// What sites and nodes were paid for rounds.
    pub claimed: U256,
    /// What they were paid of licence revenue.
    pub claimed_revenue: U256,
    /// Free for further rounds, or for the sponsor to take back.
    pub free: U256,
    /// Reserved for rounds that are not settled yet.
    pub reserved: U256,
    /// Of settled rounds, not claimed; what rounding leaves is in it.
    pub unclaimed: U256,
    /// Licence revenue that waits for the next period, or was shared out and is not claimed.
    pub unclaimed_revenue: U256,
    /// What the treasury has of the currency, for all studies.
    pub balance: U256,
    /// What all studies that pay in this currency hold together by their events; `None` if there are too many to add up.
    pub held_by_all: Option<U256>,
}

impl PaidRound {
    /// What the voters signed: the set under whose root the sites are.
    #[must_use]
    pub fn vote(&self) -> Vote {
        let Settlement { study, round, setRoot, .. } = self.settlement;
        Vote { study, round, setRoot, size: self.sites }
    }
}

impl Totals {
    /// What the treasury holds for the study.
    #[must_use]
    pub fn held(&self) -> U256 {
        self.free + self.reserved + self.unclaimed + self.unclaimed_revenue
    }
}

/// What the chain stores of a study's money, and of its rounds.
struct Stored {
    purse: crate::contracts::ITreasury::Purse,
    rounds: BTreeMap<u64, IConsilium::Round>,
    balance: U256,
    held_by_all: Option<U256>,
}

impl Ledger {
    /// A study's money at the newest block.
    ///
    /// # Errors
    /// As [`Self::history`]; [`Error::Malformed`] when events do not add up to what the contracts store.
    pub async fn books(&self, study: u64) -> Result<Books, Error> {
        let history = self.history(study).await?;
        let books = self.books_of(&history).await?;
        // The treasury was read after the history: what was read belongs together only if its block still stands.
        let head = history.head();
        match self.block_hash(head.number).await? {
            Some(hash) if hash == head.hash => Ok(books),
            _ => Err(Error::Reorganised { number: head.number }),
        }
    }

    /// The money of a study whose history has been read, at the history's block.
    ///
    /// # Errors
    /// As [`Self::books`].
    pub async fn books_of(&self, history: &History) -> Result<Books, Error> {
        let (study, at) = (history.study, history.head.number);
        let topic = B256::from(U256::from(study));
        let of = |contract| Filter::new().address(contract).topic1(topic);
        let (from, addresses) = (self.addresses().deployed_at, self.addresses());
        let mut logs = self.logs(&of(addresses.treasury), from, at).await?;
        let offers = of(addresses.licences).event_signature(OF_LICENCES.to_vec());
        logs.extend(self.logs(&offers, from, at).await?);
        let Batch { mut events, malformed } = self.decode(&logs);
        if let Some(defect) = malformed.into_iter().next() {
            return Err(self.malformed(defect.into()));
        }
        events.sort_by_key(|event| event.at);
        let conditions = history.conditions()?;
        let stored = self.stored_money(history, conditions.currency).await?;
        let rounds = paid_rounds(history, &stored)?;
        let mut books = Books {
            ledger: self.clone(),
            study,
            at,
            time: history.head.timestamp,
            conditions,
            events,
            rounds,
            archived: history.stored.archived as usize,
            totals: Totals::default(),
        };
        books.totals = books.add_up(history, &stored).ok_or_else(|| books.differ("the money"))?;
        Ok(books)
    }

    async fn stored_money(&self, history: &History, currency: Address) -> Result<Stored, Error> {
        let (study, at) = (history.study, history.head.number);
        let treasury = self.addresses().treasury;
        let purse = self.view_of(treasury, T::purseOfCall { study }, Some(at)).await?;
        let (balance, held_by_all) = match currency.is_zero() {
            true => (U256::ZERO, Some(U256::ZERO)),
            false => (self.coins_at(currency, treasury, Some(at)).await?, self.held_in(currency, at).await?),
        };
        let settled = history.settled_rounds().filter(|&round| history.is_on_record(round));
        let ask = |round| async move {
            let stored = self.view(Consilium::roundOfCall { study, round }, Some(at)).await?;
            Ok::<_, Error>((round, stored))
        };
        let rounds = stream::iter(settled.map(ask)).buffered(QUESTIONS).try_collect().await?;
        Ok(Stored { purse, rounds, balance, held_by_all })
    }
}

/// Every round that is settled and was not proved fraudulent, with its pay by the formula.
fn paid_rounds(history: &History, stored: &Stored) -> Result<Vec<PaidRound>, Error> {
    history.settled_rounds().map(|round| paid_round(history, stored, round)).collect()
}

fn paid_round(history: &History, stored: &Stored, round: u64) -> Result<PaidRound, Error> {
    let missing = |what| history.missing(what, None);
    let (at, frozen) = history.opened(round).ok_or_else(|| missing("RoundOpened"))?;
    let certificate = history.certificate(round).ok_or_else(|| missing("RoundCertified"))?;
    let settled = history.settlement(round).ok_or_else(|| missing("RoundSettled"))?;
    let on_record = stored.rounds.get(&round);
    if let Some(kept) = on_record {
        history.check_round(kept, frozen, Some(&certificate), Some(&settled), history.recorded_state(round))?;
    }
    let (version, budget, node_share) = history.rewards_at(at)?;
    let members = history.members(frozen.epoch).ok_or_else(|| missing("CommitteeFormed"))?;
    let voters: Vec<Address> = nodes_in(certificate.voters).iter().filter_map(|&node| members.get(node - 1).copied()).collect();
    let sites = certificate.vote.size;
    let (per_site, per_node) = pay(budget, node_share, sites, voters.len());
    Ok(PaidRound {
        round,
        sites,
        voters,
        budget,
        per_site,
        per_node,
        pays_from: on_record.map_or(0, |kept| kept.challengeEnds),
        version,
        on_record: on_record.is_some(),
        settlement: settled.settlement,
    })
}

/// The formula: what each site and each voter gets, rounded down.
#[must_use]
pub fn pay(budget: U256, node_share: u16, sites: u32, voters: usize) -> (U256, U256) {
    let for_nodes = budget.saturating_mul(U256::from(node_share)) / U256::from(WHOLE);
    let each = |sum: U256, many: U256| sum.checked_div(many).unwrap_or_default();
    (each(budget.saturating_sub(for_nodes), U256::from(sites)), each(for_nodes, U256::from(voters)))
}

impl Books {
    /// The settled rounds, oldest first.
    #[must_use]
    pub fn rounds(&self) -> &[PaidRound] {
        &self.rounds
    }

    /// A settled round.
    #[must_use]
    pub fn round(&self, round: u64) -> Option<&PaidRound> {
        self.rounds.iter().find(|found| found.round == round)
    }

    /// The sums.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The currency and the formula as they are now; the zero address for a study without money.
    #[must_use]
    pub fn conditions(&self) -> &Conditions {
        &self.conditions
    }

    /// What the treasury and the licences announced about the study, in the order of the chain.
    pub fn events(&self) -> impl Iterator<Item = (&ChainEvent, &Money)> {
        self.events.iter().filter_map(|event| if let Event::Money(money) = &event.event { Some((event, money)) } else { None })
    }

    /// The time of the block at which this was read.
    #[must_use]
    pub fn read_at(&self) -> u64 {
        self.time
    }

    /// The closed periods of licence revenue, oldest first: number, pay of a site, pay of a voter, newest round with a part.
    pub fn periods(&self) -> impl Iterator<Item = (u32, U256, U256, u64)> {
        self.events().filter_map(|(_, money)| match *money {
            Money::PeriodClosed { period, per_site, per_node, through, .. } => Some((period, per_site, per_node, through)),
            _ => None,
        })
    }

    /// What an account was paid so far, for rounds (period 0) or of a period.
    #[must_use]
    pub fn claimed_by(&self, account: Address, period: u32) -> U256 {
        self.sum(|money| match *money {
            Money::Claimed { account: who, period: of, amount, .. } if (who, of) == (account, period) => Some(amount),
            _ => None,
        })
    }

    pub(crate) fn differ(&self, what: &'static str) -> Error {
        self.ledger.malformed(Malformed::Storage { study: self.study, what })
    }

    fn sum(&self, pick: impl Fn(&Money) -> Option<U256>) -> U256 {
        self.events().filter_map(|(_, money)| pick(money)).fold(U256::ZERO, U256::saturating_add)
    }

    /// The totals; none if the events cannot be all, or the chain stores something else.
    fn add_up(&self, history: &History, stored: &Stored) -> Option<Totals> {
        let funded = self.sum(|money| if let Money::Funded { amount, .. } = money { Some(*amount) } else { None });
        let withdrawn = self.sum(|money| if let Money::Withdrawn { amount, .. } = money { Some(*amount) } else { None });
        let revenue = self.sum(|money| if let Money::RevenueReceived { amount, .. } = money { Some(*amount) } else { None });
        let claims = |of_rounds: bool| {
            self.sum(|money| match money {
                Money::Claimed { amount, period, .. } if (*period == 0) == of_rounds => Some(*amount),
                _ => None,
            })
        };
        let (claimed, claimed_revenue) = (claims(true), claims(false));
        let settled = self.rounds.iter().fold(U256::ZERO, |sum, round| sum.saturating_add(round.budget));
        let reserved = history.reserved().ok()?;
        let free = funded.checked_sub(withdrawn)?.checked_sub(settled)?.checked_sub(reserved)?;
        let undistributed = revenue.checked_sub(self.shared_out())?;
        let totals = Totals {
            funded,
            revenue,
            withdrawn,
            claimed,
            claimed_revenue,
            free,
            reserved,
            unclaimed: settled.checked_sub(claimed)?,
            unclaimed_revenue: revenue.checked_sub(claimed_revenue)?,
            balance: stored.balance,
            held_by_all: stored.held_by_all,
        };
        let purse = (stored.purse.currency, U256::from(stored.purse.revenue));
        let agrees = free == U256::from(history.stored.free) && purse == (self.conditions.currency, undistributed);
        let covered = totals.held() <= totals.balance && totals.held_by_all.is_none_or(|all| all <= totals.balance);
        (agrees && covered).then_some(totals)
    }

    /// What all closed periods took out of the revenue.
    fn shared_out(&self) -> U256 {
        self.periods().fold(U256::ZERO, |sum, (_, per_site, per_node, through)| {
            let had_part = self.rounds.iter().filter(|round| round.round <= through);
            let parts = had_part.map(|round| {
                let (sites, voters) = (U256::from(round.sites), U256::from(round.voters.len()));
                per_site.saturating_mul(sites).saturating_add(per_node.saturating_mul(voters))
            });
            parts.fold(sum, U256::saturating_add)
        })
    }
}
