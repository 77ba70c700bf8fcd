//! Verification of a stored contribution, on a blocking thread, as many at once as there are cores. Its share goes into the
//! running sum while it is computed, so that a contribution takes no vector of its own; what is rejected is read once more and
//! taken out.

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
use consilium_core::verify::{Rejected, Removal, Verifier};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Bytes of a masked vector that are read at once.
const PIECE: u64 = 1 << 20;
/// Pause before a piece is read again, and the longest one.
const AGAIN: Duration = Duration::from_millis(50);
const LAST: Duration = Duration::from_millis(400);
/// Pieces that wait for the verifier at most.
const PIECES: usize = 2;

/// What verification found.
pub(super) enum Judged {
    /// Its share is in the running sum, unless that is closed.
    Accepted,
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
        Ok(Self { contribution, repairs, kem: Arc::clone(&round.kem) })
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

    /// What takes the contribution out of the running sum.
    fn removal(&self, round: &OpenRound, member: &SetMember) -> Option<Box<Removal>> {
        let (ctx, seeds) = (round.context.of_site(member.site), self.seeds(round, member));
        verifier(round).take_from(&round.sum, member.site, &ctx, &self.contribution.body, &seeds).map(Box::new)
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
    /// Verifies, while the masked vector arrives in pieces, and says what must be taken out of the running sum again. Takes a core
    /// for as long as it lasts. A vector that breaks off is rejected.
    fn judge(&self, round: &OpenRound, member: &SetMember, mut pieces: mpsc::Receiver<Bytes>) -> (Judged, Option<Box<Removal>>) {
        let ctx = round.context.of_site(member.site);
        let verifier = verifier(round);
        let seeds = self.seeds(round, member);
        let missing = verifier.missing_seeds(&seeds);
        if !missing.is_empty() {
            return (Judged::Missing(missing), None);
        }
        let mut addition = verifier.add_to(&round.sum, member.site, &ctx, &self.contribution.body, &seeds);
        while let Some(piece) = pieces.blocking_recv() {
            addition.push(&piece);
        }
        match addition.finish() {
            Ok(()) => (Judged::Accepted, None),
            Err(Rejected { step, undo }) => (Judged::Rejected(step), undo),
        }
    }
}

/// Hands the first `length` bytes of a masked vector to a thread, as it takes them; how reading went, and what the thread
/// returned.
async fn read_through<T: Send + 'static>(
    service: &Service,
    member: &SetMember,
    length: u64,
    work: impl FnOnce(mpsc::Receiver<Bytes>) -> T + Send + 'static,
) -> (Result<(), StoreError>, Result<T, StoreError>) {
    let (pieces, arriving) = mpsc::channel(PIECES);
    let working = tokio::task::spawn_blocking(move || work(arriving));
    let read = feed(service, member, length, pieces).await;
    let broke_off = |_| StoreError::Damaged(format!("contribution {}: its verification broke off", member.digest));
    (read, working.await.map_err(broke_off))
}

/// Reads a masked vector from the disk piece by piece, as fast as it is taken.
async fn feed(service: &Service, member: &SetMember, length: u64, pieces: mpsc::Sender<Bytes>) -> Result<(), StoreError> {
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

/// Takes a share out of the running sum. If the disk does not give the same bytes again, the sum starts from nothing, and what is
/// missing is verified again before it is released.
async fn take_out(service: &Service, member: &SetMember, mut removal: Box<Removal>) -> Result<(), StoreError> {
    let length = removal.length();
    let (read, removed) = read_through(service, member, length, move |mut pieces| {
        while let Some(piece) = pieces.blocking_recv() {
            removal.push(&piece);
        }
        removal.finish()
    })
    .await;
    if !removed? {
        tracing::error!(site = %member.site, "the running sum is made again: the disk gave other bytes than before");
    }
    read
}

/// Takes a contribution out of the running sum that turns out not to be in the certified set. If what is needed for that is gone,
/// the sum starts from nothing.
pub(super) async fn leave_out(service: &Service, round: &Arc<OpenRound>, member: SetMember) -> Result<(), StoreError> {
    let _permit = service.cores.acquire().await;
    let boxes = match Boxes::read(service, round, &member).await {
        Err(StoreError::Lost(_)) => None,
        boxes => Some(boxes?),
    };
    let shared = Arc::clone(round);
    let opening = move || boxes.and_then(|boxes| boxes.removal(&shared, &member));
    match tokio::task::spawn_blocking(opening).await.ok().flatten() {
        Some(removal) => take_out(service, &member, removal).await,
        None => {
            tracing::error!(site = %member.site, "the running sum is made again: what takes a contribution out of it is gone");
            round.sum.start_again();
            Ok(())
        }
    }
}

/// A piece of a masked vector; a disk that fails for a moment is asked again.
async fn piece(service: &Service, member: &SetMember, range: Range<u64>) -> Result<Bytes, StoreError> {
    let mut pause = AGAIN;
    loop {
        match service.blobs.values_piece(&member.digest, range.clone()).await {
            Err(StoreError::Blob(error)) if pause <= LAST => {
                tracing::warn!(site = %member.site, %error, "a contribution cannot be read: trying again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            read => return read?.ok_or_else(|| lost(member)),
        }
    }
}

/// Whether the masked vector on the disk is the one that was written: it had this hash then.
async fn is_intact(service: &Service, round: &OpenRound, member: &SetMember, expected: &B256) -> Result<bool, StoreError> {
    let length = round.shape.values_len() as u64;
    let (read, hash) = read_through(service, member, length, move |mut pieces| {
        let mut hash = Transcript::new("values");
        hash.part_header(length);
        while let Some(piece) = pieces.blocking_recv() {
            hash.part_bytes(&piece);
        }
        hash.finish()
    })
    .await;
    read?;
    Ok(hash? == *expected)
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
    let (shared, length) = (Arc::clone(round), round.shape.values_len() as u64);
    let start = Instant::now();
    let (read, judged) = read_through(service, &member, length, move |pieces| boxes.judge(&shared, &member, pieces)).await;
    service.metrics.verified(start.elapsed());
    let (judged, undo) = judged?;
    if let Some(undo) = undo {
        // As far as it was read.
        take_out(service, &member, undo).await?;
    }
    read?;
    let intact = !matches!(judged, Judged::Rejected(Rejection::Format)) || is_intact(service, round, &member, &address).await?;
    if intact { Ok(judged) } else { Err(lost(&member)) }
}

/// Carries out `Effect::Verify`: the verdict goes to the machine.
pub(super) async fn run(service: Arc<Service>, round: Arc<OpenRound>, member: SetMember) {
    let (study, number) = round.id();
    let judged = again::until_done(&round, "verifying a contribution", || judge(&service, &round, member)).await;
    let Some(judged) = judged else { return };
    let verdict = match judged {
        Judged::Accepted => {
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
