//! The leaves of a reward tree that claims have shown. A root that is not the set's can be proved wrong by a leaf alone, and
//! whoever has a credit of it paid shows one, in the input of its transaction.

use crate::contracts::Treasury as T;
use crate::endpoint::Ledger;
use crate::error::Error;
use crate::study::{Round, Settled};
use alloy::rpc::types::Filter;
use alloy::sol_types::{SolCall, SolEvent};
use alloy_primitives::{B256, Bytes, U256};
use consilium_core::rewards::{RewardFlaw, RewardLeaf, Rewards};
use std::collections::BTreeSet;

impl Ledger {
    /// What the claims of a round's credits prove against its rewards: nothing when these are right, when nobody has been
    /// paid yet, or when every claim went through a contract of somebody's, so that no input shows it. Reads the claims of
    /// the study since the settlement, up to the block at which the round was read, until one proves something.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn flaw_in_claims(&self, round: &Round, rewards: &Rewards<'_>) -> Result<Option<RewardFlaw>, Error> {
        let Some(settled) = &round.settlement else { return Ok(None) };
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
