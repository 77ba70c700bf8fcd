//! Section 6.11: what the committee signs about a settled round, byte for byte the same for every honest node.

use crate::certify::Cohort;
use crate::eip712::Settlement;
use crate::merkle::{Levels, TreeKind, leaf, root};
use crate::unmask::Aggregate;
use alloy_primitives::{Address, B256, keccak256};

/// keccak256(root_1 || ... || root_n), as the contract computes it from its arguments.
#[must_use]
pub fn share_roots_hash(roots: &[B256]) -> B256 {
    keccak256(crate::transcript::concat(roots))
}

/// Who a unit of work is credited to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Site = 0,
    Node = 1,
}

/// rewardRoot: one unit of work for each site in the certified set (addresses increasing), then one for each node whose
/// vote is recorded on chain (node order). Leaves SHA-256(0x00 || address || role || units as u64 BE), role 0 for a
/// site and 1 for a node; top SHA-256(0x04 || number of leaves || tree).
#[must_use]
pub fn reward_root(cohort: &Cohort, voters: &[Address]) -> B256 {
    let leaves = reward_leaves(cohort, voters);
    root(TreeKind::Reward, leaves.len() as u64, leaves)
}

fn reward_leaves(cohort: &Cohort, voters: &[Address]) -> Vec<B256> {
    let sites = cohort.members().iter().map(|member| (member.site, Role::Site));
    let credits = sites.chain(voters.iter().map(|&node| (node, Role::Node)));
    credits.map(|(account, role)| leaf(&reward(account, role))).collect()
}

/// The paths of a round's reward tree, each for a claim: leaf numbers as [`reward_root`] counts them, the sites by
/// increasing address, then the voters in node order.
#[must_use]
pub fn reward_paths(cohort: &Cohort, voters: &[Address]) -> Levels {
    Levels::new(reward_leaves(cohort, voters))
}

/// Bytes of a leaf of a reward tree.
pub const REWARD_BYTES: usize = 29;

/// The unit of work that a site of the set is credited: the content of its leaf.
#[must_use]
pub fn site_reward(site: Address) -> [u8; REWARD_BYTES] {
    reward(site, Role::Site)
}

/// The same of a node that voted.
#[must_use]
pub fn node_reward(node: Address) -> [u8; REWARD_BYTES] {
    reward(node, Role::Node)
}

fn reward(account: Address, role: Role) -> [u8; REWARD_BYTES] {
    let mut content = [0; REWARD_BYTES];
    content[..20].copy_from_slice(account.as_slice());
    content[20] = role as u8;
    content[21..].copy_from_slice(&1_u64.to_be_bytes());
    content
}

/// The settlement of a certified set.
#[must_use]
pub fn settlement(study: u64, round: u64, cohort: &Cohort, voters: &[Address], aggregate: &Aggregate) -> Settlement {
    Settlement {
        study,
        round,
        setRoot: cohort.root(),
        shareRootsHash: share_roots_hash(aggregate.share_roots()),
        aggregateRoot: aggregate.root(),
        rewardRoot: reward_root(cohort, voters),
    }
}
