//! Following the chain: opened rounds get a seat, certificates and settlements reach their rounds, rewritten history is
//! taken back, and a certificate counts as final only when all endpoints say so.

use crate::metrics::Metrics;
use crate::rounds::{Entry, OpenRound, seat};
use crate::service::{Service, locked};
use crate::store::StoreError;
use alloy_primitives::U256;
use consilium_core::eip712::Vote;
use consilium_core::round::{ChainEvent as RoundEvent, Event as MachineEvent, Stage};
use consilium_ledger::{Block, BlockRef, Certified, ChainEvent, Cursor, Error, Event, Progress, Standing, Watcher};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

const SLOWEST: Duration = Duration::from_secs(10);
/// Shortest pause between two looks, whoever asks for them.
const BREATH: Duration = Duration::from_millis(20);

pub(crate) struct Watch {
    service: Arc<Service>,
    watcher: Watcher,
    /// Rounds whose seat could not be taken for now.
    pending: BTreeSet<(u64, u64)>,
    failures: u32,
}

impl Watch {
    /// Resumes where the data folder says. Rounds that had not ended are taken up again first.
    pub(crate) async fn resume(service: Arc<Service>) -> Result<Self, StoreError> {
        let (cursor, known) = service.database.run(|db| Ok((db.cursor()?, db.seats()?))).await?;
        let watcher = Watcher::new(service.ledger().clone(), cursor.unwrap_or_default());
        Ok(Self { service, watcher, pending: known.into_iter().collect(), failures: 0 })
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
        let pause = (self.service.config.poll_interval * 2u32.saturating_pow(self.failures.min(16))).min(SLOWEST);
        if self.failures.is_power_of_two() {
            tracing::warn!(%error, attempts = self.failures, "cannot follow the chain; trying again, nothing accepted is lost");
        }
        pause
    }

    /// One look: everything new, then seats that are still wanted, then finality.
    async fn look(&mut self) -> Result<(), WatchError> {
        loop {
            let before = self.watcher.cursor().clone();
            match self.watcher.next_events().await? {
                Progress::Idle => break,
                Progress::RolledBack { to } => self.roll_back(to).await?,
                Progress::Read { batch, to, is_head } => {
                    for defect in &batch.malformed {
                        tracing::warn!(%defect, "the chain holds a malformed event: passed over");
                    }
                    for event in batch.events {
                        self.take_in(event).await?;
                    }
                    self.note_head(&to);
                    if is_head {
                        self.close_overdue(&to);
                    }
                }
            }
            self.keep_cursor(&before).await?;
        }
        self.take_seats().await?;
        self.check_finality().await;
        Ok(())
    }

    fn note_head(&self, head: &Block) {
        *locked(&self.service.head) = Some(*head);
        self.service.metrics.chain_head.store(head.number, Ordering::Relaxed);
    }

    /// The cursor is written only when every seat is taken: a restart reads the openings that it still needs again.
    async fn keep_cursor(&mut self, before: &Cursor) -> Result<(), WatchError> {
        if self.watcher.cursor() != before && self.pending.is_empty() {
            let cursor = self.watcher.cursor().clone();
            self.service.database.run(move |db| db.set_cursor(&cursor)).await?;
        }
        Ok(())
    }

    async fn take_in(&mut self, event: ChainEvent) -> Result<(), WatchError> {
        match event.event {
            Event::RoundOpened(opened) => {
                self.close_earlier(opened.study, opened.round);
                self.pending.insert((opened.study, opened.round));
                self.take_seats().await?;
            }
            Event::RoundCertified { study, round, set_root, size, voters } => {
                if let Some(Entry::Open(open)) = self.service.rounds.get(study, round) {
                    let vote = Vote { study, round, setRoot: set_root, size };
                    self.certified(&open, &Certified { vote, voters, at: event.at });
                }
            }
            Event::RoundSettled { study, round, share_roots, aggregate_root, .. } => {
                self.tell(study, round, RoundEvent::Settled { share_roots, aggregate_root });
            }
            Event::RoundVoided { study, round } | Event::RoundAbandoned { study, round } => {
                self.tell(study, round, RoundEvent::Closed);
            }
            _ => {}
        }
        Ok(())
    }

    fn certified(&self, open: &OpenRound, certificate: &Certified) {
        let same = locked(&open.certificate).as_ref() == Some(certificate);
        if !same && certificate.voters != U256::ZERO {
            seat::tell_certified(open, certificate);
        }
    }

    fn tell(&self, study: u64, round: u64, event: RoundEvent) {
        if let Some(Entry::Open(open)) = self.service.rounds.get(study, round)
            && !open.is_over()
        {
            open.tell(MachineEvent::Chain(event));
        }
    }

    /// A study has one round at a time: a newer one means that this one ended, recorded or not.
    fn close_earlier(&self, study: u64, round: u64) {
        for open in self.service.rounds.open() {
            let in_progress = !matches!(open.stage(), Stage::Settled | Stage::Closed);
            if open.terms.study == study && open.terms.round < round && in_progress {
                open.tell(MachineEvent::Chain(RoundEvent::Closed));
            }
        }
    }

    /// By block time a deadline counts although nobody recorded that it passed.
    fn close_overdue(&self, head: &Block) {
        for open in self.service.rounds.open() {
            let policy = &open.terms.policy;
            let due = if locked(&open.certificate).is_some() { policy.settle_by } else { policy.deadline };
            if !open.is_over() && head.timestamp >= due {
                open.tell(MachineEvent::Chain(RoundEvent::Closed));
            }
        }
    }

    async fn take_seats(&mut self) -> Result<(), WatchError> {
        while let Some((study, round)) = self.pending.first().copied() {
            seat::take(&self.service, study, round).await?;
            self.pending.remove(&(study, round));
        }
        Ok(())
    }

    /// Takes back what stood in blocks that are no more. A round that was opened or ended there starts again from the
    /// disk and the new chain.
    async fn roll_back(&mut self, to: Option<BlockRef>) -> Result<(), WatchError> {
        let last = to.map_or(0, |block| block.number);
        tracing::warn!(last, "the chain was reorganised: taking back what stood in later blocks");
        for open in self.service.rounds.open() {
            let (study, round) = open.id();
            let was_opened = to.is_some() && open.opened.block.number <= last;
            if !was_opened || open.is_over() {
                open.tell(MachineEvent::Chain(RoundEvent::Closed));
                self.service.rounds.forget(study, round);
                self.service.database.run(move |db| db.reopen(study, round)).await?;
                if was_opened {
                    self.pending.insert((study, round));
                }
            } else if locked(&open.certificate).take_if(|c| c.at.block.number > last).is_some() {
                open.tell(MachineEvent::Chain(RoundEvent::CertificateGone));
            }
        }
        Ok(())
    }

    /// Two disagreeing endpoints halt a round; one that cannot be reached delays it.
    async fn check_finality(&self) {
        for open in self.service.rounds.open().into_iter().filter(|open| open.stage() == Stage::Certified) {
            let Some(certificate) = locked(&open.certificate).clone() else { continue };
            let (study, round) = open.id();
            match self.service.endpoints.certificate(&certificate, open.terms.policy.finality).await {
                Ok(Standing::Final) => open.tell(MachineEvent::Chain(RoundEvent::CertificateFinal)),
                Ok(Standing::Pending | Standing::Replaced) => {}
                Err(error @ Error::Disagreement(_)) => {
                    tracing::error!(study, round, %error, "HALTED: this node signs no Final while its endpoints disagree");
                }
                Err(error) => {
                    Metrics::add(&self.service.metrics.chain_errors, 1);
                    tracing::warn!(study, round, %error, "whether the certificate is final cannot be told yet");
                }
            }
        }
    }
}

/// Why a look at the chain failed.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seat(#[from] seat::Refusal),
}
