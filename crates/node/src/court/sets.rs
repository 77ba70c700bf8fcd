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
use consilium_ledger::{Rewarded, Round, State};
use serde::Deserialize;
use std::sync::Arc;

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
    let Some(leaves) = leaves(service, round).await? else { return Ok(Finding::Unknown) };
    Ok(match round.foreign_site(&leaves) {
        Ok(Some(proof)) => Finding::Wrong(Box::new(Charge::ForeignSite(Box::new(proof)))),
        Ok(None) => Finding::Sound("every site of it is on the list"),
        Err(_) => Finding::Unknown,
    })
}

/// Whether the settled rewards are those of the set and its voters.
pub(super) async fn rewards(service: &Arc<Service>, round: &Round) -> Result<Finding, CheckError> {
    if round.state != State::Settled {
        return Ok(Finding::Unknown);
    }
    let leaves = leaves(service, round).await?;
    Ok(match service.ledger().rewarded(round, leaves.as_ref()).await? {
        Rewarded::Right => Finding::Sound("they are those of the set and its voters"),
        Rewarded::Proved(flaw) => Finding::Wrong(Box::new(Charge::WrongReward(flaw))),
        Rewarded::Wrong => {
            let (study, round) = (round.terms.study, round.terms.round);
            tracing::error!(
                study,
                round,
                "the settled rewards are not those of the set: that is proved as soon as a claim shows one of their leaves"
            );
            Finding::Unknown
        }
        Rewarded::Unknown => Finding::Unknown,
    })
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
    let most = round.longest_set();
    for member in terms.committee.members().iter().filter(|member| member.address != service.address()) {
        let served = in_time(most, service.peers.set(&member.address, study, number, most)).await;
        let served: Option<Served> = served.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        if let Some(leaves) = served.and_then(|Served { members }| SetLeaves::under(&root, members)) {
            return Ok(Some(leaves));
        }
    }
    Ok(None)
}
