//! Sections 6.8 and 6.10: the output share over the certified set, the shares of the others, and the aggregate.

use super::verify::{self, Judged};
use super::{OpenRound, again};
use crate::service::{Service, locked};
use crate::store::StoreError;
use alloy_primitives::B256;
use bytes::Bytes;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::cores::Cores;
use consilium_core::field::{self, Fp};
use consilium_core::merkle::vector_root_on;
use consilium_core::release::SetMismatch;
use consilium_core::round::{Event, Unmasked};
use consilium_core::{settle, unmask};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Pause before a share is asked for again from a peer that did not have it yet.
const AGAIN: Duration = Duration::from_millis(150);
const ATTEMPTS: usize = 5;

/// Carries out `Effect::Release`. A share that was released before a restart is served again as it was.
pub(super) async fn release(service: Arc<Service>, round: Arc<OpenRound>, cohort: Cohort) {
    let (study, number) = round.id();
    let released = || output_share(&service, &round, &cohort);
    let Some(share) = again::until_done(&round, "releasing the output share", released).await else { return };
    let hashing = tokio::task::spawn_blocking(move || (vector_root_on(Cores::all(), &share), share));
    let Ok((root, share)) = hashing.await else { return };
    locked(&round.shares).insert(round.me, share);
    tracing::info!(study, round = number, sites = cohort.size(), "the output share over the certified set is released");
    round.tell(Event::Released { root });
}

async fn output_share(service: &Service, round: &Arc<OpenRound>, cohort: &Cohort) -> Result<Vec<Fp>, StoreError> {
    let (study, number) = round.id();
    let length = round.terms.program.output_len();
    if let Some(bytes) = service.blobs.share(study, number).await? {
        return field::from_bytes(&bytes, length, "output share").map_err(|_| StoreError::Damaged("output share".into()));
    }
    let mut share = summed(service, round, cohort).await?;
    // The running sum is wiped when the round is given up, also while members are verified again: what is added to a sum
    // of no elements leaves none, and its root must never be signed.
    if share.len() != length {
        return Err(StoreError::Damaged("running sum, wiped as the round was given up".into()));
    }
    if let Some(tamper) = &service.tamper {
        tracing::warn!(study, round = number, "FIRE DRILL: this node lies about its output share");
        tamper(&mut share);
    }
    service.blobs.put_share(study, number, Bytes::from(field::to_bytes(&share))).await?;
    Ok(share)
}

/// The running sum over exactly the certified set: what separates it is verified once more and added or taken out.
async fn summed(service: &Service, round: &Arc<OpenRound>, cohort: &Cohort) -> Result<Vec<Fp>, StoreError> {
    loop {
        let released = locked(&round.sum).release_on(Cores::all(), cohort);
        let SetMismatch { missing, surplus } = match released {
            Ok(share) => return Ok(share.into_values()),
            Err(mismatch) => mismatch,
        };
        for member in missing {
            let accepted = accepted_again(service, round, member).await?;
            locked(&round.sum).add(&accepted);
        }
        for member in surplus {
            let accepted = accepted_again(service, round, member).await?;
            locked(&round.sum).subtract(&accepted);
        }
    }
}

async fn accepted_again(
    service: &Service,
    round: &Arc<OpenRound>,
    member: SetMember,
) -> Result<consilium_core::verify::Accepted, StoreError> {
    match verify::judge(service, round, member).await? {
        Judged::Accepted(accepted) => Ok(accepted),
        Judged::Missing(_) | Judged::Rejected(_) => Err(StoreError::Damaged(format!("contribution {}", member.digest))),
    }
}

/// Carries out `Effect::FetchShare`: length, canonical form and root are checked before the machine hears of it.
pub(super) async fn fetch(service: Arc<Service>, round: Arc<OpenRound>, node: usize, root: B256) {
    let (study, number) = round.id();
    let Some(peer) = round.address_of(node) else { return };
    let length = round.terms.program.output_len();
    for _ in 0..ATTEMPTS {
        match service.peers.share(&peer, study, number, 8 * length).await {
            Ok(bytes) => {
                let signed = move |got: &Vec<Fp>| vector_root_on(Cores::all(), got) == root;
                let reading = move || field::from_bytes(&bytes, length, "output share").ok().filter(signed);
                return match tokio::task::spawn_blocking(reading).await.ok().flatten() {
                    Some(values) => {
                        locked(&round.shares).insert(node, values);
                        round.tell(Event::ShareFetched { node });
                    }
                    None => tracing::warn!(study, round = number, node, "a peer serves a share that it did not sign"),
                };
            }
            Err(error) => tracing::debug!(study, round = number, node, %error, "a share is not to be had yet"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Carries out `Effect::Unmask`: the aggregate is kept, and what all honest nodes sign goes to the machine.
pub(super) async fn unmask(service: Arc<Service>, round: Arc<OpenRound>, nodes: Vec<usize>) {
    let (study, number) = round.id();
    let shared = Arc::clone(&round);
    let Ok(Some((unmasked, bytes))) = tokio::task::spawn_blocking(move || interpolate(&shared, &nodes)).await else { return };
    if !unmasked.liars.is_empty() {
        tracing::warn!(study, round = number, nodes = ?unmasked.liars, "these nodes serve wrong output shares");
    }
    let bytes = Bytes::from(bytes);
    let keep = || service.blobs.put_aggregate(study, number, bytes.clone());
    if again::until_done(&round, "keeping the aggregate", keep).await.is_some() {
        round.tell(Event::Unmasked(unmasked));
    }
}

fn interpolate(round: &OpenRound, nodes: &[usize]) -> Option<(Unmasked, Vec<u8>)> {
    let shares = locked(&round.shares);
    let served: BTreeMap<usize, &[Fp]> = nodes.iter().filter_map(|node| Some((*node, shares.get(node)?.as_slice()))).collect();
    let (study, number) = round.id();
    let aggregate = match unmask::unmask_on(Cores::all(), round.terms.committee.sizes(), &served) {
        Ok(aggregate) => aggregate,
        Err(waiting) => {
            tracing::warn!(study, round = number, %waiting, "no aggregate yet");
            return None;
        }
    };
    let machine = locked(&round.machine);
    let settlement = settle::settlement(study, number, machine.certified()?, machine.voters(), &aggregate);
    let share_roots = aggregate.share_roots().to_vec();
    let unmasked = Unmasked { settlement, share_roots, liars: aggregate.liars().to_vec() };
    Some((unmasked, field::to_bytes(aggregate.values())))
}
