//! Which studies may be about the same subjects.
//!
//! A site contributes to a subject in one study with one committee. Two sums over one subject, over different sets of
//! sites, differ by the updates of the sites that are in one of the sets only; if that is one site, the difference is its
//! update. Within a study and a committee, the nodes' Finals allow one sum for a subject. Between studies, contracts,
//! chains and committees nothing does but the sites' own journals, so a hospital that wants a second one names it.

use crate::error::SharingError;
use crate::journal::Slot;
use alloy_primitives::{Address, B256};
use consilium_core::eip712::Domain;
use std::collections::BTreeSet;

/// A study with one of its committees: the nodes that allow one sum for a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StudyCommittee {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The Consilium contract.
    pub contract: Address,
    /// Study number.
    pub study: u64,
    /// The committee's fingerprint: [`consilium_core::params::CommitteeMembers::hash`].
    pub committee: B256,
}

impl StudyCommittee {
    /// A study in a signing domain, with a committee.
    #[must_use]
    pub fn new(domain: Domain, study: u64, committee: B256) -> Self {
        Self { chain_id: domain.chain_id, contract: domain.contract, study, committee }
    }

    /// Whether a round belongs to the study, whatever its committee.
    #[must_use]
    pub fn has_study_of(&self, slot: &Slot) -> bool {
        (self.chain_id, self.contract, self.study) == (slot.chain_id, slot.contract, slot.study)
    }
}

/// In the form of an entry of the configuration.
impl core::fmt::Display for StudyCommittee {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { chain_id, contract, study, committee } = self;
        write!(f, "{{ chain_id = {chain_id}, contract = \"{contract}\", study = {study}, committee = \"{committee}\" }}")
    }
}

/// Groups of studies that a hospital allows to be about the same subjects. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedSubjects {
    groups: Vec<BTreeSet<StudyCommittee>>,
}

impl SharedSubjects {
    /// Groups of at least two studies with their committees.
    ///
    /// # Errors
    /// [`SharingError`] for a group that names fewer than two, or one twice.
    pub fn new(groups: Vec<Vec<StudyCommittee>>) -> Result<Self, SharingError> {
        let mut read = Vec::with_capacity(groups.len());
        for (number, named) in (1..).zip(groups) {
            let mut group = BTreeSet::new();
            if let Some(twice) = named.into_iter().find(|named| !group.insert(*named)) {
                return Err(SharingError::Twice { group: number, twice });
            }
            if group.len() < 2 {
                return Err(SharingError::Alone { group: number });
            }
            read.push(group);
        }
        Ok(Self { groups: read })
    }

    /// Whether one group names both. Groups are not chained.
    #[must_use]
    pub fn allow(&self, one: &StudyCommittee, other: &StudyCommittee) -> bool {
        self.groups.iter().any(|group| group.contains(one) && group.contains(other))
    }

    /// Whether a group names `one` and, with any committee, the study of a round.
    #[must_use]
    pub fn allow_study(&self, one: &StudyCommittee, slot: &Slot) -> bool {
        let has_study = |group: &BTreeSet<StudyCommittee>| group.iter().any(|named| named.has_study_of(slot));
        self.groups.iter().any(|group| group.contains(one) && has_study(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(study: u64, committee: u8) -> StudyCommittee {
        let domain = Domain { chain_id: 1, contract: Address::repeat_byte(1) };
        StudyCommittee::new(domain, study, B256::repeat_byte(committee))
    }

    #[test]
    fn groups_are_not_chained_and_a_committee_is_part_of_the_name() {
        let shared = SharedSubjects::new(vec![vec![named(1, 1), named(2, 1)], vec![named(2, 1), named(3, 1)]]).unwrap();
        assert!(shared.allow(&named(1, 1), &named(2, 1)) && shared.allow(&named(3, 1), &named(2, 1)));
        assert!(!shared.allow(&named(1, 1), &named(3, 1)));
        assert!(!shared.allow(&named(1, 2), &named(2, 1)) && !shared.allow(&named(1, 1), &named(2, 2)));
        let round = |study| Slot::new(Domain { chain_id: 1, contract: Address::repeat_byte(1) }, study, 7);
        assert!(shared.allow_study(&named(1, 1), &round(2)) && !shared.allow_study(&named(1, 1), &round(3)));
        assert!(!shared.allow_study(&named(1, 1), &Slot { chain_id: 2, ..round(2) }));
        assert!(!SharedSubjects::default().allow(&named(1, 1), &named(1, 1)));
    }
}
