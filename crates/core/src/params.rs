//! The committee, its subsets and polynomials (section 1), and what a round's policy freezes (section 3).

use crate::error::InvalidParameters;
use crate::field::Fp;
use crate::transcript::hash;
use alloy_primitives::{Address, B256};

/// The job kind `sum`.
pub const KIND_SUM: u8 = 1;
/// Largest committee: signer bitmaps and C(n,t) stay small.
pub const MAX_NODES: usize = 32;
/// Largest number of seeds a contribution may have; C(13,3) = 286 is the largest recommended.
pub const MAX_SEEDS: usize = 1024;

/// Sizes of a committee: n nodes of which t may be corrupt, 3t+1 <= n <= 5t+1. Nodes are numbered 1..=n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    n: usize,
    t: usize,
    excluded: Vec<Vec<usize>>,
}

impl Committee {
    /// Checks the rule that ties n to t.
    ///
    /// # Errors
    /// [`InvalidParameters`] that names the broken rule.
    pub fn new(n: usize, t: usize) -> Result<Self, InvalidParameters> {
        if n > MAX_NODES {
            return Err(InvalidParameters::CommitteeTooLarge { n, max: MAX_NODES });
        }
        if t < 1 || n < 3 * t + 1 || n > 5 * t + 1 {
            return Err(InvalidParameters::Committee { n, t });
        }
        let seeds = binomial(n, t);
        if seeds > MAX_SEEDS {
            return Err(InvalidParameters::TooManySeeds { n, t, seeds, max: MAX_SEEDS });
        }
        let mut excluded = Vec::with_capacity(seeds);
        subsets(n, t, &mut Vec::new(), &mut excluded);
        Ok(Self { n, t, excluded })
    }

    /// Number of nodes.
    #[must_use]
    pub fn n(&self) -> usize {
        self.n
    }

    /// Number of nodes that may be corrupt.
    #[must_use]
    pub fn t(&self) -> usize {
        self.t
    }

    /// Q = 3t+1: receipts, votes, finals and settlement signatures needed.
    #[must_use]
    pub fn quorum(&self) -> usize {
        3 * self.t + 1
    }

    /// 2t+1: output shares that must agree before an aggregate counts.
    #[must_use]
    pub fn agreement(&self) -> usize {
        2 * self.t + 1
    }

    /// ⌈(n+t)/2⌉: other members that must hold a node's intent before it signs; two such sets share t+1 members.
    #[must_use]
    pub fn acknowledgements(&self) -> usize {
        (self.n + self.t).div_ceil(2)
    }

    /// The subsets T of t nodes, lexicographic; seed number i is known to the nodes outside `excluded()[i]`.
    #[must_use]
    pub fn excluded(&self) -> &[Vec<usize>] {
        &self.excluded
    }

    /// The numbers of the seeds that node j is entitled to, increasing.
    pub fn seeds_of(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        self.excluded.iter().enumerate().filter(move |(_, t)| !t.contains(&node)).map(|(i, _)| i)
    }

    /// f_T(z) for T = `excluded()[index]`: degree t, 1 at 0, 0 on T.
    #[must_use]
    pub fn f(&self, index: usize, z: usize) -> Fp {
        let z = Fp::reduce(z as u64);
        let (mut numerator, mut denominator) = (Fp::ONE, Fp::ONE);
        for &node in &self.excluded[index] {
            let node = Fp::reduce(node as u64);
            numerator *= node - z;
            denominator *= node;
        }
        numerator * denominator.inverse()
    }

    /// A point at whose multiples all f_T are whole numbers: lcm(1..n), or 1 for a committee of more than ten. Products with f_T are
    /// cheap where it is below 2^22: always at t = 1, mostly at t = 2.
    pub(crate) fn step(&self) -> usize {
        const LARGEST: usize = 1 << 12;
        let lcm = (1..=self.n).try_fold(1, |lcm: usize, node| {
            let step = (1..=node).map(|times| times * lcm).find(|multiple| multiple.is_multiple_of(node));
            step.filter(|step| *step < LARGEST)
        });
        lcm.unwrap_or(1)
    }
}

/// C(n,t); n <= 32, so every product stays small.
fn binomial(n: usize, t: usize) -> usize {
    (0..t).fold(1, |count, i| count * (n - i) / (i + 1))
}

fn subsets(n: usize, t: usize, prefix: &mut Vec<usize>, out: &mut Vec<Vec<usize>>) {
    if prefix.len() == t {
        out.push(prefix.clone());
        return;
    }
    for node in prefix.last().copied().unwrap_or(0) + 1..=n {
        prefix.push(node);
        subsets(n, t, prefix, out);
        prefix.pop();
    }
}

/// Lagrange coefficients of the points `at` for the value at `target`: sum of coefficient times value.
#[must_use]
pub fn lagrange(at: &[usize], target: usize) -> Vec<Fp> {
    let point = |j: usize| Fp::reduce(j as u64);
    let coefficient = |j: usize| {
        let (mut numerator, mut denominator) = (Fp::ONE, Fp::ONE);
        for &m in at.iter().filter(|&&m| m != j) {
            numerator *= point(target) - point(m);
            denominator *= point(j) - point(m);
        }
        numerator * denominator.inverse()
    };
    at.iter().map(|&j| coefficient(j)).collect()
}

/// A committee member as the chain lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The node's signing address.
    pub address: Address,
    /// The node's public KEM key for this epoch (X-Wing, 1216 bytes when well formed).
    pub kem_key: Vec<u8>,
}

/// Who sits on a committee in one epoch, in node order 1..=n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitteeMembers {
    sizes: Committee,
    epoch: u64,
    members: Vec<Member>,
}

impl CommitteeMembers {
    /// Checks that there are n distinct members.
    ///
    /// # Errors
    /// [`InvalidParameters::Members`].
    pub fn new(sizes: Committee, epoch: u64, members: Vec<Member>) -> Result<Self, InvalidParameters> {
        let mut addresses: Vec<_> = members.iter().map(|m| m.address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        if members.len() != sizes.n || addresses.len() != sizes.n {
            return Err(InvalidParameters::Members { n: sizes.n, found: addresses.len() });
        }
        Ok(Self { sizes, epoch, members })
    }

    /// n, t and what follows from them.
    #[must_use]
    pub fn sizes(&self) -> &Committee {
        &self.sizes
    }

    /// The epoch in which these keys hold.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The members, node 1 first.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with number `node` in 1..=n.
    #[must_use]
    pub fn member(&self, node: usize) -> Option<&Member> {
        self.members.get(node.checked_sub(1)?)
    }

    /// The number in 1..=n of the member that signs with `address`.
    #[must_use]
    pub fn index_of(&self, address: Address) -> Option<usize> {
        self.members.iter().position(|m| m.address == address).map(|i| i + 1)
    }

    /// H("committee", epoch n t, address, KEM key, ...): the fingerprint that a site obtains out of band.
    #[must_use]
    pub fn hash(&self) -> B256 {
        committee_hash(self.epoch, self.sizes.t as u64, &self.members)
    }
}

/// [`CommitteeMembers::hash`] over any list of members.
#[must_use]
pub fn committee_hash(epoch: u64, t: u64, members: &[Member]) -> B256 {
    let mut sizes = [0; 24];
    sizes[..8].copy_from_slice(&epoch.to_le_bytes());
    sizes[8..16].copy_from_slice(&(members.len() as u64).to_le_bytes());
    sizes[16..].copy_from_slice(&t.to_le_bytes());
    let mut parts: Vec<&[u8]> = vec![&sizes];
    for member in members {
        parts.push(member.address.as_slice());
        parts.push(&member.kem_key);
    }
    hash("committee", &parts)
}

/// What `open` freezes for a round (section 3, policy hash).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Fewest sites in a certified set.
    pub minimum_cohort: u64,
    /// Root of the admitted sites, [`crate::certify::sites_root`].
    pub sites_root: B256,
    /// The study's finality rule.
    pub finality: Finality,
    /// Unix seconds: the time of the block that opened the round.
    pub opened: u64,
    /// Unix seconds; a certificate counts strictly before.
    pub deadline: u64,
    /// Unix seconds; a settlement counts strictly before.
    pub settle_by: u64,
}

impl Policy {
    /// H("policy", minimum cohort, sites root, finality, opened deadline settle-by).
    #[must_use]
    pub fn hash(&self) -> B256 {
        let times = [self.opened, self.deadline, self.settle_by];
        policy_hash(self.minimum_cohort, &self.sites_root, &self.finality.to_string(), times)
    }
}

/// [`Policy::hash`] over the raw fields; `times` are opened, deadline and settle-by.
#[must_use]
pub fn policy_hash(minimum_cohort: u64, sites_root: &B256, finality: &str, times: [u64; 3]) -> B256 {
    let times = times.map(u64::to_le_bytes).concat();
    hash("policy", &[&minimum_cohort.to_le_bytes(), sites_root.as_slice(), finality.as_bytes(), &times])
}

/// When a certificate counts as final on a node's own endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finality {
    /// As soon as it is in a block: for chains that never reorganise, such as one sequencer.
    Instant,
    /// When the block has this many blocks on top.
    Depth(u64),
    /// When the block is at or below the `safe` tag.
    Safe,
    /// When the block is at or below the `finalized` tag.
    Finalized,
}

impl core::str::FromStr for Finality {
    type Err = InvalidParameters;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || InvalidParameters::Finality(text.to_owned());
        match text {
            "instant" => Ok(Self::Instant),
            "safe" => Ok(Self::Safe),
            "finalized" => Ok(Self::Finalized),
            _ => {
                let digits = text.strip_prefix("depth:").ok_or_else(unknown)?;
                let depth = digits.parse().map_err(|_| unknown())?;
                let rule = Self::Depth(depth);
                if rule.to_string() == text { Ok(rule) } else { Err(unknown()) }
            }
        }
    }
}

impl core::fmt::Display for Finality {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Instant => f.write_str("instant"),
            Self::Depth(blocks) => write!(f, "depth:{blocks}"),
            Self::Safe => f.write_str("safe"),
            Self::Finalized => f.write_str("finalized"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_between_n_and_t_is_checked_and_named() {
        for (n, t) in [(4, 1), (5, 1), (6, 1), (7, 2), (9, 2), (11, 2), (13, 3)] {
            assert!(Committee::new(n, t).is_ok(), "({n},{t})");
        }
        for (n, t) in [(3, 1), (7, 1), (6, 2), (12, 2), (5, 0), (0, 0)] {
            let error = Committee::new(n, t).unwrap_err().to_string();
            assert!(error.contains("3t+1 <= n <= 5t+1"), "({n},{t}): {error}");
        }
    }

    #[test]
    fn a_committee_with_too_many_seeds_is_refused_before_they_are_counted_out() {
        assert!(matches!(Committee::new(32, 10), Err(InvalidParameters::TooManySeeds { seeds: 64_512_240, .. })));
        assert_eq!(Committee::new(13, 3).unwrap().excluded().len(), 286);
    }

    #[test]
    fn f_is_one_at_zero_and_zero_on_its_subset() {
        let committee = Committee::new(9, 2).unwrap();
        assert_eq!(committee.excluded().len(), 36);
        for (i, subset) in committee.excluded().iter().enumerate() {
            assert_eq!(committee.f(i, 0), Fp::ONE);
            for node in 1..=9 {
                assert_eq!(committee.f(i, node) == Fp::ZERO, subset.contains(&node));
            }
        }
    }

    #[test]
    fn at_multiples_of_its_step_a_small_committee_has_whole_factors() {
        for (n, t, step) in [(4, 1, 12), (5, 1, 60), (6, 1, 60), (7, 2, 420), (9, 2, 2520), (10, 3, 2520), (11, 2, 1), (13, 3, 1)]
        {
            let committee = Committee::new(n, t).unwrap();
            assert_eq!(committee.step(), step, "({n},{t})");
            for (number, subset) in committee.excluded().iter().enumerate().filter(|_| step > 1) {
                for z in (1..=t).map(|u| u * step) {
                    assert!(subset.iter().all(|node| z.is_multiple_of(*node)));
                    let whole: i128 = subset.iter().map(|&node| 1 - (z / node) as i128).product();
                    assert_eq!(committee.f(number, z), Fp::from_signed(whole), "({n},{t})");
                    assert!(t > 1 || whole.abs() < 1 << 22, "({n},{t})");
                }
            }
        }
    }

    #[test]
    fn finality_rules_read_back_and_others_are_refused() {
        for text in ["instant", "depth:12", "safe", "finalized"] {
            assert_eq!(text.parse::<Finality>().unwrap().to_string(), text);
        }
        for text in ["", "depth:", "depth:012", "depth:+1", "Instant", "depth:-1"] {
            assert!(text.parse::<Finality>().is_err(), "{text}");
        }
    }
}
