//! The ends of rounds. An end that a block shows only pauses its round; it is acted upon once that block is final by the
//! study's rule on all endpoints, since keys and contributions do not come back when the chain takes the end back.

use super::Watch;
use crate::metrics::Metrics;
use crate::rounds::OpenRound;
use crate::service::locked;
use consilium_core::params::Finality;
use consilium_core::round::{ChainEvent as RoundEvent, Event as MachineEvent, Stage};
use consilium_ledger::{Block, BlockRef, Endpoints, Error, Event, LogPosition, Round as OnChain, Standing, State};

/// An end of a round, as a block shows it.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// The block that must be final.
    block: BlockRef,
    /// What was announced there, which every endpoint must show; deadlines pass without a word.
    announced: Option<(LogPosition, Event)>,
    /// What the machine is told then.
    means: RoundEvent,
    /// Whether it has been told.
    told: bool,
}

impl End {
    /// An end that an event announces.
    pub(crate) fn announced(at: LogPosition, event: Event) -> Self {
        let means = match &event {
            Event::RoundSettled { share_roots, aggregate_root, .. } => {
                RoundEvent::Settled { share_roots: share_roots.clone(), aggregate_root: *aggregate_root }
            }
            _ => RoundEvent::Closed,
        };
        Self { block: at.block, announced: Some((at, event)), means, told: false }
    }

    /// An end that follows from a block's time or from the state at a block.
    pub(crate) fn silent(block: BlockRef) -> Self {
        Self { block, announced: None, means: RoundEvent::Closed, told: false }
    }

    /// The end of a round that the chain shows already when the seat is taken.
    pub(crate) fn of(round: &OnChain) -> Option<Self> {
        if let Some(settled) = &round.settlement {
            let said = &settled.settlement;
            let event = Event::RoundSettled {
                study: said.study,
                round: said.round,
                set_root: said.setRoot,
                share_roots: settled.share_roots.clone(),
                aggregate_root: said.aggregateRoot,
                reward_root: said.rewardRoot,
                signers: settled.signers,
            };
            return Some(Self::announced(settled.at, event));
        }
        let over = matches!(round.state_at(round.read_at.timestamp), State::Void | State::Abandoned | State::Fraudulent);
        over.then(|| Self::silent(round.read_at.reference()))
    }

    /// Where this end stands on all endpoints together. What one of them does not show is not final.
    async fn standing(&self, endpoints: &Endpoints, rule: Finality) -> Result<Standing, Error> {
        let mut worst = Standing::Final;
        for ledger in endpoints.all() {
            let mut here = ledger.standing(&self.block, rule).await?;
            if here == Standing::Final
                && let Some((at, event)) = &self.announced
            {
                let batch = ledger.events(self.block.number, self.block.number).await?;
                if !batch.events.iter().any(|shown| shown.at == *at && shown.event == *event) {
                    here = Standing::Pending;
                }
            }
            worst = match (worst, here) {
                (Standing::Final, other) | (other, Standing::Final) => other,
                (Standing::Replaced, Standing::Replaced) => Standing::Replaced,
                _ => Standing::Pending,
            };
        }
        Ok(worst)
    }
}

impl OpenRound {
    /// Notes that a block shows the end of this round: nothing more is agreed on until that is final or gone. The first
    /// end counts.
    pub(crate) fn ends(&self, end: End) {
        let mut known = locked(&self.end);
        if known.is_none() {
            *known = Some(end);
            self.tell(MachineEvent::Chain(RoundEvent::Paused));
        }
    }

    /// Whether the block of the end that this round was told of is gone.
    pub(super) fn end_vanished(&self, vanished: impl Fn(u64) -> bool) -> bool {
        locked(&self.end).as_ref().is_some_and(|end| end.told && vanished(end.block.number))
    }

    /// Takes an end back that was not final.
    pub(super) fn resume_unless(&self, stands: impl Fn(&BlockRef) -> bool) {
        if locked(&self.end).take_if(|end| !end.told && !stands(&end.block)).is_some() {
            self.tell(MachineEvent::Chain(RoundEvent::Resumed));
        }
    }
}

impl Watch {
    /// A study has one round at a time: a newer one means that the earlier ones ended, recorded or not.
    pub(super) fn close_earlier(&self, study: u64, round: u64, at: LogPosition, event: &Event) {
        for open in self.service.rounds.open() {
            let in_progress = !matches!(open.stage(), Stage::Settled | Stage::Closed);
            if open.terms.study == study && open.terms.round < round && in_progress {
                open.ends(End::announced(at, event.clone()));
            }
        }
    }

    /// By block time a deadline counts although nobody recorded that it passed. A settled round in which this node still
    /// catches up gives up then.
    pub(super) fn close_overdue(&self, head: &Block) {
        for open in self.service.rounds.open() {
            let policy = &open.terms.policy;
            let due = if locked(&open.certificate).is_some() { policy.settle_by } else { policy.deadline };
            if open.is_over() || head.timestamp < due {
                continue;
            }
            if open.stage() == Stage::Settled {
                open.tell(MachineEvent::Chain(RoundEvent::Closed));
            } else {
                open.ends(End::silent(head.reference()));
            }
        }
    }

    /// Acts on the ends that are final by now.
    pub(super) async fn check_ends(&self) {
        for open in self.service.rounds.open() {
            let Some(end) = locked(&open.end).clone().filter(|end| !end.told) else { continue };
            // The machine hears first that the certificate is final: then it completes its share even after the others.
            if matches!(end.means, RoundEvent::Settled { .. }) && matches!(open.stage(), Stage::Collecting | Stage::Certified) {
                continue;
            }
            let (study, round) = open.id();
            match end.standing(&self.service.endpoints, open.terms.policy.finality).await {
                Ok(Standing::Final) => self.end_is_final(&open, end),
                Ok(Standing::Pending) => {}
                Ok(Standing::Replaced) => open.resume_unless(|block| *block != end.block),
                Err(error) => {
                    Metrics::add(&self.service.metrics.chain_errors, 1);
                    tracing::warn!(study, round, %error, "whether the round's end is final cannot be told yet; check the endpoints");
                }
            }
        }
    }

    fn end_is_final(&self, open: &OpenRound, end: End) {
        let mut known = locked(&open.end);
        if let Some(known) = known.as_mut().filter(|known| known.block == end.block) {
            known.told = true;
            open.tell(MachineEvent::Chain(end.means));
        }
    }
}
