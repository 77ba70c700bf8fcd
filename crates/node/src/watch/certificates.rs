//! Whether certificates are final, and reading a round again when what this node was told of it is in doubt: nobody tells
//! it a second time.

use super::{SLOWEST, Watch};
use crate::metrics::Metrics;
use crate::rounds::{Entry, OpenRound, seat};
use crate::service::locked;
use consilium_core::round::{ChainEvent as RoundEvent, Event as MachineEvent, Stage};
use consilium_ledger::{Certified, Error, Standing};
use std::time::Instant;

impl Watch {
    /// Two disagreeing endpoints halt a round; one that cannot be reached delays it.
    pub(super) async fn check_finality(&mut self) {
        for open in self.service.rounds.open().into_iter().filter(|open| open.stage() == Stage::Certified) {
            let Some(certificate) = locked(&open.certificate).clone() else { continue };
            let (study, round) = open.id();
            match self.service.endpoints.certificate(&certificate, open.terms.policy.finality).await {
                Ok(Standing::Final) => open.tell(MachineEvent::Chain(RoundEvent::CertificateFinal)),
                Ok(Standing::Pending) => {}
                // A seat reads the chain up to its head, which may be ahead of what the watcher follows: such blocks
                // may vanish without a rollback, and the watcher tells what stands there instead.
                Ok(Standing::Replaced) if self.is_ahead(certificate.at.block.number) => take_back(&open, &certificate),
                Ok(Standing::Replaced) => self.read_again_soon(study, round),
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

    /// Asks for a round to be read again, which costs reading its study's history: each at most once in a while.
    pub(super) fn read_again_soon(&mut self, study: u64, round: u64) {
        self.again.entry((study, round)).or_default().wanted = true;
    }

    /// Reads again what is in doubt, until it has been read.
    pub(super) async fn read_again(&mut self) {
        let (service, now, known) = (self.service.clone(), Instant::now(), self.known());
        let is_open = |(study, round): &(u64, u64)| matches!(service.rounds.get(*study, *round), Some(Entry::Open(_)));
        self.again.retain(|id, _| is_open(id));
        let due = self.again.iter().filter(|(_, again)| again.wanted && again.next.is_none_or(|next| next <= now));
        for (study, round) in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            let Some(Entry::Open(open)) = service.rounds.get(study, round) else { continue };
            let read = seat::read_again(&service, &open, known).await;
            let failed = self.again.get(&(study, round)).map_or(0, |again| again.failed);
            let (failed, pause) = if read.is_ok() { (0, SLOWEST) } else { (failed + 1, self.slower(failed + 1)) };
            if let Err(error) = &read {
                Metrics::add(&service.metrics.chain_errors, 1);
                if failed.is_power_of_two() {
                    tracing::warn!(study, round, failed, %error, "a round that is in doubt cannot be read: trying again");
                }
            }
            if let Some(again) = self.again.get_mut(&(study, round)) {
                (again.wanted, again.failed, again.next) = (read.is_err(), failed, Some(Instant::now() + pause));
            }
        }
    }
}

fn take_back(open: &OpenRound, certificate: &Certified) {
    let mut held = locked(&open.certificate);
    if held.take_if(|held| held == certificate).is_some() {
        open.tell(MachineEvent::Chain(RoundEvent::CertificateGone));
    }
}
