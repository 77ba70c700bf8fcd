//! What a node serves: the operator's own bounds on studies, apart from the consent that binds its stake on the chain.
//!
//! Three questions, each in a module of its own, from the file to the transaction:
//!
//! | question | module |
//! |---|---|
//! | the bounds, and how they are written down | `bounds` |
//! | to what a seat binds this node, as the chain tells | `terms`, `operators` |
//! | which seats there are, and how each stands | `seats` |
//! | leaving one that is beyond the policy | `resign` |
//!
//! This module holds terms against the bounds. A seat is judged twice: before a round is served
//! (`rounds::seat`), and as soon as a committee is formed or its study changes (`resign`).

mod bounds;
mod operators;
pub(crate) mod resign;
mod seats;
mod terms;

pub use bounds::Policy;
pub(crate) use bounds::Section;
pub(crate) use operators::Operators;
pub(crate) use seats::Seats;
pub(crate) use terms::SeatTerms;

use alloy_primitives::{Address, U256};
use consilium_core::params::Finality;
use std::collections::{BTreeMap, BTreeSet};
use thiserror::Error;

/// Why a seat is beyond the policy. Each names the key that says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum Breach {
    /// Of another sponsor.
    #[error("sponsor {0} is not among `policy.sponsors`")]
    Sponsor(Address),
    /// Another study.
    #[error("study {0} is not among `policy.studies`")]
    Study(u64),
    /// Too little time to prove a settlement wrong.
    #[error("its challenge window has {found} seconds, `policy.minimum_window` asks for {least}")]
    Window {
        /// The study's.
        found: u32,
        /// The policy's.
        least: u32,
    },
    /// Rounds leave the record too soon.
    #[error("{found} of its rounds are on record at once, `policy.minimum_ring` asks for {least}")]
    SmallRing {
        /// The study's.
        found: u16,
        /// The policy's.
        least: u16,
    },
    /// The bond answers for too many rounds.
    #[error("{found} of its rounds are on record at once, `policy.maximum_ring` admits {most}")]
    LargeRing {
        /// The study's.
        found: u16,
        /// The policy's.
        most: u16,
    },
    /// A rule that the operator does not trust.
    #[error("finality rule {0:?} is not among `policy.finality`")]
    Finality(String),
    /// A stranger in the committee.
    #[error("node {0} of the committee is not among `policy.fellow_nodes`")]
    FellowNode(Address),
    /// Too much of the committee in one hand.
    #[error(
        "{seats} nodes of the committee name {operator:?} as their operator, `policy.maximum_seats_per_operator` admits {most}"
    )]
    Operator {
        /// The name, as it is compared.
        operator: String,
        /// Its nodes.
        seats: usize,
        /// The policy's.
        most: usize,
    },
    /// Too much at stake.
    #[error("its bond is {found} wei, `policy.maximum_bond` admits {most}")]
    Bond {
        /// The study's.
        found: U256,
        /// The policy's.
        most: U256,
    },
    /// More than this node can hold.
    #[error("its rounds have {found} coordinates, `policy.maximum_dimension` admits {most}")]
    Dimension {
        /// The study's.
        found: usize,
        /// The policy's.
        most: usize,
    },
}

impl Breach {
    /// All of them in one line.
    pub(crate) fn list(breaches: &[Self]) -> String {
        breaches.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl Policy {
    /// What of a seat of the node `me` is beyond this policy; nothing for a seat that may be served.
    pub(crate) fn breaches(&self, me: Address, terms: &SeatTerms) -> Vec<Breach> {
        let strangers = terms.members.iter().filter(|member| **member != me);
        let stranger = self.fellow_nodes.as_ref().and_then(|allowed| strangers.into_iter().find(|node| !allowed.contains(*node)));
        let found = [
            excluded(self.sponsors.as_ref(), terms.sponsor).map(Breach::Sponsor),
            excluded(self.studies.as_ref(), terms.study).map(Breach::Study),
            below(terms.window, self.minimum_window).map(|(found, least)| Breach::Window { found, least }),
            below(terms.ring, self.minimum_ring).map(|(found, least)| Breach::SmallRing { found, least }),
            above(terms.ring, self.maximum_ring).map(|(found, most)| Breach::LargeRing { found, most }),
            self.finality.as_ref().and_then(|rules| untrusted(rules, &terms.finality)),
            stranger.copied().map(Breach::FellowNode),
            self.maximum_seats_per_operator.and_then(|most| concentrated(terms, most)),
            above(terms.bond, self.maximum_bond).map(|(found, most)| Breach::Bond { found, most }),
            self.too_wide(terms),
        ];
        found.into_iter().flatten().collect()
    }

    /// What this node cannot hold, whatever it has begun.
    pub(crate) fn too_wide(&self, terms: &SeatTerms) -> Option<Breach> {
        let found = terms.dimension?;
        above(found, Some(self.maximum_dimension)).map(|(found, most)| Breach::Dimension { found, most })
    }
}

fn excluded<T: Ord>(allowed: Option<&BTreeSet<T>>, found: T) -> Option<T> {
    allowed.is_some_and(|allowed| !allowed.contains(&found)).then_some(found)
}

fn below<T: Ord>(found: T, least: Option<T>) -> Option<(T, T)> {
    least.filter(|least| found < *least).map(|least| (found, least))
}

fn above<T: Ord>(found: T, most: Option<T>) -> Option<(T, T)> {
    most.filter(|most| found > *most).map(|most| (found, most))
}

/// A rule that cannot be read is not among any.
fn untrusted(allowed: &[Finality], found: &str) -> Option<Breach> {
    let trusted = found.parse().is_ok_and(|rule| allowed.iter().any(|allowed| covers(*allowed, rule)));
    (!trusted).then(|| Breach::Finality(found.to_owned()))
}

fn covers(allowed: Finality, rule: Finality) -> bool {
    match (allowed, rule) {
        (Finality::Depth(least), Finality::Depth(depth)) => depth >= least,
        _ => allowed == rule,
    }
}

/// The operator with the most seats, if they are too many. Nodes that name none count together.
fn concentrated(terms: &SeatTerms, most: usize) -> Option<Breach> {
    let mut seats = BTreeMap::<&str, usize>::new();
    for member in &terms.members {
        *seats.entry(terms.operators.get(member).map_or("", String::as_str)).or_default() += 1;
    }
    let (operator, seats) = seats.into_iter().max_by_key(|(_, seats)| *seats)?;
    above(seats, Some(most)).map(|(seats, most)| Breach::Operator { operator: operator.to_owned(), seats, most })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Address = Address::repeat_byte(1);

    fn terms() -> SeatTerms {
        let members: Vec<Address> = [1, 2, 3, 4].map(Address::repeat_byte).to_vec();
        let names = ["a", "b", "b", "c"].map(str::to_owned);
        SeatTerms {
            study: 3,
            epoch: 1,
            formed: None,
            sponsor: Address::repeat_byte(7),
            window: 600,
            ring: 64,
            bond: U256::from(50),
            finality: "depth:12".into(),
            dimension: Some(300),
            operators: members.iter().copied().zip(names).collect(),
            members,
        }
    }

    #[test]
    fn every_bound_is_kept_at_its_edge_and_named_beyond_it() {
        let set = |bytes: &[u8]| Some(bytes.iter().copied().map(Address::repeat_byte).collect::<BTreeSet<_>>());
        let usual = Policy::default;
        let table = [
            ("sponsors", Policy { sponsors: set(&[6, 7]), ..usual() }, Policy { sponsors: set(&[6]), ..usual() }),
            ("studies", Policy { studies: Some([3].into()), ..usual() }, Policy { studies: Some([2, 4].into()), ..usual() }),
            ("minimum_window", Policy { minimum_window: Some(600), ..usual() }, Policy { minimum_window: Some(601), ..usual() }),
            ("minimum_ring", Policy { minimum_ring: Some(64), ..usual() }, Policy { minimum_ring: Some(65), ..usual() }),
            ("maximum_ring", Policy { maximum_ring: Some(64), ..usual() }, Policy { maximum_ring: Some(63), ..usual() }),
            (
                "finality",
                Policy { finality: Some(vec![Finality::Safe, Finality::Depth(12)]), ..usual() },
                Policy { finality: Some(vec![Finality::Safe, Finality::Depth(13)]), ..usual() },
            ),
            (
                "fellow_nodes",
                Policy { fellow_nodes: set(&[2, 3, 4]), ..usual() },
                Policy { fellow_nodes: set(&[1, 2, 4, 5]), ..usual() },
            ),
            (
                "maximum_seats_per_operator",
                Policy { maximum_seats_per_operator: Some(2), ..usual() },
                Policy { maximum_seats_per_operator: Some(1), ..usual() },
            ),
            (
                "maximum_bond",
                Policy { maximum_bond: Some(U256::from(50)), ..usual() },
                Policy { maximum_bond: Some(U256::from(49)), ..usual() },
            ),
            ("maximum_dimension", Policy { maximum_dimension: 300, ..usual() }, Policy { maximum_dimension: 299, ..usual() }),
        ];
        assert!(usual().breaches(ME, &terms()).is_empty(), "without bounds every seat may be served");
        for (key, within, beyond) in table {
            assert!(within.breaches(ME, &terms()).is_empty(), "{key} at its edge");
            let breaches = beyond.breaches(ME, &terms());
            assert!(breaches.len() == 1 && breaches[0].to_string().contains(&format!("`policy.{key}`")), "{key}: {breaches:?}");
        }
    }

    #[test]
    fn a_depth_admits_greater_depths_and_no_other_rule_stands_for_it() {
        let admitted = |allowed: &[Finality], rule: &str| untrusted(allowed, rule).is_none();
        let depth = [Finality::Depth(12)];
        for (rule, is_admitted) in [
            ("depth:12", true),
            ("depth:4000", true),
            ("depth:11", false),
            ("instant", false),
            ("finalized", false),
            ("safe", false),
        ] {
            assert_eq!(admitted(&depth, rule), is_admitted, "{rule}");
        }
        assert!(admitted(&[Finality::Safe, Finality::Finalized], "finalized") && !admitted(&[Finality::Finalized], "safe"));
        for unreadable in ["", "depth:012", "Depth:12", "soon"] {
            assert!(!admitted(&[Finality::Depth(0), Finality::Instant], unreadable), "{unreadable:?}");
        }
    }

    #[test]
    fn all_reasons_are_told_at_once() {
        let policy = Policy { studies: Some([4].into()), minimum_ring: Some(65), ..Policy::default() };
        let told = Breach::list(&policy.breaches(ME, &terms()));
        assert!(told.contains("`policy.studies`; ") && told.contains("`policy.minimum_ring` asks for 65"), "{told}");
    }

    #[test]
    fn nodes_without_a_known_operator_count_together_and_this_node_counts_with_its_own() {
        let policy = Policy { maximum_seats_per_operator: Some(2), ..Policy::default() };
        let mut unknown = terms();
        unknown.operators.clear();
        assert!(matches!(policy.breaches(ME, &unknown)[..], [Breach::Operator { seats: 4, most: 2, .. }]));
        let mut own = terms();
        own.operators.insert(ME, "b".into());
        assert!(matches!(&policy.breaches(ME, &own)[..], [Breach::Operator { seats: 3, operator, .. }] if operator == "b"));
    }

    #[test]
    fn a_program_that_cannot_be_read_is_not_too_wide() {
        let unread = SeatTerms { dimension: None, ..terms() };
        assert!(Policy { maximum_dimension: 1, ..Policy::default() }.breaches(ME, &unread).is_empty());
    }
}
