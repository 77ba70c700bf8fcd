//! What accounts are owed, and the proofs with which anyone can have them paid.
//!
//! The chain has a round's set as a root. Who is in it, nodes tell: the caller brings the sets, and they are held against
//! the settled roots here.

use crate::books::{Books, PaidRound, QUESTIONS};
use crate::contracts::{Consilium, ITreasury, Treasury as T};
use crate::error::{Error, Misuse};
use crate::money::Money;
use crate::revenue::FRACTION;
use alloy::sol_types::{SolStruct, SolValue};
use alloy_primitives::aliases::U80;
use alloy_primitives::{Address, B256, I256, U256, keccak256};
use consilium_core::certify::Cohort;
use consilium_core::settle::{reward_paths, reward_root};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// The sets of settled rounds, by round.
pub type Cohorts = BTreeMap<u64, Cohort>;

/// A leaf of a settled round: of its reward tree, or that of a node whose vote came late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The round.
    pub round: u64,
    /// As a node that voted, or else as a site.
    pub as_node: bool,
    /// The leaf's number.
    index: u32,
}

/// What showing one leaf brings an account, or a claim without leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credit {
    /// To whom.
    pub account: Address,
    /// The leaf; none for licence revenue of leaves that were shown before.
    pub leaf: Option<Leaf>,
    /// What the round pays; zero if it has paid this leaf.
    pub pay: U256,
    /// Licence revenue. What is behind the point stays owed, so that it may come with the account's next leaf.
    pub revenue: U256,
}

impl Credit {
    /// All that it brings.
    #[must_use]
    pub fn amount(&self) -> U256 {
        self.pay.saturating_add(self.revenue)
    }

    /// Whether both are about the same leaf, or about revenue of the same account.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.account, self.leaf) == (other.account, other.leaf)
    }
}

/// A leaf and what it is worth.
#[derive(Debug, Clone, Copy)]
struct Worth {
    leaf: Leaf,
    pay: U256,
    weight: U256,
    /// What each weight had earned when its round was settled.
    earned: U256,
}

/// What the treasury has marked of a leaf.
#[derive(Debug, Clone, Copy, Default)]
struct Marks {
    claimed: bool,
    enrolled: bool,
}

/// An account's part of licence revenue by the leaves that it has shown.
#[derive(Debug, Clone, Copy, Default)]
struct Holding {
    weight: U256,
    /// What it had earned before it counted, and was paid, in 2^-40; negative once weights were taken away.
    debt: I256,
}

impl Holding {
    /// What is owed, in 2^-40 of the currency's unit.
    fn owed(&self, earned: U256) -> U256 {
        let earned = I256::try_from(self.weight.saturating_mul(earned)).unwrap_or(I256::MAX);
        U256::try_from(earned.saturating_sub(self.debt)).unwrap_or_default()
    }
}

impl Books {
    /// What the rounds of which the sets are given owe at a block time, and licence revenue: rounds that can still be
    /// challenged then owe nothing yet. What was claimed already, or lost by equivocation, is left out; a leaf that was paid
    /// before the first sale is here again, since revenue is only for leaves that were shown after it.
    ///
    /// # Errors
    /// [`Misuse::Cohort`] for a set that is not the settled one; [`Error::Malformed`] when the claims that were announced
    /// are not the ones that the contract stores.
    pub async fn owed(&self, cohorts: &Cohorts, time: u64) -> Result<Vec<Credit>, Error> {
        let (mut by_account, mut complete) = (BTreeMap::<Address, Vec<Worth>>::new(), true);
        for round in self.rounds.iter().filter(|round| round.pays_from <= time) {
            let Some(cohort) = cohorts.get(&round.round) else {
                complete = false;
                continue;
            };
            for (account, worth) in self.leaves(round, cohort)? {
                by_account.entry(account).or_default().push(worth);
            }
        }
        let struck = self.struck();
        for (account, leaves) in &mut by_account {
            leaves.retain(|worth| worth.leaf.as_node || !struck.contains(&(*account, worth.leaf.round)));
        }
        // Of leaves that are not shown here, revenue may be due.
        by_account.extend(
            self.claimants().filter(|account| !by_account.contains_key(account)).map(|who| (who, Vec::new())).collect::<Vec<_>>(),
        );
        // A site may have been paid for a round before it was struck for it, and what went to the sink was not announced leaf by
        // leaf: then sums settle nothing.
        let escheated = self.events().any(|(_, money)| matches!(money, Money::Escheated { .. }));
        let settles = |account: Address| complete && !escheated && !struck.iter().any(|(site, _)| *site == account);
        let ask = |(account, leaves)| self.open_of(account, leaves, settles(account), escheated);
        let open: Vec<Vec<Credit>> = stream::iter(by_account.into_iter().map(ask)).buffered(QUESTIONS).try_collect().await?;
        Ok(open.into_iter().flatten().collect())
    }

    /// The leaves of sites that were struck off for the round, as [`Ledger::return_forfeits`](crate::Ledger::return_forfeits)
    /// wants them claimed: what they lost, whether it was paid before or not.
    ///
    /// # Errors
    /// [`Misuse::Cohort`] for a set that is not the settled one.
    pub fn forfeited(&self, cohorts: &Cohorts, time: u64) -> Result<Vec<Credit>, Misuse> {
        let (struck, mut lost) = (self.struck(), Vec::new());
        for round in self.rounds.iter().filter(|round| round.pays_from <= time) {
            let Some(cohort) = cohorts.get(&round.round) else { continue };
            let is_lost = |(site, worth): &(Address, Worth)| !worth.leaf.as_node && struck.contains(&(*site, round.round));
            let leaves = self.leaves(round, cohort)?.into_iter().filter(is_lost);
            lost.extend(leaves.map(|(account, Worth { leaf, pay, .. })| {
                let leaf = Some(leaf);
                Credit { account, leaf, pay, revenue: U256::ZERO }
            }));
        }
        Ok(lost)
    }

    /// Who has claimed anything, once licences were sold.
    fn claimants(&self) -> impl Iterator<Item = Address> {
        let claimed = self.events().filter_map(|(_, money)| match money {
            Money::Claimed { account, .. } => Some(*account),
            _ => None,
        });
        claimed.filter(|_| self.periods() != 0).collect::<BTreeSet<_>>().into_iter()
    }

    /// The rounds for which sites lost their pay, for good.
    pub(crate) fn struck(&self) -> BTreeSet<(Address, u64)> {
        let domain = self.ledger.domain();
        let struck = self.events().filter_map(|(_, money)| match money {
            Money::SiteStruck(proof) if proof.holds(&domain) => Some((proof.site, proof.round)),
            _ => None,
        });
        struck.collect()
    }

    /// The leaves of a round that are worth something.
    fn leaves(&self, round: &PaidRound, cohort: &Cohort) -> Result<Vec<(Address, Worth)>, Misuse> {
        if !round.credits(cohort) {
            return Err(Misuse::Cohort { study: round.settlement.study, round: round.round });
        }
        let (earned, (site_weight, node_weight)) = (self.revenue.by(round.period), round.weights());
        let worth = |index: u32, as_node: bool| {
            let (pay, weight) = if as_node { (round.per_node, node_weight) } else { (round.per_site, site_weight) };
            Worth { leaf: Leaf { round: round.round, as_node, index }, pay, weight: U256::from(weight), earned }
        };
        let listed = cohort.members().iter().map(|member| (member.site, false));
        let listed = (0..).zip(listed.chain(round.voters.iter().map(|&voter| (voter, true))));
        let listed = listed.map(|(index, (account, as_node))| (account, worth(index, as_node)));
        let behind = round.sites + round.voters.len() as u32;
        let late = round.late.iter().map(|&(seat, node)| (node, worth(behind + u32::from(seat) - 1, true)));
        Ok(listed.chain(late).filter(|(_, worth)| !worth.pay.is_zero() || !worth.weight.is_zero()).collect())
    }

    /// What an account's leaves still bring, and its revenue so far.
    async fn open_of(&self, account: Address, leaves: Vec<Worth>, settles: bool, escheated: bool) -> Result<Vec<Credit>, Error> {
        let holding = self.holding_of(account).await?;
        let untouched = !escheated && holding.weight.is_zero() && self.claimed_by(account).is_zero();
        let marks = match untouched {
            true => vec![Marks::default(); leaves.len()],
            false => self.marks_of(account, &leaves, &holding, settles).await?,
        };
        Ok(self.credits(account, &holding, leaves.iter().zip(&marks)))
    }

    /// Revenue is paid in whole units: what each leaf brings is told so that an account's leaves, in this order, bring what the
    /// contract pays.
    fn credits<'a>(
        &self,
        account: Address,
        holding: &Holding,
        leaves: impl Iterator<Item = (&'a Worth, &'a Marks)>,
    ) -> Vec<Credit> {
        let now = self.revenue.now();
        let (mut owed, mut credits) = (holding.owed(now), Vec::new());
        let shown = owed >> FRACTION;
        if !shown.is_zero() {
            credits.push(Credit { account, leaf: None, pay: U256::ZERO, revenue: shown });
        }
        for (worth, marks) in leaves {
            let pay = if marks.claimed { U256::ZERO } else { worth.pay };
            let since = now.saturating_sub(worth.earned);
            let gain = if marks.enrolled { U256::ZERO } else { worth.weight.saturating_mul(since) };
            if pay.is_zero() && gain.is_zero() {
                continue;
            }
            let before = owed >> FRACTION;
            owed = owed.saturating_add(gain);
            let revenue = (owed >> FRACTION).saturating_sub(before);
            credits.push(Credit { account, leaf: Some(worth.leaf), pay, revenue });
        }
        let brings = credits.iter().any(|credit| !credit.amount().is_zero());
        if brings { credits } else { Vec::new() }
    }

    async fn holding_of(&self, account: Address) -> Result<Holding, Error> {
        if self.periods() == 0 {
            return Ok(Holding::default());
        }
        let call = T::holdingOfCall { study: self.study, account };
        let told = self.ledger.view_of(self.ledger.addresses().treasury, call, Some(self.at)).await?;
        let size = I256::try_from(U256::from(told.debt.unsigned_abs())).unwrap_or(I256::MAX);
        let debt = if told.debt.is_negative() { -size } else { size };
        Ok(Holding { weight: U256::from(told.weight), debt })
    }

    /// What the contract has marked of an account's leaves. Sums that settle it need no question: nothing was shown since the
    /// first sale and everything paid before it, or everything was shown since.
    async fn marks_of(&self, account: Address, leaves: &[Worth], holding: &Holding, settles: bool) -> Result<Vec<Marks>, Error> {
        let sum = |of: fn(&Worth) -> U256| leaves.iter().map(of).fold(U256::ZERO, U256::saturating_add);
        let (pay, weight) = (sum(|worth| worth.pay), sum(|worth| worth.weight));
        let weighty = leaves.iter().all(|worth| !worth.weight.is_zero());
        let marks = if settles && holding.weight.is_zero() && self.claimed_by(account) == pay {
            vec![Marks { claimed: true, enrolled: false }; leaves.len()]
        } else if settles && weighty && !weight.is_zero() && holding.weight == weight {
            vec![Marks { claimed: true, enrolled: true }; leaves.len()]
        } else {
            self.told_marks(account, leaves).await?
        };
        if settles && !self.adds_up(account, leaves.iter().zip(&marks), holding) {
            return Err(self.differ("claims"));
        }
        Ok(marks)
    }

    async fn told_marks(&self, account: Address, leaves: &[Worth]) -> Result<Vec<Marks>, Error> {
        let (study, treasury, sells) = (self.study, self.ledger.addresses().treasury, self.periods() != 0);
        let mut marks = Vec::with_capacity(leaves.len());
        for Worth { leaf: Leaf { round, as_node, .. }, .. } in leaves {
            let (round, as_node) = (*round, *as_node);
            let call = T::isEnrolledCall { study, account, round, asNode: as_node };
            // Whatever takes part in revenue was paid when it was shown.
            let enrolled = sells && self.ledger.view_of(treasury, call, Some(self.at)).await?;
            let call = T::isClaimedCall { study, account, round, asNode: as_node };
            let claimed = enrolled || self.ledger.view_of(treasury, call, Some(self.at)).await?;
            marks.push(Marks { claimed, enrolled });
        }
        Ok(marks)
    }

    /// Whether these marks explain what the account has claimed, and its holding.
    fn adds_up<'a>(&self, account: Address, leaves: impl Iterator<Item = (&'a Worth, &'a Marks)>, holding: &Holding) -> bool {
        let (mut pay, mut weight, mut before) = (U256::ZERO, U256::ZERO, U256::ZERO);
        for (worth, marks) in leaves {
            pay += if marks.claimed { worth.pay } else { U256::ZERO };
            if marks.enrolled {
                weight += worth.weight;
                before += worth.weight.saturating_mul(worth.earned);
            }
        }
        let paid = U256::try_from(holding.debt).ok().and_then(|debt| debt.checked_sub(before));
        let revenue =
            paid.filter(|paid| *paid & ((U256::ONE << FRACTION) - U256::ONE) == U256::ZERO).map(|paid| paid >> FRACTION);
        weight == holding.weight && revenue.is_some_and(|revenue| self.claimed_by(account) == pay + revenue)
    }

    /// The claims for these credits, an account each. At most [`CLAIMS_AT_ONCE`] credits fit a transaction.
    ///
    /// # Errors
    /// [`Misuse::Cohort`] when a round's set is missing or not the settled one.
    pub fn claims(&self, credits: &[Credit], cohorts: &Cohorts) -> Result<Vec<ITreasury::Claim>, Error> {
        let (mut claims, mut trees) = (BTreeMap::<Address, ITreasury::Claim>::new(), BTreeMap::new());
        let archive = self.archive();
        for credit in credits {
            let empty = || ITreasury::Claim { study: self.study, account: credit.account, shares: Vec::new() };
            let claim = claims.entry(credit.account).or_insert_with(empty);
            let Some(Leaf { round: number, index, .. }) = credit.leaf else { continue };
            let wrong = || Misuse::Cohort { study: self.study, round: number };
            let round = self.rounds.iter().find(|round| round.round == number).ok_or_else(wrong)?;
            let cohort = cohorts.get(&number).ok_or_else(wrong)?;
            let listed = (index as usize) < cohort.members().len() + round.voters.len();
            // No tree has the leaf of a late vote: it is found by its number.
            let path = if listed {
                trees.entry(number).or_insert_with(|| reward_paths(cohort, &round.voters)).open(index as usize)
            } else {
                vec![round.settlement.rewardRoot]
            };
            claim.shares.push(self.share(round, index, path, &archive));
        }
        Ok(claims.into_values().collect())
    }

    /// What the contract itself pays each site and each voter of a round whose challenge window is over.
    ///
    /// # Errors
    /// `NotFinal` when the round can still be challenged, or is not in the archive.
    pub async fn pay_by_contract(&self, round: &PaidRound) -> Result<(U256, U256), Error> {
        let share = self.share(round, 0, Vec::new(), &self.archive());
        let call = Consilium::finalPayCall {
            study: self.study,
            round: share.round,
            settlement: round.settlement.eip712_hash_struct(),
            sites: share.sites,
            nodes: share.nodes,
            record: share.record,
            position: share.position,
            path: share.archivePath,
        };
        let paid = self.ledger.view(call, Some(self.at)).await?;
        Ok((paid.perSite, paid.perNode))
    }

    fn share(&self, round: &PaidRound, index: u32, path: Vec<B256>, archive: &[B256]) -> ITreasury::Share {
        let place = self.place(round, archive);
        ITreasury::Share {
            round: round.round,
            index,
            sites: round.sites,
            nodes: round.voters.len() as u32,
            setRoot: round.settlement.setRoot,
            shareRootsHash: round.settlement.shareRootsHash,
            aggregateRoot: round.settlement.aggregateRoot,
            length: 0,
            path,
            record: place.record,
            position: place.position,
            archivePath: place.path,
        }
    }

    /// Where a round stands in the archive. Archived rounds are the oldest settled ones, so that a round's number among these
    /// is its place there.
    fn place(&self, round: &PaidRound, archive: &[B256]) -> Place {
        let position = self.rounds.iter().position(|other| other.round == round.round).filter(|_| !round.on_record);
        position.map_or_else(Place::default, |position| Place {
            record: round.record(),
            position: position as u32,
            path: mountain_path(archive, position),
        })
    }

    /// The leaves of the archive.
    fn archive(&self) -> Vec<B256> {
        self.rounds.iter().take(self.archived).map(|round| archive_leaf(self.study, round)).collect()
    }
}

/// Where a round stands in the archive; zeros for one on record.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) record: U80,
    pub(crate) position: u32,
    pub(crate) path: Vec<B256>,
}

/// Where a round stands in the archive.
pub(crate) fn archive_place(books: &Books, round: &PaidRound) -> Place {
    books.place(round, &books.archive())
}

impl PaidRound {
    /// Whether this is the set that was settled, and the rewards that were settled are its own.
    #[must_use]
    pub fn credits(&self, cohort: &Cohort) -> bool {
        let settled = (self.settlement.setRoot, self.settlement.rewardRoot);
        (cohort.root(), reward_root(cohort, &self.voters)) == settled
    }
}

/// Most credits of one transaction: a first claim takes about 130,000 gas once licences are sold, and a transaction has 2^24.
pub const CLAIMS_AT_ONCE: usize = 100;

/// All that a payment for an archived round depends on.
fn archive_leaf(study: u64, round: &PaidRound) -> B256 {
    let settlement = round.settlement.eip712_hash_struct();
    let (sites, nodes) = (U256::from(round.sites), U256::from(round.voters.len()));
    keccak256((study, round.round, settlement, sites, nodes, U256::from(round.record())).abi_encode_params())
}

/// From a leaf of a Merkle mountain range to its peak: the mountains are the set bits of the number of leaves, the highest
/// first.
fn mountain_path(leaves: &[B256], position: usize) -> Vec<B256> {
    let (mut first, mut path) = (0, Vec::new());
    for height in (0..usize::BITS).rev() {
        let span = 1 << height;
        if leaves.len() & span == 0 {
            continue;
        }
        if position < first + span {
            let mut level = leaves[first..first + span].to_vec();
            let mut place = position - first;
            while level.len() > 1 {
                path.extend(level.get(place ^ 1));
                level = level.chunks(2).map(|pair| keccak256(pair.concat())).collect();
                place /= 2;
            }
            return path;
        }
        first += span;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(left: B256, right: B256) -> B256 {
        keccak256([left, right].concat())
    }

    /// As the contract appends: peaks merge while they are of one height.
    fn peaks(leaves: &[B256]) -> Vec<Option<B256>> {
        let mut peaks = vec![None; 8];
        for leaf in leaves {
            let (mut node, mut height) = (*leaf, 0);
            while let Some(left) = peaks[height].take() {
                node = parent(left, node);
                height += 1;
            }
            peaks[height] = Some(node);
        }
        peaks
    }

    #[test]
    fn every_archived_round_leads_to_its_peak() {
        for count in 1..40_u8 {
            let leaves: Vec<B256> = (0..count).map(B256::with_last_byte).collect();
            let peaks = peaks(&leaves);
            for position in 0..leaves.len() {
                let path = mountain_path(&leaves, position);
                let reached = path.iter().enumerate().fold(leaves[position], |node, (height, sibling)| {
                    if position >> height & 1 == 0 { parent(node, *sibling) } else { parent(*sibling, node) }
                });
                assert_eq!(Some(reached), peaks[path.len()], "{position} of {count}");
            }
        }
        assert!(mountain_path(&[], 0).is_empty());
    }
}
