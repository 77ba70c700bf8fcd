//! To what a seat binds a node, as a study's events tell. The ledger has held them against the contract's storage.

use alloy_primitives::{Address, U256};
use consilium_core::program;
use consilium_ledger::{ChainEvent, Event, History, LogPosition, Round};
use std::collections::BTreeMap;

/// A study's terms with one committee.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SeatTerms {
    pub(crate) study: u64,
    /// Of the committee, from 1.
    pub(crate) epoch: u64,
    /// Where that committee was formed. Two endpoints that agree on it speak of one history.
    pub(crate) formed: Option<LogPosition>,
    /// Who owns the study.
    pub(crate) sponsor: Address,
    /// Seconds to prove a settlement wrong.
    pub(crate) window: u32,
    /// Rounds on record at once.
    pub(crate) ring: u16,
    /// Wei.
    pub(crate) bond: U256,
    /// The rule as text: a sponsor can publish one that cannot be read.
    pub(crate) finality: String,
    /// Coordinates of a round; none if this version cannot read the program.
    pub(crate) dimension: Option<usize>,
    /// Node 1 first.
    pub(crate) members: Vec<Address>,
    /// What operators the members name; empty unless the policy asks.
    pub(crate) operators: BTreeMap<Address, String>,
}

impl SeatTerms {
    /// As the study stands at the block at which it was read, with its newest committee.
    pub(crate) fn present(history: &History) -> Self {
        let mut terms = Self { study: history.study_number(), ..Self::default() };
        for event in history.events() {
            terms.take_in(event);
        }
        terms
    }

    /// Those of a round: its committee and what was frozen, under the study's owner at the block at which it was read.
    pub(crate) fn of_round(history: &History, round: &Round) -> Self {
        let committee = &round.terms.committee;
        Self {
            epoch: committee.epoch(),
            formed: None,
            finality: round.terms.policy.finality.to_string(),
            dimension: Some(round.terms.program.dimension()),
            members: committee.members().iter().map(|member| member.address).collect(),
            ..Self::present(history)
        }
    }

    fn take_in(&mut self, event: &ChainEvent) {
        match &event.event {
            Event::StudyCreated { sponsor, terms, .. } => {
                self.sponsor = *sponsor;
                self.finality.clone_from(&terms.finality);
                self.dimension = program::parse(&terms.program, &terms.parameters).ok().map(|program| program.dimension());
            }
            Event::SponsorChanged { sponsor, .. } => self.sponsor = *sponsor,
            Event::ConditionsSet { conditions, .. } => {
                (self.window, self.ring, self.bond) = (conditions.challenge_window, conditions.ring, conditions.bond);
            }
            Event::PolicySet { finality, .. } => self.finality.clone_from(finality),
            Event::CommitteeFormed { epoch, nodes, .. } => {
                (self.epoch, self.formed) = (*epoch, Some(event.at));
                self.members.clone_from(nodes);
            }
            _ => {}
        }
    }

    /// Whether a node has a seat.
    pub(crate) fn seats(&self, node: Address) -> bool {
        self.members.contains(&node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use consilium_core::program::{Program as _, WeightedMean};
    use consilium_ledger::event::StudyTerms;
    use consilium_ledger::{BlockRef, Conditions};

    fn created(program: &str, parameters: Vec<u8>) -> Event {
        let terms = StudyTerms {
            kind: 1,
            program: program.into(),
            parameters: parameters.into(),
            output_length: 301,
            weight_unit: String::new(),
            description: B256::ZERO,
            threshold: 1,
            minimum_cohort: 2,
            finality: "instant".into(),
            sites_root: B256::ZERO,
            sites_uri: String::new(),
        };
        Event::StudyCreated { study: 3, sponsor: Address::repeat_byte(1), terms }
    }

    fn after(events: Vec<Event>) -> SeatTerms {
        let mut terms = SeatTerms::default();
        for (number, event) in (1..).zip(events) {
            let at = LogPosition { block: BlockRef { number, hash: B256::ZERO }, index: 0, transaction: B256::ZERO };
            terms.take_in(&ChainEvent { at, timestamp: None, event });
        }
        terms
    }

    #[test]
    fn the_newest_owner_rule_and_committee_count() {
        let mean = WeightedMean::new(300, 25, 8, 128, 1.0).unwrap();
        let conditions = Conditions { challenge_window: 60, ring: 9, bond: U256::from(5), ..Conditions::default() };
        let formed = |epoch, node| Event::CommitteeFormed {
            study: 3,
            epoch,
            threshold: 1,
            nodes: vec![Address::repeat_byte(node)],
            kem_key_hashes: Vec::new(),
        };
        let first = vec![created(mean.name(), mean.parameters()), Event::ConditionsSet { study: 3, conditions }, formed(1, 11)];
        let terms = after(first.clone());
        assert_eq!((terms.sponsor, terms.finality.as_str(), terms.dimension), (Address::repeat_byte(1), "instant", Some(300)));
        assert_eq!((terms.window, terms.ring, terms.bond), (60, 9, U256::from(5)));
        assert!(terms.seats(Address::repeat_byte(11)) && terms.epoch == 1);

        let sold = Event::SponsorChanged { study: 3, sponsor: Address::repeat_byte(2) };
        let weaker = Event::PolicySet { study: 3, minimum_cohort: 2, finality: "depth:1".into() };
        let terms = after([first, vec![sold, weaker, formed(2, 12)]].concat());
        assert_eq!((terms.sponsor, terms.finality.as_str()), (Address::repeat_byte(2), "depth:1"));
        assert!(terms.seats(Address::repeat_byte(12)) && !terms.seats(Address::repeat_byte(11)));
        assert_eq!((terms.epoch, terms.formed.map(|at| at.block.number)), (2, Some(6)));
        assert_eq!((terms.window, terms.dimension), (60, Some(300)), "what nobody changed stays");
    }

    #[test]
    fn a_program_of_another_version_has_no_dimension() {
        assert_eq!(after(vec![created("of tomorrow", Vec::new())]).dimension, None);
    }
}
