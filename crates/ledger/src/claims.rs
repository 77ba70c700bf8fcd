//! What accounts are owed, and the proofs with which anyone can have them paid.
//!
//! The chain has a round's set as a root. Who is in it, nodes tell: the caller brings the sets, and they are held against
//! the settled roots here.

use crate::books::{Books, PaidRound, QUESTIONS};
use crate::contracts::{Consilium, ITreasury, Treasury as T};
use crate::error::{Error, Misuse};
use crate::money::Money;
use alloy::sol_types::{SolStruct, SolValue};
use alloy_primitives::{Address, B256, U256, keccak256};
use consilium_core::certify::Cohort;
use consilium_core::settle::{reward_paths, reward_root};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::{BTreeMap, BTreeSet};

/// The sets of settled rounds, by round.
pub type Cohorts = BTreeMap<u64, Cohort>;

/// What one leaf of a round's reward tree is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Credit {
    /// To whom.
    pub account: Address,
    /// The round.
    pub round: u64,
    /// As a node that voted, or else as a site.
    pub as_node: bool,
    /// How much.
    pub amount: U256,
    /// The leaf's number.
    index: u32,
}

impl Books {
    /// What the rounds of which the sets are given owe in a period, 0 for what rounds pay themselves, at a block time:
    /// rounds that can still be challenged then owe nothing yet. What was claimed already, or lost by equivocation, is
    /// left out.
    ///
    /// # Errors
    /// [`Misuse::Cohort`] for a set that is not the settled one; [`Error::Malformed`] when the claims that were announced
    /// are not the ones that the contract stores.
    pub async fn owed(&self, cohorts: &Cohorts, period: u32, time: u64) -> Result<Vec<Credit>, Error> {
        let Some((per_round, through)) = self.terms_of(period) else { return Ok(Vec::new()) };
        let due = |round: &&PaidRound| round.round <= through && round.pays_from <= time;
        let (mut by_account, mut complete) = (BTreeMap::<Address, Vec<Credit>>::new(), true);
        for round in self.rounds.iter().filter(due) {
            let Some(cohort) = cohorts.get(&round.round) else {
                complete = false;
                continue;
            };
            let pay = per_round.unwrap_or((round.per_site, round.per_node));
            for credit in credits(round, cohort, pay)? {
                by_account.entry(credit.account).or_default().push(credit);
            }
        }
        let struck = self.struck();
        for credits in by_account.values_mut() {
            credits.retain(|credit| credit.as_node || !struck.contains(&(credit.account, credit.round)));
        }
        // A site may have been paid for a round before it was struck for it: then sums settle nothing.
        let settles = |account: Address| complete && !struck.iter().any(|(site, _)| *site == account);
        let ask = |(account, credits)| self.open_of(account, credits, period, settles(account));
        let open: Vec<Vec<Credit>> = stream::iter(by_account.into_iter().map(ask)).buffered(QUESTIONS).try_collect().await?;
        Ok(open.into_iter().flatten().collect())
    }

    /// What a period pays for each round, none if each round has its own, and the newest round that has a part.
    #[allow(clippy::type_complexity, reason = "two numbers and a bound, read once")]
    fn terms_of(&self, period: u32) -> Option<(Option<(U256, U256)>, u64)> {
        if period == 0 {
            return Some((None, u64::MAX));
        }
        let closed = self.periods().find(|(number, ..)| *number == period);
        closed.map(|(_, per_site, per_node, through)| (Some((per_site, per_node)), through))
    }

    /// The rounds for which sites lost their pay, for good.
    fn struck(&self) -> BTreeSet<(Address, u64)> {
        let domain = self.ledger.domain();
        let struck = self.events().filter_map(|(_, money)| match money {
            Money::SiteStruck(proof) if proof.holds(&domain) => Some((proof.site, proof.round)),
            _ => None,
        });
        struck.collect()
    }

    /// Of an account's credits, those that were not paid. Sums that settle it need no question to the contract: nothing
    /// was paid, or everything.
    async fn open_of(&self, account: Address, credits: Vec<Credit>, period: u32, complete: bool) -> Result<Vec<Credit>, Error> {
        let total = |credits: &[Credit]| credits.iter().fold(U256::ZERO, |sum, credit| sum.saturating_add(credit.amount));
        let claimed = self.claimed_by(account, period);
        if claimed.is_zero() {
            return Ok(credits);
        }
        if complete && claimed == total(&credits) {
            return Ok(Vec::new());
        }
        let (mut open, mut paid) = (Vec::new(), Vec::new());
        for credit in credits {
            let (study, round, as_node) = (self.study, credit.round, credit.as_node);
            let call = T::isClaimedCall { study, period, account, round, asNode: as_node };
            let taken = self.ledger.view_of(self.ledger.addresses().treasury, call, Some(self.at)).await?;
            if taken { paid.push(credit) } else { open.push(credit) }
        }
        if complete && total(&paid) != claimed {
            return Err(self.differ("claims"));
        }
        Ok(open)
    }

    /// The claims for these credits, an account each. At most [`CLAIMS_AT_ONCE`] credits fit a transaction.
    ///
    /// # Errors
    /// [`Misuse::Cohort`] when a round's set is missing or not the settled one.
    pub fn claims(&self, credits: &[Credit], cohorts: &Cohorts, period: u32) -> Result<Vec<ITreasury::Claim>, Error> {
        let (mut claims, mut trees) = (BTreeMap::<Address, ITreasury::Claim>::new(), BTreeMap::new());
        let archive = self.archive();
        for credit in credits {
            let wrong = || Misuse::Cohort { study: self.study, round: credit.round };
            let round = self.rounds.iter().find(|round| round.round == credit.round).ok_or_else(wrong)?;
            let cohort = cohorts.get(&credit.round).ok_or_else(wrong)?;
            let tree = trees.entry(credit.round).or_insert_with(|| reward_paths(cohort, &round.voters));
            let share = self.share(round, credit.index, tree.open(credit.index as usize), &archive);
            let empty = || ITreasury::Claim { study: self.study, period, account: credit.account, shares: Vec::new() };
            claims.entry(credit.account).or_insert_with(empty).shares.push(share);
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
            policy: share.policy,
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
            path,
            policy: place.policy,
            position: place.position,
            archivePath: place.path,
        }
    }

    /// Where a round stands in the archive. Archived rounds are the oldest settled ones, so that a round's number among these
    /// is its place there.
    fn place(&self, round: &PaidRound, archive: &[B256]) -> Place {
        let position = self.rounds.iter().position(|other| other.round == round.round).filter(|_| !round.on_record);
        position.map_or_else(Place::default, |position| Place {
            policy: round.version,
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
    pub(crate) policy: u16,
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

/// Most credits of one transaction: a first claim takes about 75,000 gas, and a transaction has 2^24.
pub const CLAIMS_AT_ONCE: usize = 150;

/// The leaves of a round's reward tree that are worth something.
fn credits(round: &PaidRound, cohort: &Cohort, (per_site, per_node): (U256, U256)) -> Result<Vec<Credit>, Misuse> {
    if !round.credits(cohort) {
        return Err(Misuse::Cohort { study: round.settlement.study, round: round.round });
    }
    let sites = cohort.members().iter().map(|member| (member.site, false, per_site));
    let all = sites.chain(round.voters.iter().map(|&voter| (voter, true, per_node)));
    let credit = |(index, (account, as_node, amount))| Credit { account, round: round.round, as_node, amount, index };
    Ok((0..).zip(all).map(credit).filter(|credit| !credit.amount.is_zero()).collect())
}

/// All that a payment for an archived round depends on.
fn archive_leaf(study: u64, round: &PaidRound) -> B256 {
    let settlement = round.settlement.eip712_hash_struct();
    let (sites, nodes) = (U256::from(round.sites), U256::from(round.voters.len()));
    keccak256((study, round.round, settlement, sites, nodes, U256::from(round.version)).abi_encode_params())
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
