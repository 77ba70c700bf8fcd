//! Section 6.3: seeds for a node whose box was bad. They leave only sealed to that node's registered key, and what
//! arrives is kept sealed.

use super::verify::{self, Boxes};
use super::{OpenRound, seat};
use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::StoreError;
use alloy_primitives::Bytes;
use consilium_core::certify::SetMember;
use consilium_core::round::Message;
use consilium_core::seal::{BoxContext, seal_repair};
use getrandom::SysRng;
use rand_core::UnwrapErr;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Carries out `Effect::AnswerSeeds`. The machine has checked that the asking node is entitled to these seeds.
pub(super) async fn answer(service: Arc<Service>, round: Arc<OpenRound>, to: usize, member: SetMember, numbers: Vec<usize>) {
    // What is not answered now is asked for again.
    let Some(_leave) = round.mailbox.answer(to) else { return };
    let _core = service.cores.acquire().await;
    let boxes = match Boxes::read(&service, &round, &member).await {
        Ok(boxes) => boxes,
        Err(error) => return tracing::error!(%error, site = %member.site, "cannot answer a request for seeds"),
    };
    let shared = Arc::clone(&round);
    let sealing = tokio::task::spawn_blocking(move || seal_all(&shared, &boxes, to, &member, &numbers));
    match sealing.await {
        Ok(sealed) if !sealed.is_empty() => {
            tracing::info!(to, site = %member.site, seeds = sealed.len(), "sending sealed seeds to a node whose box was bad");
            seat::broadcast(&service, &round, Some(to), &Message::Seeds { member, sealed });
        }
        _ => tracing::warn!(to, site = %member.site, "no seeds could be sealed: the node's KEM key is invalid"),
    }
}

fn seal_all(round: &OpenRound, boxes: &Boxes, to: usize, member: &SetMember, numbers: &[usize]) -> BTreeMap<usize, Bytes> {
    let Some(asking) = round.terms.committee.member(to) else { return BTreeMap::new() };
    let seeds = boxes.seeds(round, member);
    let context = BoxContext { ctx: round.context.of_site(member.site), digest: member.digest, node: to };
    let mut rng = UnwrapErr(SysRng);
    let mut sealed = BTreeMap::new();
    for number in numbers {
        let Some(seed) = seeds.get(number) else { continue };
        if let Ok(bytes) = seal_repair(&asking.kem_key, &context, *number, seed, &mut rng) {
            sealed.insert(*number, bytes.into());
        }
    }
    sealed
}

/// Carries out `Effect::OpenSeeds`: keeps those answers that open and match their commitments, sealed as they came, and
/// verifies again.
pub(super) async fn open(service: Arc<Service>, round: Arc<OpenRound>, member: SetMember, sealed: BTreeMap<usize, Bytes>) {
    if !keep_answers(&service, &round, member, sealed).await {
        return;
    }
    verify::run(Arc::clone(&service), Arc::clone(&round), member).await;
    round.repairing.lock().await.remove(&member);
    if !round.is_missing_seeds(&member) {
        Metrics::add(&service.metrics.boxes_repaired, 1);
    }
}

/// Whether to verify again: something worth keeping is kept, and the contribution is not being verified with an earlier
/// answer. A verification may wait for the disk or for peers; it holds nobody else up.
async fn keep_answers(service: &Service, round: &OpenRound, member: SetMember, sealed: BTreeMap<usize, Bytes>) -> bool {
    // One after the other: mostly the first answer is enough.
    let mut verifying = round.repairing.lock().await;
    if !round.is_missing_seeds(&member) {
        return false;
    }
    let ((study, number), opening) = (round.id(), round.opening);
    let good = match Boxes::read(service, round, &member).await {
        Ok(boxes) => boxes.good_answers(round, &member, sealed),
        // Verifying pulls it again.
        Err(StoreError::Lost(_)) => return verifying.insert(member),
        Err(error) => {
            tracing::error!(%error, site = %member.site, "seeds of peers cannot be checked");
            return false;
        }
    };
    if good.is_empty() {
        tracing::warn!(study, round = number, site = %member.site, "a peer sent seeds that do not match their commitments");
        return false;
    }
    match service.database.run(move |db| db.add_repairs(&opening, &member.digest, &good)).await {
        Ok(kept) => kept && verifying.insert(member),
        Err(error) => {
            tracing::error!(%error, site = %member.site, "seeds of peers cannot be kept");
            false
        }
    }
}
