//! The leaves of a reward tree that claims have shown. A root that is not the set's can be proved wrong by a leaf alone, and
//! whoever has a credit of it paid shows one, in the input of its transaction.

use crate::contracts::Treasury as T;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::round::{Round, Settled};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::{B256, Bytes, U256};
use consilium_core::certify::SetLeaves;
use consilium_core::rewards::{RewardFlaw, RewardLeaf, Rewards};
use std::collections::BTreeSet;

/// What can be said of a round's settled rewards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewarded {
    /// They are those of the set and its voters.
    Right,
    /// They are not, and this proves it to the contract.
    Proved(RewardFlaw),
    /// They are not, and nobody has shown anything of their tree.
    Wrong,
    /// Nothing is settled, or nobody shows the set.
    Unknown,
}

impl Ledger {
    /// Holds a round's settled rewards against its set, whose leaves are given where somebody shows them. A wrong root is
    /// proved by what the claims of its credits show, or by a guess: see core's `rewards`.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn rewarded(&self, round: &Round, leaves: Option<&SetLeaves>) -> Result<Rewarded, Error> {
        let (Some(certified), Some(settled)) = (&round.certificate, &round.settlement) else { return Ok(Rewarded::Unknown) };
        let root = settled.settlement.rewardRoot;
        let rewards = Rewards { committee: &round.terms.committee, set: certified.set(), leaves, root };
        let is_right = rewards.are_right();
        if is_right == Some(true) {
            return Ok(Rewarded::Right);
        }
        let flaw = match rewards.guess(settled.signers) {
            Some(flaw) => Some(flaw),
            None => self.flaw_in_claims(round, settled, &rewards).await?,
        };
        Ok(match (flaw, is_right) {
            (Some(flaw), _) => Rewarded::Proved(flaw),
            (None, Some(_)) => Rewarded::Wrong,
            (None, None) => Rewarded::Unknown,
        })
    }

    /// What the claims of a round's credits prove against its rewards: nothing when nobody has been paid yet, or when every
    /// claim went through a contract of somebody's, so that no input shows it. Reads the claims of the study since the
    /// settlement, up to the block at which the round was read, until one proves something.
    async fn flaw_in_claims(&self, round: &Round, settled: &Settled, rewards: &Rewards<'_>) -> Result<Option<RewardFlaw>, Error> {
        for transaction in self.claims_of(round, settled).await? {
            let Some((to, input)) = self.input_of(transaction).await? else { continue };
            if to != Some(self.addresses().treasury) {
                continue;
            }
            if let Some(flaw) = shown(round, &input).into_iter().find_map(|leaf| rewards.judge(leaf)) {
                return Ok(Some(flaw));
            }
        }
        Ok(None)
    }

    /// The transactions that claimed anything of the study since a settlement.
    async fn claims_of(&self, round: &Round, settled: &Settled) -> Result<BTreeSet<B256>, Error> {
        let filter = Filter::new()
            .address(self.addresses().treasury)
            .event_signature(T::Claimed::SIGNATURE_HASH)
            .topic1(B256::from(U256::from(round.terms.study)));
        let logs = self.logs(&filter, settled.at.block.number, round.read_at.number).await?;
        Ok(self.decode(&logs).events.into_iter().map(|event| event.at.transaction).collect())
    }
}

/// The leaves that claims of a round's credits show.
fn shown(round: &Round, input: &Bytes) -> Vec<RewardLeaf> {
    let Ok(call) = T::claimCall::abi_decode(input) else { return Vec::new() };
    let (study, number) = (round.terms.study, round.terms.round);
    let mut leaves = Vec::new();
    for claim in call.claims.into_iter().filter(|claim| claim.study == study) {
        for share in claim.shares.into_iter().filter(|share| share.round == number) {
            leaves.push(RewardLeaf::of_claim(share.index, claim.account, share.index >= share.sites, share.path));
        }
    }
    leaves
}
