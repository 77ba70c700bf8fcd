//! A site's contribution arrives: the header is checked before the first byte of the masked vector is kept, the vector is
//! hashed while it is written, and nothing counts until all of it is there and authentic.

use super::access;
use super::{Refused, Shared};
use crate::court::sites;
use crate::metrics::Metrics;
use crate::rounds::{OpenRound, Outcome};
use crate::service::{Service, locked};
use crate::store;
use alloy_primitives::B256;
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use consilium_core::certify::SetMember;
use consilium_core::contribution::Contribution;
use consilium_core::round::{Event, Stage};
use futures::StreamExt as _;
use serde_json::{Value, json};
use std::time::Duration;

/// How long the answer waits for the verification.
const VERDICT: Duration = Duration::from_secs(60);
/// How long the rest of a refused body is read, so that the sender gets to see the answer.
const DRAIN: Duration = Duration::from_secs(5);

/// A body in pieces, with a bound on the pause between them.
struct Pieces {
    body: axum::body::BodyDataStream,
    rest: Bytes,
    idle: Duration,
    taken: usize,
}

impl Pieces {
    fn new(body: Body, idle: Duration) -> Self {
        Self { body: body.into_data_stream(), rest: Bytes::new(), idle, taken: 0 }
    }

    /// The next piece, which is not empty.
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        while self.rest.is_empty() {
            match tokio::time::timeout(self.idle, self.body.next()).await {
                Err(_) => return Err(Refused::too_slow()),
                Ok(None) => return Ok(None),
                Ok(Some(Err(_))) => return Err(Refused::format("the body broke off")),
                Ok(Some(Ok(piece))) => self.rest = piece,
            }
        }
        self.taken += self.rest.len();
        Ok(Some(std::mem::take(&mut self.rest)))
    }

    /// Exactly `length` bytes.
    async fn exactly(&mut self, length: usize, what: &str) -> Result<Vec<u8>, Refused> {
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let Some(mut piece) = self.next().await? else {
                return Err(Refused::format(format!("truncated: the {what} needs {} more bytes", length - bytes.len())));
            };
            let wanted = piece.len().min(length - bytes.len());
            bytes.extend_from_slice(&piece.split_to(wanted));
            self.taken -= piece.len();
            self.rest = piece;
        }
        Ok(bytes)
    }

    /// Reads on for a while, without keeping anything.
    async fn drain(mut self, most: usize) {
        let reading = async { while self.taken <= most && matches!(self.next().await, Ok(Some(_))) {} };
        let _late = tokio::time::timeout(DRAIN, reading).await;
    }
}

/// `POST /v1/studies/S/rounds/R/contributions`.
pub(super) async fn contribution(
    State(service): Shared,
    path: Result<Path<(u64, u64)>, axum::extract::rejection::PathRejection>,
    body: Body,
) -> Result<Json<Value>, Refused> {
    let Path((study, round)) = path.map_err(|error| Refused::format(error.body_text()))?;
    let mut pieces = Pieces::new(body, Duration::from_secs(service.config.limits.idle_seconds));
    let stored = match access::open_round(&service, study, round).await {
        Ok(open) => take_in(&service, &open, &mut pieces).await.map(|member| (open, member)),
        Err(refused) => Err(refused),
    };
    Metrics::add(&service.metrics.bytes_in, pieces.taken);
    match stored {
        Ok((open, member)) => answer(&open, &member).await,
        Err(refused) => {
            Metrics::add(&service.metrics.refused_uploads, 1);
            pieces.drain(64 << 20).await;
            Err(refused)
        }
    }
}

/// Receives a contribution whole, or nothing of it.
async fn take_in(service: &Service, open: &OpenRound, pieces: &mut Pieces) -> Result<SetMember, Refused> {
    let _permit = service.uploads.try_acquire().map_err(|_| Refused::busy("too many uploads at the same time"))?;
    if open.stage() != Stage::Collecting {
        return Err(Refused::round_closed());
    }
    if open.is_paused() {
        return Err(Refused::not_ready("an end of the round is on the chain, and not final yet"));
    }
    let (header, contribution, member) = receive_header(service, open, pieces).await?;
    if !is_known(service, open, &member)? {
        receive_values(service, open, pieces, &member.digest, &contribution.body.values_hash).await?;
        service.blobs.put_header(&member.digest, header.into()).await?;
        if !store::keep(&service.database, &service.blobs, open.opening, member).await? {
            return Err(Refused::round_closed());
        }
        // Another one may have been on its way at the same time: whichever is kept last sees both.
        sites::compare(service, open, &contribution, member.digest).await?;
        open.tell(Event::Stored(member));
    }
    Ok(member)
}

async fn receive_header(
    service: &Service,
    open: &OpenRound,
    pieces: &mut Pieces,
) -> Result<(Vec<u8>, Contribution, SetMember), Refused> {
    let length = pieces.exactly(4, "length of the header").await?;
    let length = length.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let most = open.shape.max_header_len();
    if length > most {
        return Err(Refused::too_large(format!("the header announces {length} bytes, in this round it has at most {most}")));
    }
    let bytes = pieces.exactly(length, "header").await?;
    let contribution = Contribution::from_bytes(&bytes, &open.shape)
        .map_err(|error| Refused::format(format!("the header is malformed: {error}")))?;
    if (contribution.study, contribution.round) != open.id() {
        return Err(Refused::wrong_round(contribution.study, contribution.round));
    }
    if !open.terms.admits(&contribution.site) {
        return Err(Refused::not_admitted(contribution.site));
    }
    let digest = contribution
        .authenticate(&service.domain, &open.context)
        .map_err(|error| Refused::signature(format!("the site's signature does not hold: {error}")))?;
    sites::compare(service, open, &contribution, digest).await?;
    let member = SetMember { site: contribution.site, digest };
    Ok((bytes, contribution, member))
}

/// Whether this contribution is here already; another one of the same site that is not rejected bars it.
fn is_known(service: &Service, open: &OpenRound, member: &SetMember) -> Result<bool, Refused> {
    let machine = locked(&open.machine);
    if machine.accepted().contains(member) || machine.rejected().contains_key(member) || open.is_missing_seeds(member) {
        return Ok(true);
    }
    let receipted = machine.receipts_of(&member.site).iter().any(|receipt| receipt.member != *member && receipt.node == open.me);
    if receipted || machine.accepted().iter().any(|held| held.site == member.site) {
        return Err(Refused::second_contribution("another contribution of this site is here already"));
    }
    let rejected = machine.rejected().keys().filter(|other| other.site == member.site).count();
    if rejected + open.missing_of(&member.site) >= service.config.limits.rejected_per_site {
        return Err(Refused::second_contribution(
            "too many contributions of this site were rejected, or have a bad box here, in this round",
        ));
    }
    Ok(false)
}

async fn receive_values(
    service: &Service,
    open: &OpenRound,
    pieces: &mut Pieces,
    digest: &B256,
    address: &B256,
) -> Result<(), Refused> {
    let length = open.shape.values_len();
    let mut upload = service.blobs.upload_values(digest, length).await?;
    let mut received = 0;
    while let Some(piece) = pieces.next().await? {
        received += piece.len();
        if received > length {
            return Err(Refused::too_large(format!("the masked vector has {length} bytes in this round, more arrived")));
        }
        upload.write(&piece).await?;
    }
    if received < length {
        return Err(Refused::format(format!("truncated: the masked vector needs {} more bytes", length - received)));
    }
    if !upload.finish(address).await? {
        return Err(Refused::format("the masked vector does not have the hash that the header names"));
    }
    Ok(())
}

async fn answer(open: &OpenRound, member: &SetMember) -> Result<Json<Value>, Refused> {
    match open.judged(member, VERDICT).await {
        Outcome::Receipts(receipts) => {
            let receipts: Vec<_> = receipts.into_iter().filter(|receipt| receipt.member == *member).collect();
            Ok(Json(json!({"site": member.site, "digest": member.digest, "receipts": receipts})))
        }
        Outcome::Rejected(step) => Err(Refused::rejected(step)),
        Outcome::BadBox => Err(Refused::not_ready(
            "the box for this node does not open; the contribution is kept, and repaired once other nodes hold it",
        )),
        Outcome::Pending => Err(Refused::not_ready("the contribution is stored and not verified yet; ask for its receipts")),
        Outcome::Closed => Err(Refused::round_closed()),
    }
}
