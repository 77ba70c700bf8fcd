//! Licence revenue, as the treasury counts it (docs/CONTRACTS.md, "Money"): a sale belongs to the sites and voters of all
//! rounds that were settled before it, by their weights. What a weight has earned is one number that only grows; a leaf has
//! its part from the revenue period on that followed its round's settlement.

use crate::error::Error;
use crate::event::{ChainEvent, Event, LogPosition};
use crate::history::History;
use crate::money::Money;
use crate::round::LateVotes;
use alloy_primitives::U256;

/// Earnings of a weight have this many bits behind the point (`Treasury.FRACTION`).
pub(crate) const FRACTION: usize = 40;
/// All of a budget, or of a round's part in revenue.
pub(crate) const WHOLE: u64 = 10_000;

/// What a site, and a voter, of a round weigh: together, 10,000 a site but for rounding.
pub(crate) fn weights(node_share: u16, sites: u32, nodes: usize) -> (u64, u64) {
    let of_nodes = u64::from(node_share).saturating_mul(u64::from(sites));
    (WHOLE.saturating_sub(node_share.into()), of_nodes.checked_div(nodes as u64).unwrap_or_default())
}

/// A round that was settled, as far as sales look at it.
#[derive(Debug, Clone, Copy)]
struct Sharer {
    settled: LogPosition,
    /// When it was proved wrong, in time.
    struck_out: Option<LogPosition>,
    weight: U256,
}

/// The sales of a study that its rounds share.
#[derive(Debug, Clone, Default)]
pub(crate) struct Revenue {
    /// What each weight had earned at the end of each period, in 2^-40 of the currency's unit; of period 0, nothing.
    earned: Vec<U256>,
    /// Where each period begins.
    begins: Vec<LogPosition>,
}

impl Revenue {
    /// From the sales among the treasury's events; none if these cannot be all, or are not the contract's.
    pub(crate) fn of(history: &History, events: &[ChainEvent]) -> Result<Option<Self>, Error> {
        let sharers = sharers(history)?;
        let mut revenue = Self { earned: vec![U256::ZERO], begins: Vec::new() };
        for event in events {
            let Event::Money(Money::RevenueReceived { amount, period, .. }) = event.event else { continue };
            let counts = |sharer: &&Sharer| sharer.settled < event.at && sharer.struck_out.is_none_or(|at| at > event.at);
            let weight = sharers.iter().filter(counts).fold(U256::ZERO, |sum, sharer| sum + sharer.weight);
            let is_shared = period != 0;
            if is_shared == weight.is_zero() || is_shared && !revenue.sell(amount, weight, period, event.at) {
                return Ok(None);
            }
        }
        Ok(Some(revenue))
    }

    /// Whether this can be the next sale.
    fn sell(&mut self, amount: U256, weight: U256, period: u16, at: LogPosition) -> bool {
        let gain = (amount << FRACTION).checked_div(weight).unwrap_or_default();
        let total = self.now().saturating_add(gain);
        if usize::from(period) == self.earned.len() {
            self.begins.push(at);
            self.earned.push(total);
            return true;
        }
        let last = self.earned.len().saturating_sub(1);
        let goes_on = usize::from(period) == last;
        if let Some(earned) = self.earned.get_mut(last).filter(|_| goes_on) {
            *earned = total;
        }
        goes_on
    }

    /// How many periods have begun.
    pub(crate) fn periods(&self) -> u16 {
        self.begins.len() as u16
    }

    /// How many periods had begun at a place of the chain.
    pub(crate) fn periods_at(&self, place: &LogPosition) -> u16 {
        self.begins.iter().filter(|begin| *begin < place).count() as u16
    }

    /// What each weight has earned so far, in 2^-40 of the currency's unit.
    pub(crate) fn now(&self) -> U256 {
        self.earned.last().copied().unwrap_or_default()
    }

    /// What each weight had earned by the end of a period.
    pub(crate) fn by(&self, period: u16) -> U256 {
        self.earned.get(usize::from(period)).copied().unwrap_or_default()
    }
}

/// All rounds that were ever settled.
fn sharers(history: &History) -> Result<Vec<Sharer>, Error> {
    let settled = history.events().iter().filter_map(|e| match e.event {
        Event::RoundSettled { round, .. } => Some((round, e.at)),
        _ => None,
    });
    let sharer = |(round, settled)| {
        let (opened, _) = history.opened(round).ok_or_else(|| history.missing("RoundOpened", Some(settled)))?;
        let (_, _, node_share) = history.rewards_at(opened)?;
        let certified = history.certificate(round).ok_or_else(|| history.missing("RoundCertified", Some(settled)))?;
        let nodes = (certified.voters | LateVotes::voters_of(&history.late_votes(round))).count_ones();
        let (per_site, per_node) = weights(node_share, certified.vote.size, nodes);
        let of = |each: u64, many: usize| U256::from(each) * U256::from(many);
        let weight = of(per_site, certified.vote.size as usize) + of(per_node, nodes);
        Ok(Sharer { settled, struck_out: struck_out(history, round), weight })
    };
    settled.map(sharer).collect()
}

fn struck_out(history: &History, wanted: u64) -> Option<LogPosition> {
    let found = history.events().iter().find(|e| matches!(e.event, Event::RoundFraudulent { round, .. } if round == wanted));
    found.map(|e| e.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::BlockRef;

    fn place(number: u64) -> LogPosition {
        LogPosition { block: BlockRef { number, ..BlockRef::default() }, ..LogPosition::default() }
    }

    #[test]
    fn weights_of_a_round_are_its_sites_but_for_rounding() {
        assert_eq!(weights(1_000, 3, 4), (9_000, 750));
        assert_eq!(weights(3_333, 2, 5), (6_667, 1_333));
        assert_eq!(weights(10_000, 2, 5), (0, 4_000));
        assert_eq!(weights(1, 2, 5), (9_999, 0));
    }

    #[test]
    fn periods_follow_each_other_and_earnings_only_grow() {
        let mut revenue = Revenue { earned: vec![U256::ZERO], begins: Vec::new() };
        let (amount, weight) = (U256::from(1_000), U256::from(30_000));
        let gain = (amount << FRACTION) / weight;
        assert!(!revenue.sell(amount, weight, 2, place(1)), "the first is missing");
        assert!(revenue.sell(amount, weight, 1, place(2)) && revenue.sell(amount, weight, 1, place(3)));
        assert!(revenue.sell(amount, weight, 2, place(5)));
        assert_eq!([revenue.by(0), revenue.by(1), revenue.by(2)], [U256::ZERO, gain * U256::from(2), gain * U256::from(3)]);
        assert_eq!([1, 2, 3, 5, 6].map(|number| revenue.periods_at(&place(number))), [0, 0, 1, 1, 2]);
        assert_eq!((revenue.periods(), revenue.now()), (2, revenue.by(2)));
    }
}
