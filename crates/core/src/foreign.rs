//! Section 6.12 (v): a certified set with a site that was not on the list when the round opened.
//!
//! The proof is the site's leaf of the set beside its absence from the sorted list: the two sites between which it would
//! stand, or the first one or the last. Anyone can build it from two public things: the list that the sponsor published
//! for the round, with the sites on it that were struck off since, and the members of the set. The list is on the chain.
//! The members are not: the voters show them, and a committee of liars may show them to nobody. Then the offence cannot be
//! proved.
//!
//! No proof exists for a site that stands on the list although it was struck off, for a leaf behind the sites of the set
//! (members of the committee contribute there), and for a list without sites, which has no neighbour to show.

use crate::certify::{CertifiedSet, SetLeaf, SetLeaves};
use crate::error::Malformed;
use crate::merkle::{self, TreeKind};
use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

/// A site of a certified set, and that it was not admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignSite {
    /// Its leaf of the set.
    pub leaf: SetLeaf,
    /// Where the list would have it.
    pub absence: Absence,
}

/// That a site is not on a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Absence {
    /// Whether the list has powers.
    pub powers: bool,
    /// Sites on the list.
    pub length: u64,
    /// The two between which it would stand, the lower one first; or the first of the list, or the last.
    pub neighbours: Vec<Neighbour>,
}

/// A leaf of a list of admitted sites.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Its place.
    pub index: u64,
    /// An address; behind it, where the list has powers, its power as u64, big-endian.
    pub content: Bytes,
    /// Siblings up to the root.
    pub path: Vec<B256>,
}

/// A published list of admitted sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SiteList {
    sites: Vec<Address>,
    powers: Option<Vec<u64>>,
}

impl SiteList {
    /// A list whose sites are all alike.
    ///
    /// # Errors
    /// [`Malformed::Order`] when a site comes twice or the list is not sorted.
    pub fn new(sites: Vec<Address>) -> Result<Self, Malformed> {
        if sites.is_sorted_by(|a, b| a < b) {
            Ok(Self { sites, powers: None })
        } else {
            Err(Malformed::Order("the list of admitted sites"))
        }
    }

    /// A list of sites with their powers.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_powers(entries: &[(Address, u64)]) -> Result<Self, Malformed> {
        let (sites, powers) = entries.iter().copied().unzip();
        Ok(Self { powers: Some(powers), ..Self::new(sites)? })
    }

    /// The root that rounds freeze.
    #[must_use]
    pub fn root(&self) -> B256 {
        merkle::root(self.kind(), self.sites.len() as u64, self.leaves())
    }

    /// That a site is not on the list; none when it is, or when the list has no site to show.
    #[must_use]
    pub fn absence(&self, site: &Address) -> Option<Absence> {
        let place = self.sites.binary_search(site).err()?;
        let around = [place.checked_sub(1), Some(place).filter(|place| *place < self.sites.len())];
        let leaves = self.leaves();
        let neighbour = |index: usize| {
            Some(Neighbour { index: index as u64, content: self.content(index)?.into(), path: merkle::open(&leaves, index) })
        };
        let neighbours: Vec<Neighbour> = around.into_iter().flatten().filter_map(neighbour).collect();
        let absence = Absence { powers: self.powers.is_some(), length: self.sites.len() as u64, neighbours };
        (!absence.neighbours.is_empty()).then_some(absence)
    }

    fn kind(&self) -> TreeKind {
        kind(self.powers.is_some())
    }

    fn leaves(&self) -> Vec<B256> {
        (0..self.sites.len()).filter_map(|index| self.content(index)).map(|content| merkle::leaf(&content)).collect()
    }

    fn content(&self, index: usize) -> Option<Vec<u8>> {
        let mut content = self.sites.get(index)?.to_vec();
        if let Some(powers) = &self.powers {
            content.extend_from_slice(&powers.get(index)?.to_be_bytes());
        }
        Some(content)
    }
}

fn kind(powers: bool) -> TreeKind {
    if powers { TreeKind::Powers } else { TreeKind::Sites }
}

impl Absence {
    /// Whether this shows that the site is not on the list with this root, by the rules of the contract.
    #[must_use]
    pub fn holds(&self, site: &Address, list: &B256) -> bool {
        let Some(listed) = self.neighbours.iter().map(|one| self.listed(one, list)).collect::<Option<Vec<_>>>() else {
            return false;
        };
        match (&listed[..], &self.neighbours[..]) {
            ([lower, upper], [first, last]) => Some(last.index) == first.index.checked_add(1) && lower < site && site < upper,
            ([one], [end]) => (end.index == 0 && site < one) || (end.index.checked_add(1) == Some(self.length) && one < site),
            _ => false,
        }
    }

    /// The address of a leaf that is on the list.
    fn listed(&self, one: &Neighbour, list: &B256) -> Option<Address> {
        let size = if self.powers { 28 } else { 20 };
        let address = one.content.get(..20).filter(|_| one.content.len() == size)?;
        let (leaves, index) = (usize::try_from(self.length).ok()?, usize::try_from(one.index).ok()?);
        let hash = merkle::leaf(&one.content);
        let leads = merkle::check_path(kind(self.powers), self.length, leaves, index, hash, &one.path, list);
        leads.then(|| Address::from_slice(address))
    }
}

impl ForeignSite {
    /// The first site of a certified set that is not on the list, if there is one, with the proof.
    #[must_use]
    pub fn find(set: &CertifiedSet, leaves: &SetLeaves, list: &SiteList) -> Option<Self> {
        let mut sites = leaves.members().iter().take(set.size as usize).enumerate();
        let (index, absence) = sites.find_map(|(index, member)| Some((index, list.absence(&member.site)?)))?;
        Some(Self { leaf: leaves.open(index)?, absence })
    }

    /// Whether this proves the offence of the set's voters, by the rules of the contract. `list` is the root of the sites
    /// that were admitted when the round opened.
    #[must_use]
    pub fn holds(&self, set: &CertifiedSet, list: &B256) -> bool {
        self.leaf.index < set.size && self.leaf.leads_to(&set.root) && self.absence.holds(&self.leaf.member.site, list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::{Cohort, SetMember, sites_root};
    use alloy_primitives::U256;

    fn site(place: u8) -> Address {
        Address::repeat_byte(16 * place)
    }

    fn list(count: u8, powers: bool) -> SiteList {
        let sites = (1..=count).map(site);
        if powers {
            SiteList::with_powers(&sites.map(|site| (site, 3)).collect::<Vec<_>>()).unwrap()
        } else {
            SiteList::new(sites.collect()).unwrap()
        }
    }

    fn certified(sites: &[Address], size: u32) -> (CertifiedSet, SetLeaves) {
        let members = sites.iter().map(|&site| SetMember { site, digest: B256::repeat_byte(9) }).collect();
        let leaves = SetLeaves::from(&Cohort::new(members).unwrap());
        let root = Cohort::new(leaves.members().to_vec()).unwrap().root();
        (CertifiedSet { root, size, voters: U256::from(15) }, leaves)
    }

    #[test]
    fn a_list_without_powers_has_the_root_that_policies_freeze() {
        assert_eq!(list(5, false).root(), sites_root(&(1..=5).map(site).collect::<Vec<_>>()).unwrap());
        assert_ne!(list(5, false).root(), list(5, true).root());
        assert!(SiteList::new(vec![site(2), site(1)]).is_err() && SiteList::with_powers(&[(site(1), 1), (site(1), 1)]).is_err());
    }

    #[test]
    fn a_foreign_site_is_found_and_proved_wherever_it_would_stand() {
        for (count, powers) in (1..=9).flat_map(|count| [(count, false), (count, true)]) {
            let list = list(count, powers);
            let admitted: Vec<Address> = (1..=count).map(site).collect();
            for gap in 0..=count {
                let foreign = Address::repeat_byte(16 * gap + 7);
                let mut sites = admitted.clone();
                sites.insert(gap as usize, foreign);
                let (set, leaves) = certified(&sites, u32::from(count) + 1);
                let proof = ForeignSite::find(&set, &leaves, &list).unwrap();
                assert_eq!(proof.leaf.member.site, foreign);
                assert!(proof.holds(&set, &list.root()), "{count} {gap} {powers}");
                assert!(!proof.holds(&set, &super::tests::list(count + 1, powers).root()), "of another list");
                assert!(!proof.holds(&CertifiedSet { size: u32::from(gap), ..set }, &list.root()), "behind the sites");
            }
            let (set, leaves) = certified(&admitted, u32::from(count));
            assert_eq!(ForeignSite::find(&set, &leaves, &list), None);
        }
    }

    #[test]
    fn members_behind_the_sites_of_a_set_are_no_foreign_sites() {
        let (set, leaves) = certified(&[site(1), site(2), Address::repeat_byte(0xee)], 2);
        assert_eq!(ForeignSite::find(&set, &leaves, &list(2, false)), None);
    }

    #[test]
    fn an_admitted_site_is_never_missing_whichever_neighbours_are_shown() {
        let list = list(4, false);
        let neighbour = |index: usize| list.absence(&Address::repeat_byte(16 * index as u8 + 17)).unwrap().neighbours[0].clone();
        let shown: Vec<Neighbour> = (0..4).map(neighbour).collect();
        assert!(shown.iter().enumerate().all(|(place, one)| one.index == place as u64));
        for sought in (1..=4).map(site) {
            for one in &shown {
                let alone = Absence { powers: false, length: 4, neighbours: vec![one.clone()] };
                assert!(!alone.holds(&sought, &list.root()));
                for other in &shown {
                    let both = Absence { neighbours: vec![one.clone(), other.clone()], ..alone.clone() };
                    assert!(!both.holds(&sought, &list.root()));
                }
            }
        }
    }

    #[test]
    fn neighbours_must_stand_side_by_side_on_the_list() {
        let list = list(4, false);
        let foreign = Address::repeat_byte(0x27);
        let absence = list.absence(&foreign).unwrap();
        assert!(absence.holds(&foreign, &list.root()) && absence.neighbours.len() == 2);
        let with = |change: fn(&mut Absence)| {
            let mut changed = absence.clone();
            change(&mut changed);
            changed.holds(&foreign, &list.root())
        };
        assert!(!with(|a| a.neighbours.swap(0, 1)));
        assert!(!with(|a| drop(a.neighbours.pop())), "one in the middle");
        assert!(!with(|a| a.neighbours.clear()));
        assert!(!with(|a| a.neighbours.push(a.neighbours[1].clone())), "three");
        assert!(!with(|a| a.neighbours[0].index = 0));
        assert!(!with(|a| a.powers = true));
        assert!(!with(|a| a.length = 5));
        assert!(!with(|a| a.neighbours[0].content = Address::repeat_byte(0x26).to_vec().into()));
        let far = list.absence(&Address::repeat_byte(0x37)).unwrap().neighbours[1].clone();
        let apart = Absence { neighbours: vec![absence.neighbours[0].clone(), far], ..absence };
        assert!(!apart.holds(&foreign, &list.root()), "a third stands between them");
    }

    #[test]
    fn an_empty_list_has_no_neighbour_to_show() {
        let (set, leaves) = certified(&[site(1), site(2)], 2);
        assert_eq!(ForeignSite::find(&set, &leaves, &list(0, false)), None);
    }
}
