//! Verification of a stored contribution, on a blocking thread, as many at once as there are cores.

use super::{OpenRound, again, pull};
use crate::metrics::Metrics;
use crate::service::{Service, locked};
use crate::store::StoreError;
use alloy_primitives::B256;
use bytes::Bytes;
use consilium_core::certify::SetMember;
use consilium_core::contribution::Contribution;
use consilium_core::error::Rejection;
use consilium_core::mask::Seed;
use consilium_core::round::{Event, Verdict};
use consilium_core::seal::{BoxContext, KemSecret};
use consilium_core::transcript::{Transcript, seed_commitment};
use consilium_core::verify::{Accepted, Verifier};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Bytes of a masked vector that are read at once.
const PIECE: u64 = 1 << 20;
/// Pieces that wait for the verifier at most.
const PIECES: usize = 2;

/// What verification found.
pub(super) enum Judged {
    Accepted(Accepted),
    Missing(Vec<usize>),
    Rejected(Rejection),
}

/// A contribution's header from the disk, with the boxes in it, and the seeds that peers sent.
pub(super) struct Boxes {
    contribution: Contribution,
    repairs: BTreeMap<usize, Vec<u8>>,
    kem: Arc<KemSecret>,
}

impl Boxes {
    /// Reads what is needed to open boxes; the masked vector is not. The header was authentic when it was written.
    pub(super) async fn read(service: &Service, round: &OpenRound, member: &SetMember) -> Result<Self, StoreError> {
        let header = service.blobs.header(&member.digest).await?.ok_or_else(|| lost(member))?;
        let contribution = Contribution::from_bytes(&header, &round.shape).map_err(|_| lost(member))?;
        if contribution.authenticate(&round.terms.domain, &round.context).as_ref() != Ok(&member.digest) {
            return Err(lost(member));
        }
        let ((study, number), digest) = (round.id(), member.digest);
        let repairs = service.database.run(move |db| db.repairs(study, number, &digest)).await?;
        Ok(Self { contribution, repairs, kem: Arc::clone(service.keys.kem()) })
    }

    /// The seeds that the box and the peers' answers give and that match their commitments.
    pub(super) fn seeds(&self, round: &OpenRound, member: &SetMember) -> BTreeMap<usize, Seed> {
        let ctx = round.context.of_site(member.site);
        let verifier = verifier(round);
        let mut seeds = verifier.open_box(&ctx, member.digest, &self.contribution, &self.kem);
        for (&number, sealed) in &self.repairs {
            if let Some(seed) = self.open_answer(round, member, number, sealed) {
                seeds.entry(number).or_insert(seed);
            }
        }
        seeds
    }

    /// A seed that a peer sent, if it is the one that the site committed to.
    fn open_answer(&self, round: &OpenRound, member: &SetMember, number: usize, sealed: &[u8]) -> Option<Seed> {
        let ctx = round.context.of_site(member.site);
        let context = BoxContext { ctx, digest: member.digest, node: round.me };
        let seed = self.kem.open_repair(&context, number, sealed).ok()?;
        let commitment = seed_commitment(&ctx, number as u64, seed.expose());
        (self.contribution.body.commitments.get(number) == Some(&commitment)).then_some(seed)
    }

    /// Those of a peer's answers that are worth keeping.
    pub(super) fn good_answers(
        &self,
        round: &OpenRound,
        member: &SetMember,
        sealed: BTreeMap<usize, alloy_primitives::Bytes>,
    ) -> BTreeMap<usize, alloy_primitives::Bytes> {
        sealed.into_iter().filter(|(number, bytes)| self.open_answer(round, member, *number, bytes).is_some()).collect()
    }
}

impl Boxes {
    /// Verifies, while the masked vector arrives in pieces. Takes a core for as long as it lasts.
    fn judge(&self, round: &OpenRound, member: &SetMember, mut pieces: mpsc::Receiver<Bytes>) -> Judged {
        let ctx = round.context.of_site(member.site);
        let verifier = verifier(round);
        let seeds = self.seeds(round, member);
        let missing = verifier.missing_seeds(&seeds);
        if !missing.is_empty() {
            return Judged::Missing(missing);
        }
        let mut check = verifier.start(member.site, &ctx, &self.contribution.body, &seeds);
        while let Some(piece) = pieces.blocking_recv() {
            check.push(&piece);
        }
        match check.finish() {
            Ok(accepted) => Judged::Accepted(accepted),
            Err(step) => Judged::Rejected(step),
        }
    }
}

/// Reads a masked vector from the disk piece by piece, as fast as it is taken.
async fn feed(service: &Service, round: &OpenRound, member: &SetMember, pieces: mpsc::Sender<Bytes>) -> Result<(), StoreError> {
    let length = round.shape.values_len() as u64;
    let mut at = 0;
    while at < length {
        let end = length.min(at + PIECE);
        if pieces.send(piece(service, member, at..end).await?).await.is_err() {
            // The verdict needs no more of it.
            return Ok(());
        }
        at = end;
    }
    Ok(())
}

async fn piece(service: &Service, member: &SetMember, range: Range<u64>) -> Result<Bytes, StoreError> {
    service.blobs.values_piece(&member.digest, range).await?.ok_or_else(|| lost(member))
}

/// Whether the masked vector on the disk is the one that was written: it had this hash then.
async fn is_intact(service: &Service, round: &OpenRound, member: &SetMember, expected: &B256) -> Result<bool, StoreError> {
    let length = round.shape.values_len() as u64;
    let mut hash = Transcript::new("values");
    hash.part_header(length);
    let mut at = 0;
    while at < length {
        let end = length.min(at + PIECE);
        hash.part_bytes(&piece(service, member, at..end).await?);
        at = end;
    }
    Ok(hash.finish() == *expected)
}

fn lost(member: &SetMember) -> StoreError {
    StoreError::Lost(member.digest)
}

fn verifier(round: &OpenRound) -> Verifier<'_> {
    Verifier { committee: round.terms.committee.sizes(), program: &*round.terms.program, node: round.me }
}

/// Reads and verifies a contribution. What the disk has damaged is no fault of the site: it is pulled again first.
pub(super) async fn judge(service: &Service, round: &Arc<OpenRound>, member: SetMember) -> Result<Judged, StoreError> {
    match judge_stored(service, round, member).await {
        Err(StoreError::Lost(_)) => {
            pull::afresh(service, round, &member).await?;
            judge_stored(service, round, member).await
        }
        judged => judged,
    }
}

/// A masked vector that could not be read to its end has no verdict, nor one that is not what was written.
async fn judge_stored(service: &Service, round: &Arc<OpenRound>, member: SetMember) -> Result<Judged, StoreError> {
    let _permit = service.cores.acquire().await;
    let boxes = Boxes::read(service, round, &member).await?;
    let address = boxes.contribution.body.values_hash;
    let shared = Arc::clone(round);
    let start = Instant::now();
    let (pieces, arriving) = mpsc::channel(PIECES);
    let judging = tokio::task::spawn_blocking(move || boxes.judge(&shared, &member, arriving));
    let read = feed(service, round, &member, pieces).await;
    let judged = judging.await;
    service.metrics.verified(start.elapsed());
    read?;
    let judged =
        judged.map_err(|_| StoreError::Damaged(format!("contribution {}: its verification broke off", member.digest)))?;
    let intact = !matches!(judged, Judged::Rejected(Rejection::Format)) || is_intact(service, round, &member, &address).await?;
    if intact { Ok(judged) } else { Err(lost(&member)) }
}

/// Carries out `Effect::Verify`: the share goes into the running sum, the verdict to the machine.
pub(super) async fn run(service: Arc<Service>, round: Arc<OpenRound>, member: SetMember) {
    let (study, number) = round.id();
    let judged = again::until_done(&round, "verifying a contribution", || judge(&service, &round, member)).await;
    let Some(judged) = judged else { return };
    let verdict = match judged {
        Judged::Accepted(accepted) => {
            locked(&round.sum).add(&accepted);
            Metrics::add(&service.metrics.accepted, 1);
            Verdict::Accepted
        }
        Judged::Missing(seeds) => {
            tracing::warn!(study, round = number, site = %member.site, missing = seeds.len(), "a box does not open: asking the peers");
            Verdict::MissingSeeds(seeds)
        }
        Judged::Rejected(step) => {
            tracing::warn!(study, round = number, site = %member.site, %step, "a contribution is rejected");
            service.metrics.rejected(step);
            Verdict::Rejected(step)
        }
    };
    let mut missing = locked(&round.missing);
    match verdict {
        Verdict::MissingSeeds(_) => missing.insert(member),
        Verdict::Accepted | Verdict::Rejected(_) => missing.remove(&member),
    };
    drop(missing);
    round.tell(Event::Verified { member, verdict });
}
