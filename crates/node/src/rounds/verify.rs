//! Verification of a stored contribution, on a blocking thread, as many at once as there are cores.

use super::{OpenRound, again};
use crate::metrics::Metrics;
use crate::service::{Service, locked};
use crate::store::StoreError;
use bytes::Bytes;
use consilium_core::certify::SetMember;
use consilium_core::contribution::Contribution;
use consilium_core::error::Rejection;
use consilium_core::mask::Seed;
use consilium_core::round::{Event, Verdict};
use consilium_core::seal::{BoxContext, KemSecret};
use consilium_core::transcript::seed_commitment;
use consilium_core::verify::{Accepted, Verifier};
use std::collections::BTreeMap;
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
    /// Reads what is needed to open boxes; the masked vector is not.
    pub(super) async fn read(service: &Service, round: &OpenRound, member: &SetMember) -> Result<Self, StoreError> {
        let header = service.blobs.header(&member.digest).await?.ok_or_else(|| damaged(member))?;
        let contribution = Contribution::from_bytes(&header, &round.shape).map_err(|_| damaged(member))?;
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
        let piece = service.blobs.values_piece(&member.digest, at..end).await?.ok_or_else(|| damaged(member))?;
        if pieces.send(piece).await.is_err() {
            // The verdict needs no more of it.
            return Ok(());
        }
        at = end;
    }
    Ok(())
}

fn damaged(member: &SetMember) -> StoreError {
    StoreError::Damaged(format!("contribution {}", member.digest))
}

fn verifier(round: &OpenRound) -> Verifier<'_> {
    Verifier { committee: round.terms.committee.sizes(), program: &*round.terms.program, node: round.me }
}

/// Reads and verifies a contribution. A masked vector that could not be read to its end has no verdict.
pub(super) async fn judge(service: &Service, round: &Arc<OpenRound>, member: SetMember) -> Result<Judged, StoreError> {
    let _permit = service.cores.acquire().await;
    let boxes = Boxes::read(service, round, &member).await?;
    let shared = Arc::clone(round);
    let start = Instant::now();
    let (pieces, arriving) = mpsc::channel(PIECES);
    let judging = tokio::task::spawn_blocking(move || boxes.judge(&shared, &member, arriving));
    let read = feed(service, round, &member, pieces).await;
    let judged = judging.await;
    service.metrics.verified(start.elapsed());
    read?;
    judged.map_err(|_| StoreError::Damaged(format!("contribution {}: its verification broke off", member.digest)))
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
