//! Pulling contributions from peers that have signed a receipt for them. What arrives is checked like an upload, and
//! stored only when it is complete and authentic.

use super::OpenRound;
use crate::court::sites;
use crate::metrics::Metrics;
use crate::peers::FetchError;
use crate::service::{Service, locked};
use crate::store::{self, StoreError};
use alloy_primitives::Address;
use consilium_core::certify::SetMember;
use consilium_core::contribution::Contribution;
use consilium_core::round::Event;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::time::timeout;

#[derive(Debug, Error)]
enum PullError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the peer sent something else than the contribution with this digest")]
    Foreign,
    #[error("the round has ended meanwhile")]
    Over,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a pull may take at least.
const LEAST_PATIENCE: Duration = Duration::from_secs(20);
/// The slowest peer that is waited for.
const LEAST_BYTES_A_SECOND: usize = 100_000;

/// How long a peer may take to serve so many bytes.
pub(crate) fn patience(bytes: usize) -> Duration {
    LEAST_PATIENCE + Duration::from_secs((bytes / LEAST_BYTES_A_SECOND) as u64)
}

/// Carries out `Effect::Pull`, unless the contribution is on its way already.
pub(super) fn start(service: &Arc<Service>, round: &Arc<OpenRound>, member: SetMember, from: Vec<usize>) {
    if locked(&round.pulling).insert(member) {
        service.spawn(run(Arc::clone(service), Arc::clone(round), member, from));
    }
}

async fn run(service: Arc<Service>, round: Arc<OpenRound>, member: SetMember, from: Vec<usize>) {
    if from_any(&service, &round, &member, from).await {
        round.tell(Event::Stored(member));
    }
    locked(&round.pulling).remove(&member);
}

/// Throws away what the disk holds of a contribution and pulls it again, since it is not what was written.
pub(super) async fn afresh(service: &Service, round: &OpenRound, member: &SetMember) -> Result<(), StoreError> {
    let (study, number) = round.id();
    tracing::error!(study, round = number, site = %member.site, "a contribution is damaged on the disk: asking the peers for it");
    service.blobs.forget(&member.digest).await?;
    let found = from_any(service, round, member, Vec::new()).await;
    if found { Ok(()) } else { Err(StoreError::Lost(member.digest)) }
}

/// Pulls from these nodes, or from all others if none is named, until one has it. Whether one had.
async fn from_any(service: &Service, round: &OpenRound, member: &SetMember, from: Vec<usize>) -> bool {
    let _permit = service.pulls.acquire().await;
    let (study, number) = round.id();
    // A peer that drips must not hold a place for ever: a slow line gets through at this rate.
    let patience = patience(round.shape.values_len());
    let anyone = if from.is_empty() { (1..=round.terms.committee.members().len()).collect() } else { from };
    for node in anyone.into_iter().filter(|node| *node != round.me) {
        let Some(peer) = round.address_of(node) else { continue };
        match timeout(patience, pull(service, round, member, &peer)).await {
            Ok(Ok(())) => return true,
            Err(_) => tracing::warn!(study, round = number, node, site = %member.site, "pulling took too long"),
            Ok(Err(error)) => tracing::debug!(study, round = number, node, site = %member.site, %error, "pulling failed"),
        }
    }
    false
}

async fn pull(service: &Service, round: &OpenRound, member: &SetMember, peer: &Address) -> Result<(), PullError> {
    let (study, number) = round.id();
    let digest = &member.digest;
    let header = service.peers.header(peer, study, number, digest, round.shape.max_header_len()).await?;
    let contribution = Contribution::from_bytes(&header, &round.shape).map_err(|_| PullError::Foreign)?;
    let authentic = contribution.authenticate(&round.terms.domain, &round.context);
    if contribution.site != member.site || authentic.as_ref() != Ok(digest) {
        return Err(PullError::Foreign);
    }
    sites::compare(service, round, &contribution, *digest).await?;
    let length = round.shape.values_len();
    let mut answer = service.peers.values(peer, study, number, digest).await?;
    let mut upload = service.blobs.upload_values(digest, length).await?;
    let mut received = 0;
    while let Some(piece) = answer.chunk().await.map_err(FetchError::from)? {
        received += piece.len();
        if received > length {
            return Err(FetchError::TooLong(length).into());
        }
        upload.write(&piece).await?;
    }
    Metrics::add(&service.metrics.bytes_in, received);
    if received != length || !upload.finish(&contribution.body.values_hash).await? {
        return Err(PullError::Foreign);
    }
    service.blobs.put_header(digest, header.into()).await?;
    let kept = store::keep(&service.database, &service.blobs, round.opening, *member).await?;
    if !kept {
        return Err(PullError::Over);
    }
    // Another one may have been on its way at the same time: whichever is kept last sees both.
    Ok(sites::compare(service, round, &contribution, *digest).await?)
}
