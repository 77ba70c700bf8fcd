//! Sites that have lost their place on a study's list: two signed contributions to one round were proved (`SiteStruck`),
//! and the sponsor has not taken them back (`SiteRestored`).
//!
//! A strike counts only with its proof, the two contributions under the site's own signatures: none can be invented against
//! a site that has signed one contribution a round. An endpoint can still leave a strike out, or what restored a site, and
//! show an earlier place for a strike that is true; [`Endpoints::strike_out`] lets the strikes of all of them count.
//!
//! What counts for a round is what stood on the chain when it was opened, so that everyone decides alike, whenever it
//! looks. As the contract does, strikes are kept by groups of 80 rounds, and a restoration takes back those of its group.

use crate::contracts::Treasury as T;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::event::{BlockRef, ChainEvent, Event, LogPosition};
use crate::finality::Endpoints;
use crate::history::History;
use crate::money::Money;
use crate::round::Round;
use alloy::rpc::types::Filter;
use alloy::sol_types::SolEvent;
use alloy_primitives::{Address, B256, U256};
use consilium_core::eip712::Domain;
use std::collections::BTreeSet;

/// Rounds that share one mark of an account (`Treasury.ROUNDS_A_WORD`).
const GROUP: u64 = 80;

/// A change of a site's standing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Strike {
    at: LogPosition,
    site: Address,
    round: u64,
    struck: bool,
}

impl Ledger {
    /// The changes of the standings of these sites in a study, up to a block. A log that proves nothing changes nothing: an
    /// endpoint that shows one could as well leave a strike out. Anybody can have keys of their own struck, as often as they like:
    /// what is not about these sites is not verified.
    pub(crate) async fn strikes(&self, study: u64, sites: &BTreeSet<Address>, to: u64) -> Result<Vec<Strike>, Error> {
        let filter = Filter::new()
            .address(self.addresses().treasury)
            .event_signature(vec![T::SiteStruck::SIGNATURE_HASH, T::SiteRestored::SIGNATURE_HASH])
            .topic1(B256::from(U256::from(study)));
        let logs = self.logs(&filter, self.addresses().deployed_at, to).await?;
        let domain = self.domain();
        let events = self.decode(&logs).events;
        Ok(events.iter().filter_map(|event| Strike::of(event, study, sites, &domain)).collect())
    }
}

impl Strike {
    fn of(event: &ChainEvent, wanted: u64, sites: &BTreeSet<Address>, domain: &Domain) -> Option<Self> {
        let Event::Money(money) = &event.event else { return None };
        let (site, round, struck) = match money {
            Money::SiteStruck(proof) if sites.contains(&proof.site) && proof.holds(domain) => (proof.site, proof.round, true),
            Money::SiteRestored { site, round, .. } => (*site, *round, false),
            _ => return None,
        };
        (money.study() == wanted).then_some(Self { at: event.at, site, round, struck })
    }
}

/// Who is struck off at a place of the chain.
pub(crate) fn struck_before(strikes: &[Strike], place: &LogPosition) -> BTreeSet<Address> {
    let mut marks: BTreeSet<(Address, u64)> = BTreeSet::new();
    for strike in strikes.iter().filter(|strike| strike.at < *place) {
        let mark = (strike.site, strike.round / GROUP);
        if strike.struck {
            marks.insert(mark)
        } else {
            marks.remove(&mark)
        };
    }
    marks.into_iter().map(|(site, _)| site).collect()
}

impl History {
    /// The sites that were struck off when a block's log at this place was written.
    #[must_use]
    pub fn struck_before(&self, place: &LogPosition) -> BTreeSet<Address> {
        struck_before(&self.strikes, place)
    }

    /// The sites that are struck off at the block at which this was read: a round opened now would be without them.
    #[must_use]
    pub fn struck_now(&self) -> BTreeSet<Address> {
        let block = BlockRef { number: self.head.number.saturating_add(1), hash: B256::ZERO };
        struck_before(&self.strikes, &LogPosition { block, index: 0, transaction: B256::ZERO })
    }
}

impl History {
    /// Whether a site was ever on the study's list, as far as its lists are here.
    #[must_use]
    pub fn was_admitted(&self, site: Address) -> bool {
        let on_chain = |e: &ChainEvent| matches!(&e.event, Event::SitesAdmitted { sites, .. } if sites.contains(&site));
        let mut elsewhere = self.published.values().filter_map(|list| list.as_deref().ok());
        self.events.iter().any(on_chain) || elsewhere.any(|list| list.binary_search(&site).is_ok())
    }

    /// Whether two contributions of a site to a round were ever proved on chain: what the site lost then stays lost.
    #[must_use]
    pub fn was_struck_for(&self, site: Address, round: u64) -> bool {
        self.strikes.iter().any(|strike| strike.struck && (strike.site, strike.round) == (site, round))
    }
}

impl Round {
    /// Takes those of the round's sites out that are struck off. The root that is frozen stays that of the whole list.
    pub(crate) fn strike_out(&mut self, struck: &BTreeSet<Address>) {
        self.struck.extend(self.terms.sites.extract_if(.., |site| struck.contains(site)));
    }
}

impl Endpoints {
    /// The round, as the first endpoint showed it, without the sites that any of the others shows struck off: a strike that
    /// one of them leaves out would set a node apart from the rest.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when one does not answer; other faults of an endpoint.
    pub async fn strike_out(&self, mut round: Round) -> Result<Round, Error> {
        let sites = round.terms.sites.iter().copied().collect();
        for other in &self.all()[1..] {
            let strikes = other.strikes(round.terms.study, &sites, round.opened.block.number).await?;
            round.strike_out(&struck_before(&strikes, &round.opened));
        }
        Ok(round)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strike_counts_from_its_place_until_its_group_of_rounds_is_restored() {
        let place = |number: u64, index: u64| LogPosition {
            block: BlockRef { number, hash: B256::with_last_byte(number as u8) },
            index,
            transaction: B256::ZERO,
        };
        let (one, two) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let strike = |number, index, site, round: u64, struck| Strike { at: place(number, index), site, round, struck };
        let all = [
            strike(5, 1, one, 3, true),
            strike(6, 0, one, 81, true),
            strike(7, 0, two, 3, true),
            strike(8, 0, one, 79, false),
            strike(9, 0, one, 81, false),
        ];
        let struck = |number, index| struck_before(&all, &place(number, index)).into_iter().collect::<Vec<_>>();
        assert!(struck(5, 0).is_empty() && struck(5, 1).is_empty());
        assert_eq!(struck(5, 2), [one]);
        assert_eq!(struck(8, 1), [one, two], "struck for a round of another group as well");
        assert_eq!(struck(10, 0), [two]);
    }
}
