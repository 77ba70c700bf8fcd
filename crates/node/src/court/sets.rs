//! Certified sets and settled rewards, held against each other and against the list of admitted sites by every node of their
//! committee.
//!
//! A set that this node's round machine holds is in order: it takes in none with a site that was not admitted. The leaves of
//! any other set are asked of the peers, who may not show them. Rewards follow from the set and the voters, so that a wrong
//! root is seen at once; the proof needs a leaf of the wrong tree, which claims show when they are paid, or a good guess: see
//! core's `rewards`. Both are tried again as long as the round is on record.

use super::settlements::{CheckError, Finding, in_time};
use crate::rounds::Entry;
use crate::service::{Service, locked};
use consilium_core::accusation::Charge;
use consilium_core::certify::{Cohort, SetLeaves, SetMember};
use consilium_core::foreign::ForeignSite;
use consilium_core::rewards::Rewards;
use consilium_ledger::{Round, State};
use serde::Deserialize;
use std::sync::Arc;

/// JSON bytes of one member of a set, generously.
const MEMBER_BYTES: usize = 512;
/// Sites beyond those of the list that are read of a set: liars may certify more than were admitted.
const SURPLUS: usize = 1 << 14;

/// What nodes serve as a set, and what is kept of it.
#[derive(Deserialize)]
struct Served {
    members: Vec<SetMember>,
}

/// Whether this node's machine holds the set that the chain shows as certified.
pub(super) fn is_known(service: &Service, study: u64, round: u64) -> bool {
    let Some(Entry::Open(open)) = service.rounds.get(study, round) else { return false };
    let shown = locked(&open.certificate).as_ref().map(|certificate| certificate.vote.setRoot);
    let held = locked(&open.machine).certified().map(Cohort::root);
    shown.is_some() && shown == held
}

/// Whether every site of the certified set was admitted when the round opened.
pub(super) async fn certified(service: &Arc<Service>, round: &Round) -> Result<Finding, CheckError> {
    let (Some(certified), Ok(list)) = (&round.certificate, round.site_list()) else { return Ok(Finding::Unknown) };
    let Some(leaves) = leaves(service, round).await? else { return Ok(Finding::Unknown) };
    Ok(match ForeignSite::find(&certified.set(), &leaves, &list) {
        Some(proof) => Finding::Wrong(Box::new(Charge::ForeignSite(Box::new(proof)))),
        None => Finding::Sound("every site of it is on the list"),
    })
}

/// Whether the settled rewards are those of the set and its voters.
pub(super) async fn rewards(service: &Arc<Service>, round: &Round) -> Result<Finding, CheckError> {
    let settled = round.settlement.as_ref().filter(|_| round.state == State::Settled);
    let (Some(certified), Some(settled)) = (&round.certificate, settled) else { return Ok(Finding::Unknown) };
    let (leaves, root) = (leaves(service, round).await?, settled.settlement.rewardRoot);
    let rewards = Rewards { committee: &round.terms.committee, set: certified.set(), leaves: leaves.as_ref(), root };
    let is_right = rewards.are_right();
    if is_right == Some(true) {
        return Ok(Finding::Sound("they are those of the set and its voters"));
    }
    let flaw = match rewards.guess(settled.signers) {
        Some(flaw) => Some(flaw),
        None => service.ledger().flaw_in_claims(round, &rewards).await?,
    };
    if let Some(flaw) = flaw {
        return Ok(Finding::Wrong(Box::new(Charge::WrongReward(flaw))));
    }
    if is_right == Some(false) {
        let (study, round) = (round.terms.study, round.terms.round);
        tracing::error!(
            study,
            round,
            "the settled rewards are not those of the set: that is proved as soon as a claim shows one of their leaves"
        );
    }
    Ok(Finding::Unknown)
}

/// What is under the certified root: as this node has kept it, or as a peer shows it.
async fn leaves(service: &Arc<Service>, round: &Round) -> Result<Option<SetLeaves>, CheckError> {
    let (terms, Some(certified)) = (&round.terms, &round.certificate) else { return Ok(None) };
    let (study, number, root) = (terms.study, terms.round, certified.vote.setRoot);
    if let Some(Entry::Open(open)) = service.rounds.get(study, number)
        && let Some(held) = locked(&open.machine).certified().filter(|held| held.root() == root)
    {
        return Ok(Some(held.into()));
    }
    let closed = service.database.run(move |db| db.closed(study, number)).await?;
    let kept = closed.and_then(|closed| serde_json::from_value(closed.set?).ok());
    if let Some(leaves) = kept.and_then(|Served { members }| SetLeaves::under(&root, members)) {
        return Ok(Some(leaves));
    }
    let sites = (certified.vote.size as usize).clamp(terms.sites.len(), terms.sites.len() + SURPLUS);
    let most = MEMBER_BYTES * (sites + terms.committee.members().len() + 1);
    for member in terms.committee.members().iter().filter(|member| member.address != service.address()) {
        let served = in_time(most, service.peers.set(&member.address, study, number, most)).await;
        let served: Option<Served> = served.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(leaves) = served.and_then(|Served { members }| SetLeaves::under(&root, members)) {
            return Ok(Some(leaves));
        }
    }
    Ok(None)
}
