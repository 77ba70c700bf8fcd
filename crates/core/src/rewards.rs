//! Section 6.12 (vi): settled rewards that are not those of the certified set and its voters.
//!
//! Anyone who has the set's members can tell that a settled reward root is wrong: there is one right tree. To *prove* it
//! takes something from inside the wrong one: a false leaf with its path, or what the root is the SHA-256 of when it is no
//! top of a tree of the right length. Only those who made the root know these. They show a leaf when they have a credit of it
//! paid, in the input of that transaction; or somebody guesses the tree ([`Rewards::guess`]); or one of them talks. Until
//! then a wrong root is a finding without a proof, and it pays nobody.

use crate::certify::{CertifiedSet, SetLeaf, SetLeaves};
use crate::eip712::nodes_in;
use crate::merkle::{self, TreeKind};
use crate::params::CommitteeMembers;
use crate::settle::{REWARD_BYTES, node_reward, site_reward};
use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

/// What shows that settled rewards are not those of the set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "flaw", rename_all = "kebab-case")]
pub enum RewardFlaw {
    /// A leaf that is not the one of its place.
    Leaf {
        /// The leaf.
        leaf: RewardLeaf,
        /// The set's leaf of the same place, where it is a site's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<SetLeaf>,
    },
    /// A root that is no top of a rewards tree with a leaf for each site and each voter.
    Root {
        /// What it is the SHA-256 of.
        preimage: Bytes,
    },
}

/// A leaf under a settled reward root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RewardLeaf {
    /// Its place: below the set's size that of a site, then of a voter, in node order.
    pub index: u32,
    /// Account, role and units: 29 bytes if it is well formed.
    pub content: Bytes,
    /// Siblings up to the root.
    pub path: Vec<B256>,
}

impl RewardLeaf {
    /// The leaf that a claim of one unit shows.
    #[must_use]
    pub fn of_claim(index: u32, account: Address, as_node: bool, path: Vec<B256>) -> Self {
        let content = if as_node { node_reward(account) } else { site_reward(account) };
        Self { index, content: content.into(), path }
    }

    fn leads_to(&self, length: usize, root: &B256) -> bool {
        let hash = merkle::leaf(&self.content);
        merkle::check_path(TreeKind::Reward, length as u64, length, self.index as usize, hash, &self.path, root)
    }
}

/// Settled rewards beside what they have to be.
#[derive(Debug, Clone, Copy)]
pub struct Rewards<'a> {
    /// The round's committee.
    pub committee: &'a CommitteeMembers,
    /// The certified set.
    pub set: CertifiedSet,
    /// Its leaves, where somebody shows them: without, the leaves of voters can be judged alone.
    pub leaves: Option<&'a SetLeaves>,
    /// The settled root.
    pub root: B256,
}

impl Rewards<'_> {
    /// Whether the settled root is the right one; none without the set's leaves.
    #[must_use]
    pub fn are_right(&self) -> Option<bool> {
        let contents = (0..self.len()).map(|index| self.right(index)).collect::<Option<Vec<_>>>()?;
        Some(top(&contents) == self.root)
    }

    /// What a leaf of the settled tree proves.
    #[must_use]
    pub fn judge(&self, leaf: RewardLeaf) -> Option<RewardFlaw> {
        let member = self.leaves.filter(|_| leaf.index < self.set.size).and_then(|leaves| leaves.open(leaf.index as usize));
        let flaw = RewardFlaw::Leaf { leaf, member };
        flaw.holds(self.committee, &self.set, &self.root).then_some(flaw)
    }

    /// The contents of all leaves of a tree, held against the settled root. What is not settled proves nothing.
    #[must_use]
    pub fn judge_tree<C: AsRef<[u8]>>(&self, contents: &[C]) -> Option<RewardFlaw> {
        let hashes = hashes(contents);
        if merkle::root(TreeKind::Reward, contents.len() as u64, hashes.clone()) != self.root {
            return None;
        }
        if contents.len() != self.len() {
            return Some(RewardFlaw::Root { preimage: merkle::preimage(TreeKind::Reward, contents.len() as u64, hashes).into() });
        }
        let differs = |index: &usize| self.right(*index).is_some_and(|right| right[..] != *contents[*index].as_ref());
        let index = (0..contents.len()).find(differs)?;
        let (content, path) = (Bytes::copy_from_slice(contents[index].as_ref()), merkle::open(&hashes, index));
        self.judge(RewardLeaf { index: index as u32, content, path })
    }

    /// Whether the settled tree is the one of other nodes than the voters, which can be tried: all of the committee, those
    /// who signed, or none.
    #[must_use]
    pub fn guess(&self, signers: U256) -> Option<RewardFlaw> {
        let sites = self.leaves?.members().get(..self.set.size as usize)?;
        let all = self.committee.members().iter().map(|member| member.address).collect();
        [all, self.accounts(signers), Vec::new()].into_iter().find_map(|nodes: Vec<Address>| {
            let sites = sites.iter().map(|member| site_reward(member.site));
            self.judge_tree(&sites.chain(nodes.into_iter().map(node_reward)).collect::<Vec<_>>())
        })
    }

    /// One leaf for each site, then one for each voter.
    fn len(&self) -> usize {
        length(&self.set)
    }

    fn right(&self, index: usize) -> Option<[u8; REWARD_BYTES]> {
        match index.checked_sub(self.set.size as usize) {
            None => Some(site_reward(self.leaves?.members().get(index)?.site)),
            Some(place) => voter(self.committee, &self.set, place).map(node_reward),
        }
    }

    fn accounts(&self, nodes: U256) -> Vec<Address> {
        nodes_in(nodes).into_iter().filter_map(|node| Some(self.committee.member(node)?.address)).collect()
    }
}

fn length(set: &CertifiedSet) -> usize {
    set.size as usize + set.voters.count_ones()
}

fn hashes<C: AsRef<[u8]>>(contents: &[C]) -> Vec<B256> {
    contents.iter().map(|content| merkle::leaf(content.as_ref())).collect()
}

fn top<C: AsRef<[u8]>>(contents: &[C]) -> B256 {
    merkle::root(TreeKind::Reward, contents.len() as u64, hashes(contents))
}

/// The voter at a place among the voters, in node order.
fn voter(committee: &CommitteeMembers, set: &CertifiedSet, place: usize) -> Option<Address> {
    let node = nodes_in(set.voters).into_iter().nth(place)?;
    Some(committee.member(node)?.address)
}

impl RewardFlaw {
    /// Whether this proves the offence of those who signed the settlement, by the rules of the contract. `root` is the
    /// settled reward root.
    #[must_use]
    pub fn holds(&self, committee: &CommitteeMembers, set: &CertifiedSet, root: &B256) -> bool {
        match self {
            Self::Leaf { leaf, member } => {
                let right = match leaf.index.checked_sub(set.size) {
                    None => {
                        let own = |member: &&SetLeaf| member.index == leaf.index && member.leads_to(&set.root);
                        member.as_ref().filter(own).map(|member| site_reward(member.member.site))
                    }
                    Some(place) => voter(committee, set, place as usize).map(node_reward),
                };
                leaf.leads_to(length(set), root) && right.is_some_and(|right| right[..] != leaf.content[..])
            }
            Self::Root { preimage } => merkle::is_no_top(TreeKind::Reward, length(set) as u64, root, preimage),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certify::{Cohort, SetMember};
    use crate::params::{Committee, Member};
    use crate::settle::reward_root;

    struct Case {
        committee: CommitteeMembers,
        cohort: Cohort,
        leaves: SetLeaves,
        set: CertifiedSet,
    }

    /// Three sites; nodes 1, 2, 4 and 5 of five voted.
    fn case() -> Case {
        let member = |i: u8| Member { address: Address::repeat_byte(0xa0 + i), kem_key: Vec::new() };
        let committee = CommitteeMembers::new(Committee::new(5, 1).unwrap(), 1, (1..=5).map(member).collect()).unwrap();
        let member = |i: u8| SetMember { site: Address::repeat_byte(i), digest: B256::repeat_byte(i) };
        let cohort = Cohort::new((1..=3).map(member).collect()).unwrap();
        let set = CertifiedSet { root: cohort.root(), size: 3, voters: U256::from(0b11011) };
        Case { committee, leaves: SetLeaves::from(&cohort), cohort, set }
    }

    impl Case {
        fn rewards(&self, root: B256) -> Rewards<'_> {
            Rewards { committee: &self.committee, set: self.set, leaves: Some(&self.leaves), root }
        }

        fn contents(&self) -> Vec<Vec<u8>> {
            let sites = self.cohort.members().iter().map(|member| site_reward(member.site).to_vec());
            sites.chain([1, 2, 4, 5].map(|node| node_reward(self.committee.member(node).unwrap().address).to_vec())).collect()
        }

        fn holds(&self, flaw: &RewardFlaw, root: &B256) -> bool {
            flaw.holds(&self.committee, &self.set, root)
        }
    }

    /// A leaf with another account, role, number of units, or length.
    fn lies(right: &[u8]) -> Vec<Vec<u8>> {
        let flipped = |place: usize| {
            let mut wrong = right.to_vec();
            wrong[place] ^= 1;
            wrong
        };
        vec![
            flipped(0),
            flipped(19),
            flipped(20),
            flipped(21),
            flipped(28),
            [right, &[0]].concat(),
            right[..28].to_vec(),
            Vec::new(),
        ]
    }

    #[test]
    fn the_right_root_is_right_and_nothing_is_proved_against_it() {
        let case = case();
        let accounts: Vec<Address> = [1, 2, 4, 5].map(|node| case.committee.member(node).unwrap().address).to_vec();
        let root = reward_root(&case.cohort, &accounts);
        let rewards = case.rewards(root);
        assert_eq!((top(&case.contents()), rewards.are_right()), (root, Some(true)));
        assert_eq!(Rewards { leaves: None, ..rewards }.are_right(), None);
        assert_eq!((rewards.judge_tree(&case.contents()), rewards.guess(case.set.voters)), (None, None));
        let hashes = hashes(&case.contents());
        for (index, content) in case.contents().into_iter().enumerate() {
            let leaf = RewardLeaf { index: index as u32, content: content.into(), path: merkle::open(&hashes, index) };
            assert_eq!(rewards.judge(leaf.clone()), None);
            let flaw = RewardFlaw::Leaf { leaf, member: case.leaves.open(index) };
            assert!(!case.holds(&flaw, &root));
        }
        let preimage = merkle::preimage(TreeKind::Reward, 7, hashes).into();
        assert!(!case.holds(&RewardFlaw::Root { preimage }, &root));
    }

    #[test]
    fn any_false_leaf_of_a_site_or_a_voter_is_proved() {
        let case = case();
        for index in 0..7 {
            for lie in lies(&case.contents()[index]) {
                let mut contents = case.contents();
                contents[index] = lie;
                let rewards = case.rewards(top(&contents));
                assert_eq!(rewards.are_right(), Some(false));
                let flaw = rewards.judge_tree(&contents).unwrap();
                let RewardFlaw::Leaf { leaf, member } = flaw.clone() else { panic!("{flaw:?}") };
                assert_eq!((leaf.index as usize, member.is_some()), (index, index < 3));
                assert!(case.holds(&flaw, &rewards.root) && !case.holds(&flaw, &B256::ZERO));
                let unknown = Rewards { leaves: None, ..rewards };
                assert_eq!(unknown.judge(leaf.clone()).is_some(), index >= 3, "a site's leaf needs the set's");
                let of_another = case.leaves.open((index + 1) % 3).filter(|_| index < 3);
                assert!(index >= 3 || !case.holds(&RewardFlaw::Leaf { leaf, member: of_another }, &rewards.root));
            }
        }
    }

    #[test]
    fn a_tree_of_another_length_is_proved_by_its_top() {
        let case = case();
        let mut contents = case.contents();
        contents.push(site_reward(Address::repeat_byte(9)).to_vec());
        for wrong in [&contents[..], &contents[..6], &[]] {
            let rewards = case.rewards(top(wrong));
            let flaw = rewards.judge_tree(wrong).unwrap();
            assert!(matches!(flaw, RewardFlaw::Root { .. }) && case.holds(&flaw, &rewards.root));
            assert!(!case.holds(&flaw, &top(&case.contents())));
        }
        assert_eq!(case.rewards(B256::ZERO).judge_tree(&contents), None, "not what is settled");
    }

    #[test]
    fn rewards_of_the_whole_committee_of_the_signers_or_of_no_node_are_guessed() {
        let case = case();
        let credited = |nodes: &[usize]| {
            let accounts: Vec<Address> = nodes.iter().map(|node| case.committee.member(*node).unwrap().address).collect();
            let root = reward_root(&case.cohort, &accounts);
            (case.rewards(root).guess(U256::from(0b11110)), root)
        };
        for (nodes, is_root) in [(&[1, 2, 3, 4, 5][..], true), (&[2, 3, 4, 5], false), (&[], true)] {
            let (flaw, root) = credited(nodes);
            let flaw = flaw.unwrap();
            assert!(case.holds(&flaw, &root) && matches!(flaw, RewardFlaw::Root { .. }) == is_root, "{nodes:?}");
        }
        assert_eq!(credited(&[1]).0, None, "no guess");
    }

    #[test]
    fn a_claim_shows_its_leaf() {
        let case = case();
        let mut contents = case.contents();
        let thief = Address::repeat_byte(0xee);
        contents[6] = node_reward(thief).to_vec();
        let rewards = case.rewards(top(&contents));
        let path = merkle::open(&hashes(&contents), 6);
        assert!(rewards.judge(RewardLeaf::of_claim(6, thief, true, path.clone())).is_some());
        assert_eq!(rewards.judge(RewardLeaf::of_claim(6, thief, false, path)), None, "no leaf of this tree");
    }
}
