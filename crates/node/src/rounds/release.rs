//! Sections 6.8 and 6.10: the output share over the certified set, the shares of the others, and the aggregate.

use super::verify::{self, Judged};
use super::{OpenRound, again, pull};
use crate::peers::FetchError;
use crate::service::{Service, locked};
use crate::store::StoreError;
use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::cores::Cores;
use consilium_core::field::Fp;
use consilium_core::merkle::vector_root_on;
use consilium_core::release::{NotReleased, SetMismatch};
use consilium_core::round::{Event, Unmasked};
use consilium_core::settle;
use consilium_core::unmask::{self, NoAggregate};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Pause before a share is asked for again from a peer that did not have it yet.
const AGAIN: Duration = Duration::from_millis(150);
const ATTEMPTS: usize = 5;

/// Carries out `Effect::Release`. A share that was released before a restart is served again as it was.
pub(super) async fn release(service: Arc<Service>, round: Arc<OpenRound>, cohort: Cohort) {
    let (study, number) = round.id();
    let released = || output_share(&service, &round, &cohort);
    let Some(share) = again::until_done(&round, "releasing the output share", released).await else { return };
    let Ok(root) = tokio::task::spawn_blocking(move || vector_root_on(Cores::all(), &share)).await else { return };
    tracing::info!(study, round = number, sites = cohort.size(), "the output share over the certified set is released");
    round.tell(Event::Released { root });
}

/// The one that is in memory, as the disk failed before, or else on the disk, or else the sum, which is closed with it.
async fn output_share(service: &Service, round: &Arc<OpenRound>, cohort: &Cohort) -> Result<Arc<Vec<Fp>>, StoreError> {
    let (study, number) = round.id();
    let kept = |share: Vec<Fp>| Arc::clone(locked(&round.shares).entry(round.me).insert_entry(Arc::new(share)).get());
    let in_memory = locked(&round.shares).get(&round.me).cloned();
    let share = match in_memory {
        Some(share) => share,
        None => {
            if let Some(share) = service.blobs.share(study, number, round.terms.program.output_len()).await? {
                round.sum.wipe();
                return Ok(kept(share));
            }
            let mut share = summed(service, round, cohort).await?;
            if let Some(tamper) = &service.tamper {
                tracing::warn!(study, round = number, "FIRE DRILL: this node lies about its output share");
                tamper(&mut share);
            }
            kept(share)
        }
    };
    service.blobs.put_share(study, number, Arc::clone(&share)).await?;
    Ok(share)
}

/// The running sum over exactly the certified set: what separates it is verified once more and added, or taken out.
async fn summed(service: &Service, round: &Arc<OpenRound>, cohort: &Cohort) -> Result<Vec<Fp>, StoreError> {
    loop {
        let mut ring = std::pin::pin!(round.changed.notified());
        ring.as_mut().enable();
        match round.sum.release(cohort) {
            Ok(share) => return Ok(share.into_values()),
            Err(NotReleased::Busy(_)) => ring.await,
            Err(NotReleased::Closed) => {
                return Err(StoreError::Damaged("running sum, wiped as the round was given up".into()));
            }
            Err(NotReleased::Mismatch(SetMismatch { missing, surplus })) => {
                for member in surplus {
                    verify::leave_out(service, round, member).await?;
                }
                // As many at once as there are cores: each waits for one. What one fails at takes nothing from the others.
                let adding = missing.into_iter().map(|member| add_again(service, round, member));
                futures::future::join_all(adding).await.into_iter().collect::<Result<(), _>>()?;
            }
        }
    }
}

async fn add_again(service: &Service, round: &Arc<OpenRound>, member: SetMember) -> Result<(), StoreError> {
    match verify::judge(service, round, member).await? {
        Judged::Accepted => Ok(()),
        Judged::Missing(_) | Judged::Rejected(_) => Err(StoreError::Damaged(format!("contribution {}", member.digest))),
    }
}

/// Carries out `Effect::FetchShare`. As many are on their way at once, and kept, as are needed when t peers are slow or lie, so that
/// memory holds no more of them. The machine asks again for what is on its way: that is one fetch, with one place.
pub(super) async fn fetch(service: Arc<Service>, round: Arc<OpenRound>, node: usize, root: B256) {
    let Some(peer) = round.address_of(node) else { return };
    if locked(&round.shares).contains_key(&node) || !locked(&round.fetching).insert(node) {
        return;
    }
    for _ in 0..ATTEMPTS {
        // None is wanted any more.
        let Ok(leave) = round.fetches.acquire().await else { break };
        match fetched(&service, &round, &peer, root).await {
            Fetched::Share(values) => {
                if round.keep_share(node, values) {
                    leave.forget();
                    round.tell(Event::ShareFetched { node });
                }
                break;
            }
            Fetched::Other => {
                let (study, round) = round.id();
                tracing::warn!(study, round, node, "a peer serves a share that it did not sign");
                break;
            }
            Fetched::NotYet => {}
        }
        drop(leave);
        tokio::time::sleep(AGAIN).await;
    }
    locked(&round.fetching).remove(&node);
}

/// What a peer serves as its output share.
enum Fetched {
    Share(Vec<Fp>),
    /// Something else than what it signed.
    Other,
    NotYet,
}

/// Length, canonical form and root are checked before the machine hears of it.
async fn fetched(service: &Service, round: &OpenRound, peer: &Address, root: B256) -> Fetched {
    let (study, number) = round.id();
    let length = round.terms.program.output_len();
    // A peer that drips must not hold its place for ever.
    let values = match timeout(pull::patience(8 * length), service.peers.share(peer, study, number, length)).await {
        Ok(Ok(values)) => values,
        Ok(Err(FetchError::Malformed(_))) => return Fetched::Other,
        Ok(Err(error)) => {
            tracing::debug!(study, round = number, %peer, %error, "a share is not to be had yet");
            return Fetched::NotYet;
        }
        Err(_) => {
            tracing::warn!(study, round = number, %peer, "fetching a share took too long");
            return Fetched::NotYet;
        }
    };
    let signed = move || (vector_root_on(Cores::all(), &values) == root).then_some(values);
    tokio::task::spawn_blocking(signed).await.ok().flatten().map_or(Fetched::Other, Fetched::Share)
}

/// Carries out `Effect::Unmask`: the aggregate is kept, and what all honest nodes sign goes to the machine.
pub(super) async fn unmask(service: Arc<Service>, round: Arc<OpenRound>, nodes: Vec<usize>) {
    let (study, number) = round.id();
    let _alone = round.unmasking.lock().await;
    if round.fetches.is_closed() {
        return;
    }
    let shared = Arc::clone(&round);
    let Ok(interpolated) = tokio::task::spawn_blocking(move || interpolate(&shared, &nodes)).await else { return };
    // Without, one of them is wrong: there is room for t of those.
    let Some((unmasked, aggregate)) = interpolated else { return };
    if !unmasked.liars.is_empty() {
        tracing::warn!(study, round = number, nodes = ?unmasked.liars, "these nodes serve wrong output shares");
    }
    round.forget_shares();
    let keep = || service.blobs.put_aggregate(study, number, Arc::clone(&aggregate));
    if again::until_done(&round, "keeping the aggregate", keep).await.is_some() {
        round.tell(Event::Unmasked(unmasked));
    }
}

fn interpolate(round: &OpenRound, nodes: &[usize]) -> Option<(Unmasked, Arc<Vec<Fp>>)> {
    let shares = locked(&round.shares).clone();
    let served: BTreeMap<usize, &[Fp]> = nodes.iter().filter_map(|node| Some((*node, shares.get(node)?.as_slice()))).collect();
    let (study, number) = round.id();
    let aggregate = match unmask::unmask_on(Cores::all(), round.terms.committee.sizes(), &served, &mut UnwrapErr(SysRng)) {
        Ok(aggregate) => aggregate,
        Err(waiting @ NoAggregate::NotEnoughAgree { .. }) => {
            tracing::warn!(study, round = number, %waiting, "no aggregate yet");
            return None;
        }
        Err(broken @ NoAggregate::TooManyWrong { .. }) => {
            tracing::error!(study, round = number, %broken, "no aggregate");
            return None;
        }
    };
    let machine = locked(&round.machine);
    let settlement = settle::settlement(study, number, machine.certified()?, machine.voters(), &aggregate);
    let share_roots = aggregate.share_roots().to_vec();
    let unmasked = Unmasked { settlement, share_roots, liars: aggregate.liars().to_vec() };
    Some((unmasked, Arc::new(aggregate.into_values())))
}
