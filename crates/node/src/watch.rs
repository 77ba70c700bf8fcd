//! Following the chain: opened rounds get a seat, certificates and settlements reach their rounds, rewritten history is
//! taken back, and certificates (`certificates`) and ends (`ends`) count as final only when all endpoints say so.
//!
//! Taking in what the chain announces cannot fail: it changes memory only. Whatever may fail (seats, which read a study's
//! history; the data folder) is written down as wanted and tried until it is done, each thing for itself.

mod certificates;
mod ends;

use crate::metrics::Metrics;
use crate::rounds::{Entry, OpenRound, late, seat};
use crate::service::{Service, locked, now_millis, now_seconds};
use crate::store::StoreError;
use alloy_primitives::U256;
use consilium_core::clock::Seen;
use consilium_core::eip712::Vote;
use consilium_core::round::{ChainEvent as RoundEvent, Event as MachineEvent};
use consilium_ledger::{Block, BlockRef, Certified, ChainEvent, Cursor, Error, Event, LogPosition, Progress, Watcher};
pub(crate) use ends::End;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const SLOWEST: Duration = Duration::from_secs(10);
/// Shortest pause between two looks, whoever asks for them.
const BREATH: Duration = Duration::from_millis(20);
/// Pause before a seat beyond the policy is judged again: only a new owner of the study brings it within.
const POLICY_PAUSE: Duration = Duration::from_secs(60);

pub(crate) struct Watch {
    service: Arc<Service>,
    watcher: Watcher,
    /// The cursor as the data folder has it.
    saved: Cursor,
    /// Rounds whose seat is still to be taken.
    pending: BTreeMap<(u64, u64), Wanted>,
    /// Open rounds that are to be read again, and those that were a moment ago.
    again: BTreeMap<(u64, u64), Again>,
    /// Rounds of which the data folder says what is no longer so.
    outdated: BTreeMap<(u64, u64), Outdated>,
    failures: u32,
    /// When this node last knew all that its endpoint shows, in Unix milliseconds.
    followed_at: Option<u64>,
}

/// A seat that is to be taken.
struct Wanted {
    /// Height of the round's opening.
    opened: u64,
    seen: Seen,
    attempts: u32,
    next: Option<Instant>,
}

impl Wanted {
    fn new(opened: u64, followed_at: Option<u64>) -> Self {
        let seen = Seen { at: now_millis(), followed_at };
        Self { opened, seen, attempts: 0, next: None }
    }

    /// A round whose appearance this process did not see.
    fn late(opened: u64) -> Self {
        Self::new(opened, None)
    }
}

/// A round that is to be read again, since what this node was told of it is in doubt.
#[derive(Default)]
struct Again {
    wanted: bool,
    failed: u32,
    next: Option<Instant>,
}

/// What a reorganisation took back.
#[derive(Clone, Copy)]
enum Outdated {
    /// The round was never opened.
    Opening,
    /// It did not end; it was opened at this height.
    End(u64),
}

impl Watch {
    /// Resumes where the data folder says. Rounds that had not ended are taken up again first.
    pub(crate) async fn resume(service: Arc<Service>) -> Result<Self, StoreError> {
        let (cursor, known) = service.database.run(|db| Ok((db.cursor()?, db.seats()?))).await?;
        let saved = cursor.unwrap_or_default();
        let watcher = Watcher::new(service.ledger().clone(), saved.clone());
        let pending = known.into_iter().map(|(id, opened)| (id, Wanted::late(opened))).collect();
        let (again, outdated) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { service, watcher, saved, pending, again, outdated, failures: 0, followed_at: None })
    }

    /// Looks at the chain until the node stops.
    pub(crate) async fn run(mut self) {
        loop {
            let pause = match self.look().await {
                Ok(()) => {
                    self.recovered();
                    self.service.config.poll_interval
                }
                Err(error) => self.failed(&error),
            };
            tokio::time::sleep(BREATH).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.service.look.notified(), if self.failures == 0 => {}
            }
        }
    }

    fn recovered(&mut self) {
        if self.failures > 0 {
            tracing::info!("the chain can be read again");
            self.failures = 0;
        }
    }

    /// Counts a failure, says so, and returns the pause before the next attempt.
    fn failed(&mut self, error: &WatchError) -> Duration {
        Metrics::add(&self.service.metrics.chain_errors, 1);
        self.failures = self.failures.saturating_add(1);
        let pause = self.slower(self.failures);
        if self.failures.is_power_of_two() {
            tracing::warn!(%error, attempts = self.failures, "cannot follow the chain; trying again, nothing accepted is lost");
        }
        pause
    }

    fn slower(&self, attempts: u32) -> Duration {
        (self.service.config.poll_interval * 2u32.saturating_pow(attempts.min(16))).min(SLOWEST)
    }

    /// One look: everything new, then what is still wanted, then finality. What fails does not keep the rest from being
    /// done.
    async fn look(&mut self) -> Result<(), WatchError> {
        let followed = self.follow().await;
        self.correct_records().await?;
        self.take_seats().await;
        self.read_again().await;
        self.keep_cursor().await?;
        self.check_finality().await;
        self.service.rounds.open().iter().for_each(|open| late::look(&self.service, open));
        self.check_ends().await;
        Ok(followed?)
    }

    /// Takes in everything new on the chain.
    async fn follow(&mut self) -> Result<(), Error> {
        loop {
            match self.watcher.next_events().await? {
                Progress::Idle => {
                    self.followed_at = Some(now_millis());
                    return Ok(());
                }
                Progress::RolledBack { to } => self.roll_back(to),
                Progress::Read { batch, to, is_head } => {
                    for defect in &batch.malformed {
                        tracing::warn!(%defect, "the chain holds a malformed event: passed over");
                    }
                    for event in batch.events {
                        self.service.seats.take_in(self.service.address(), &event);
                        self.take_in(event);
                    }
                    self.note_head(&to);
                    if is_head {
                        self.close_overdue(&to);
                    }
                }
            }
        }
    }

    fn note_head(&self, head: &Block) {
        *locked(&self.service.head) = Some(*head);
        self.service.metrics.chain_head.store(head.number, Ordering::Relaxed);
    }

    /// The block up to which events have been taken in.
    fn known(&self) -> Option<BlockRef> {
        self.watcher.cursor().position()
    }

    /// Whether the events of a block are still to be taken in.
    fn is_ahead(&self, number: u64) -> bool {
        self.known().is_none_or(|known| number > known.number)
    }

    /// The cursor is written only when every seat is taken: a restart reads the openings that it still needs again.
    async fn keep_cursor(&mut self) -> Result<(), StoreError> {
        if *self.watcher.cursor() != self.saved && self.pending.is_empty() {
            let cursor = self.watcher.cursor().clone();
            let copy = cursor.clone();
            self.service.database.run(move |db| db.set_cursor(&copy)).await?;
            self.saved = cursor;
        }
        Ok(())
    }

    fn take_in(&mut self, event: ChainEvent) {
        let at = event.at;
        match event.event {
            Event::RoundOpened(ref opened) => {
                let id = (opened.study, opened.round);
                self.close_earlier(id.0, id.1, at, &event.event);
                match self.service.rounds.get(id.0, id.1) {
                    Some(Entry::Open(open)) if open.opened != at => self.dismiss(&open, Outdated::Opening),
                    Some(Entry::Refused(absence)) if absence.opened != at.block.number => self.service.rounds.forget(id.0, id.1),
                    _ => {}
                }
                self.pending.insert(id, Wanted::new(at.block.number, self.followed_at));
            }
            Event::RoundCertified { study, round, set_root, size, voters, signatures } => {
                if let Some(Entry::Open(open)) = self.service.rounds.get(study, round) {
                    let vote = Vote { study, round, setRoot: set_root, size };
                    self.certified(&open, &Certified { vote, voters, signatures, at });
                }
            }
            Event::RoundSettled { study, round, .. }
            | Event::RoundVoided { study, round }
            | Event::RoundAbandoned { study, round }
            | Event::RoundFraudulent { study, round }
            | Event::RoundRefuted { study, round } => self.ends(study, round, at, event.event),
            _ => {}
        }
    }

    fn certified(&self, open: &OpenRound, certificate: &Certified) {
        let same = locked(&open.certificate).as_ref() == Some(certificate);
        if !same && certificate.voters != U256::ZERO {
            seat::tell_certified(open, certificate);
            // The next look can tell whether it is final, if this one asks before the machine has heard of it.
            self.service.look.notify_one();
        }
    }

    fn ends(&self, study: u64, round: u64, at: LogPosition, event: Event) {
        if let Some(Entry::Open(open)) = self.service.rounds.get(study, round)
            && !open.is_over()
        {
            open.ends(End::announced(at, event));
        }
    }

    /// Brings the data folder in line with what a reorganisation took back.
    async fn correct_records(&mut self) -> Result<(), StoreError> {
        while let Some((&(study, round), &outdated)) = self.outdated.first_key_value() {
            let correct = move |db: &crate::store::Database| match outdated {
                Outdated::Opening => db.unseat(study, round, now_seconds()),
                Outdated::End(opened) => db.reopen(study, round, opened),
            };
            self.service.database.run(correct).await?;
            self.outdated.remove(&(study, round));
        }
        Ok(())
    }

    /// Takes the seats that are wanted, each at its own pace: a study whose history cannot be read delays no other.
    async fn take_seats(&mut self) {
        let now = Instant::now();
        let due = self.pending.iter().filter(|(_, wanted)| wanted.next.is_none_or(|next| next <= now));
        for (id, opened, seen) in due.map(|(id, wanted)| (*id, wanted.opened, wanted.seen)).collect::<Vec<_>>() {
            match seat::take(&self.service, id, opened, seen, self.known()).await {
                Ok(()) => drop(self.pending.remove(&id)),
                Err(error) => self.put_off(id.0, id.1, &error),
            }
        }
    }

    fn put_off(&mut self, study: u64, round: u64, error: &seat::Refusal) {
        // Nothing has failed then, and `seat::take` has said why.
        let is_choice = matches!(error, seat::Refusal::BeyondPolicy(_));
        let Some(attempts) = self.pending.get(&(study, round)).map(|wanted| wanted.attempts.saturating_add(1)) else { return };
        let next = Some(Instant::now() + if is_choice { POLICY_PAUSE } else { self.slower(attempts) });
        if let Some(wanted) = self.pending.get_mut(&(study, round)) {
            (wanted.attempts, wanted.next) = (attempts, next);
        }
        if is_choice {
            return;
        }
        Metrics::add(&self.service.metrics.chain_errors, 1);
        if attempts.is_power_of_two() {
            tracing::warn!(study, round, attempts, %error, "no seat in a round yet: trying again");
        }
    }

    /// Takes back what stood in blocks that are no more. A round that ended there starts again from the disk and the new
    /// chain; one that was opened there is dismissed, and starts when it is opened again.
    fn roll_back(&mut self, to: Option<BlockRef>) {
        let last = to.map(|block| block.number);
        tracing::warn!(last, "the chain was reorganised: taking back what stood in later blocks");
        self.service.seats.roll_back(last.unwrap_or(0));
        let vanished = |height: u64| last.is_none_or(|last| height > last);
        let gone = self.pending.extract_if(.., |_, wanted| vanished(wanted.opened));
        self.outdated.extend(gone.map(|(id, _)| (id, Outdated::Opening)));
        for open in self.service.rounds.open() {
            let ((study, round), opened) = (open.id(), open.opened.block.number);
            if vanished(opened) {
                self.dismiss(&open, Outdated::Opening);
            } else if open.end_vanished(vanished) {
                self.dismiss(&open, Outdated::End(opened));
                self.pending.insert((study, round), Wanted::late(opened));
            } else {
                open.resume_unless(|block| !vanished(block.number));
                if locked(&open.certificate).take_if(|c| vanished(c.at.block.number)).is_some() {
                    open.tell(MachineEvent::Chain(RoundEvent::CertificateGone));
                }
            }
        }
        for ((study, round), absence) in self.service.rounds.refused() {
            if vanished(absence.opened) || absence.may_change {
                self.service.rounds.forget(study, round);
            }
            if absence.may_change && !vanished(absence.opened) {
                self.pending.insert((study, round), Wanted::late(absence.opened));
            }
        }
    }

    fn dismiss(&mut self, open: &OpenRound, outdated: Outdated) {
        let (study, round) = open.id();
        open.dismiss();
        self.service.rounds.forget(study, round);
        self.outdated.insert((study, round), outdated);
    }
}

/// Why a look at the chain failed.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}
