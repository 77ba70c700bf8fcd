//! A study's money at one block, rebuilt from events and held against what the contracts store (docs/CONTRACTS.md, "Money").

use crate::contracts::{Consilium, IRecords, Treasury as T};
use crate::decode::money::OF_LICENCES;
use crate::endpoint::Ledger;
use crate::error::{Error, Malformed};
use crate::event::{ChainEvent, Conditions, Event};
use crate::history::{Batch, History};
use crate::money::Money;
use crate::revenue::{Revenue, WHOLE, weights};
use crate::round::LateVotes;
use alloy::rpc::types::Filter;
use alloy_primitives::aliases::U80;
use alloy_primitives::{Address, B256, U256};
use consilium_core::eip712::{Settlement, Vote, nodes_in};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// Questions to an endpoint at the same time.
pub(crate) const QUESTIONS: usize = 16;

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
    pub(crate) revenue: Revenue,
    pub(crate) totals: Totals,
}

/// A settled round, and what it pays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidRound {
    /// The round.
    pub round: u64,
    /// Number of its sites.
    pub sites: u32,
    /// The nodes whose votes came with the certificate, in node order: those whom the rewards tree lists.
    pub voters: Vec<Address>,
    /// The nodes whose votes came later, before the settlement, by node number, from 1.
    pub late: Vec<(u8, Address)>,
    /// What was reserved for it.
    pub budget: U256,
    /// The nodes' part of it, and of licence revenue, in ten-thousandths.
    pub node_share: u16,
    /// What each site gets.
    pub per_site: U256,
    /// What each voter gets, a late one as well.
    pub per_node: U256,
    /// The block time from which it pays, as its challenge window is over then; 0 for a round that is off the record.
    pub pays_from: u64,
    /// The block time by which it had to be settled: from then on years count, after which what nobody claimed is lost.
    pub settle_by: u64,
    /// How many revenue periods had begun before its settlement.
    pub period: u16,
    /// The version of the rewards that it froze.
    pub(crate) version: u16,
    pub(crate) on_record: bool,
    pub(crate) settlement: Settlement,
}

/// A study's money, summed up. `funded + revenue = withdrawn + claimed - waiting + escheated + held`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// What the study was given.
    pub funded: U256,
    /// What licences brought.
    pub revenue: U256,
    /// What the treasurer took out.
    pub withdrawn: U256,
    /// What sites and nodes have claimed, of rounds and of licence revenue.
    pub claimed: U256,
    /// Of that, what the currency refused to pay and nobody has got since.
    pub waiting: U256,
    /// What nobody claimed in years, and went to the sink.
    pub escheated: U256,
    /// Free for further rounds, or for the treasurer to take out.
    pub free: U256,
    /// Reserved for rounds that are not settled yet.
    pub reserved: U256,
    /// Of settled rounds and of licence revenue, not paid out; what rounding leaves is in it.
    pub unclaimed: U256,
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

    /// All nodes that it pays.
    fn nodes(&self) -> usize {
        self.voters.len() + self.late.len()
    }

    /// What a site, and a voter, weigh when licence revenue is shared.
    pub(crate) fn weights(&self) -> (u64, u64) {
        weights(self.node_share, self.sites, self.nodes())
    }

    /// What all its sites and voters get together.
    fn paid(&self) -> U256 {
        let of = |each: U256, many: usize| each.saturating_mul(U256::from(many));
        of(self.per_site, self.sites as usize).saturating_add(of(self.per_node, self.nodes()))
    }

    /// What the archive keeps of it beside its settlement, as `IRounds.finalPay` has it.
    pub(crate) fn record(&self) -> U80 {
        let late = self.late.len() as u128;
        let bits = u128::from(self.version) | u128::from(self.period) << 16 | late << 32 | u128::from(self.settle_by) << 40;
        U80::from(bits)
    }
}

impl Totals {
    /// What the treasury holds for the study.
    #[must_use]
    pub fn held(&self) -> U256 {
        self.free + self.reserved + self.unclaimed
    }
}

/// What the chain stores of a study's money, and of its rounds.
struct Stored {
    purse: crate::contracts::ITreasury::Purse,
    /// What each weight has earned by the end of the purse's last revenue period.
    earned: U256,
    /// What the currency refused to pay to accounts, and they have not got since.
    waiting: U256,
    rounds: BTreeMap<u64, IRecords::Round>,
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
        let stored = self.stored_money(history, conditions.currency, &events).await?;
        let differ = || self.malformed(Malformed::Storage { study, what: "licence revenue" });
        let revenue = Revenue::of(history, &events)?.ok_or_else(differ)?;
        let rounds = paid_rounds(history, &stored, &revenue)?;
        let mut books = Books {
            ledger: self.clone(),
            study,
            at,
            time: history.head.timestamp,
            conditions,
            events,
            rounds,
            archived: history.stored.archived as usize,
            revenue,
            totals: Totals::default(),
        };
        books.totals = books.add_up(history, &stored).ok_or_else(|| books.differ("the money"))?;
        Ok(books)
    }

    async fn stored_money(&self, history: &History, currency: Address, events: &[ChainEvent]) -> Result<Stored, Error> {
        let (study, at) = (history.study, history.head.number);
        let treasury = self.addresses().treasury;
        let purse = self.view_of(treasury, T::purseOfCall { study }, Some(at)).await?;
        let earned = T::earnedByCall { study, period: purse.periods };
        let earned = self.view_of(treasury, earned, Some(at)).await?;
        let waiting = self.waiting(study, events, at).await?;
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
        Ok(Stored { purse, earned, waiting, rounds, balance, held_by_all })
    }

    /// What waits for accounts whose payments the currency refused.
    async fn waiting(&self, study: u64, events: &[ChainEvent], at: u64) -> Result<U256, Error> {
        let refused = events.iter().filter_map(|e| match e.event {
            Event::Money(Money::PaymentRefused { account, .. }) => Some(account),
            _ => None,
        });
        let mut waiting = U256::ZERO;
        for account in refused.collect::<BTreeSet<Address>>() {
            waiting += self.unpaid_at(study, account, Some(at)).await?.amount;
        }
        Ok(waiting)
    }
}

/// Every round that is settled and was not proved fraudulent, with its pay by the formula.
fn paid_rounds(history: &History, stored: &Stored, revenue: &Revenue) -> Result<Vec<PaidRound>, Error> {
    history.settled_rounds().map(|round| paid_round(history, stored, revenue, round)).collect()
}

fn paid_round(history: &History, stored: &Stored, revenue: &Revenue, round: u64) -> Result<PaidRound, Error> {
    let missing = |what| history.missing(what, None);
    let (at, frozen) = history.opened(round).ok_or_else(|| missing("RoundOpened"))?;
    let certificate = history.certificate(round).ok_or_else(|| missing("RoundCertified"))?;
    let settled = history.settlement(round).ok_or_else(|| missing("RoundSettled"))?;
    let (version, budget, node_share) = history.rewards_at(at)?;
    let period = revenue.periods_at(&settled.at);
    let on_record = stored.rounds.get(&round);
    if let Some(kept) = on_record {
        history.check_round(kept, frozen, Some(&certificate), Some(&settled), history.recorded_state(round))?;
        history.all_agree(&[("a round's policy and revenue period", (kept.policy, kept.period) == (version, period))])?;
    }
    let members = history.members(frozen.epoch).ok_or_else(|| missing("CommitteeFormed"))?;
    let seats = |voters| nodes_in(voters).into_iter().filter_map(|node| Some((node as u8, *members.get(node - 1)?)));
    let voters: Vec<Address> = seats(certificate.voters).map(|(_, node)| node).collect();
    let late: Vec<(u8, Address)> = seats(LateVotes::voters_of(&history.late_votes(round))).collect();
    let sites = certificate.vote.size;
    let (per_site, per_node) = pay(budget, node_share, sites, voters.len() + late.len());
    Ok(PaidRound {
        round,
        sites,
        voters,
        late,
        budget,
        node_share,
        per_site,
        per_node,
        pays_from: on_record.map_or(0, |kept| kept.challengeEnds),
        settle_by: frozen.settle_by,
        period,
        version,
        on_record: on_record.is_some(),
        settlement: settled.settlement,
    })
}

/// The formula: what each site and each voter gets, rounded down. `voters` counts late ones as well.
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

    /// How many revenue periods have begun: a sale begins one if a round was settled since the last sale.
    #[must_use]
    pub fn periods(&self) -> u16 {
        self.revenue.periods()
    }

    /// What an account has claimed so far, of rounds and of licence revenue.
    #[must_use]
    pub fn claimed_by(&self, account: Address) -> U256 {
        self.sum(|money| match *money {
            Money::Claimed { account: who, amount, .. } if who == account => Some(amount),
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
        let flows = self.flows();
        let reserved = history.reserved().ok()?;
        // What rounding leaves of a round is free again once the next one is open, or the study has ended.
        let closed = |round: &PaidRound| round.round < history.stored.rounds || history.ended();
        let cost = |round: &PaidRound| if closed(round) { round.paid() } else { round.budget };
        let settled = self.rounds.iter().fold(U256::ZERO, |sum, round| sum.saturating_add(cost(round)));
        let free = flows.credited().checked_sub(flows.withdrawn)?.checked_sub(settled)?.checked_sub(reserved)?;
        let unclaimed = settled.checked_add(flows.shared)?.checked_sub(flows.returned)?.checked_sub(flows.paid_out()?)?;
        let totals = Totals {
            funded: flows.funded,
            revenue: flows.shared.saturating_add(flows.unshared),
            withdrawn: flows.withdrawn,
            claimed: flows.claimed,
            waiting: stored.waiting,
            escheated: flows.escheated,
            free,
            reserved,
            unclaimed,
            balance: stored.balance,
            held_by_all: stored.held_by_all,
        };
        let purse = (stored.purse.currency, stored.purse.periods, stored.earned);
        let told = (self.conditions.currency, self.revenue.periods(), self.revenue.now());
        let agrees = free == U256::from(history.stored.free) && purse == told;
        let covered = totals.held() <= totals.balance && totals.held_by_all.is_none_or(|all| all <= totals.balance);
        (agrees && covered).then_some(totals)
    }

    fn flows(&self) -> Flows {
        let mut flows = Flows::default();
        for (_, money) in self.events() {
            flows.add(money);
        }
        flows
    }
}

/// The treasury's events of a study, added up.
#[derive(Debug, Clone, Copy, Default)]
struct Flows {
    funded: U256,
    /// Revenue that rounds share, and that of which no round was there to share it.
    shared: U256,
    unshared: U256,
    withdrawn: U256,
    claimed: U256,
    refused: U256,
    sent: U256,
    returned: U256,
    escheated: U256,
}

impl Flows {
    fn add(&mut self, money: &Money) {
        let (sum, amount) = match money {
            Money::Funded { amount, .. } => (&mut self.funded, amount),
            Money::RevenueReceived { amount, period: 0, .. } => (&mut self.unshared, amount),
            Money::RevenueReceived { amount, .. } => (&mut self.shared, amount),
            Money::Withdrawn { amount, .. } => (&mut self.withdrawn, amount),
            Money::Claimed { amount, .. } => (&mut self.claimed, amount),
            Money::PaymentRefused { amount, .. } => (&mut self.refused, amount),
            Money::UnpaidSent { amount, .. } => (&mut self.sent, amount),
            Money::Returned { amount, .. } => (&mut self.returned, amount),
            Money::Escheated { amount, .. } => (&mut self.escheated, amount),
            _ => return,
        };
        *sum = sum.saturating_add(*amount);
    }

    /// What became free money.
    fn credited(&self) -> U256 {
        self.funded.saturating_add(self.unshared).saturating_add(self.returned)
    }

    /// What left the treasury, but for what the treasurer took; none if less was claimed than refused.
    fn paid_out(&self) -> Option<U256> {
        Some(self.claimed.checked_sub(self.refused)?.saturating_add(self.sent).saturating_add(self.escheated))
    }
}
