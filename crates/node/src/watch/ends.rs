//! The ends of rounds. An end that a block shows only pauses its round; it is acted upon once that block is final by the
//! study's rule on all endpoints and the contract's storage says the same on all of them, since contributions do not come
//! back when the chain takes the end back, or when an endpoint had left a certificate out.

use super::Watch;
use crate::metrics::Metrics;
use crate::rounds::OpenRound;
use crate::service::{locked, now_seconds};
use consilium_core::round::{ChainEvent as RoundEvent, Event as MachineEvent, Stage};
use consilium_core::terms::Terms;
use consilium_ledger::{Block, BlockRef, Endpoints, Error, Event, Ledger, LogPosition, Round as OnChain, Standing, State};

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
    /// Whether all endpoints said that no set was certified, when it was told.
    void: bool,
    /// Whether all endpoints have shown another block at its height.
    doubted: bool,
}

/// What endpoints say of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// It is final, and the contract's storage says so too.
    Stands {
        /// Whether no set was certified.
        void: bool,
    },
    /// It is not final.
    Pending,
    /// Another block has its height.
    Gone,
    /// Its block is final, and the contract's storage says that the round did not end so.
    Denied,
}

impl Finding {
    /// What several endpoints say together, the one that is followed first.
    fn of_all(findings: &[Self]) -> Self {
        let all = |wanted| findings.iter().all(|finding| *finding == wanted);
        let any = |wanted| findings.contains(&wanted);
        match findings.first() {
            // What was followed has left something out, whatever the others say.
            Some(Self::Denied) => Self::Denied,
            None => Self::Pending,
            Some(_) if all(Self::Gone) => Self::Gone,
            Some(_) if any(Self::Gone) || any(Self::Pending) => Self::Pending,
            Some(_) if any(Self::Denied) => Self::Denied,
            Some(_) => Self::Stands { void: all(Self::Stands { void: true }) },
        }
    }
}

impl End {
    fn new(block: BlockRef, announced: Option<(LogPosition, Event)>, means: RoundEvent) -> Self {
        Self { block, announced, means, told: false, void: false, doubted: false }
    }

    /// An end that an event announces.
    pub(crate) fn announced(at: LogPosition, event: Event) -> Self {
        let means = match &event {
            Event::RoundSettled { share_roots, aggregate_root, .. } => {
                RoundEvent::Settled { share_roots: share_roots.clone(), aggregate_root: *aggregate_root }
            }
            _ => RoundEvent::Closed,
        };
        Self::new(at.block, Some((at, event)), means)
    }

    /// An end that follows from a block's time or from the state at a block.
    pub(crate) fn silent(block: BlockRef) -> Self {
        Self::new(block, None, RoundEvent::Closed)
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

    /// Whether the round is final without a certified set, so that nobody needs its contributions any more.
    pub(crate) fn is_void(&self) -> bool {
        self.void
    }

    fn is_settlement(&self) -> bool {
        matches!(self.means, RoundEvent::Settled { .. })
    }

    /// What all endpoints say together.
    async fn finding(&self, endpoints: &Endpoints, terms: &Terms) -> Result<Finding, Error> {
        let mut findings = Vec::with_capacity(endpoints.all().len());
        for ledger in endpoints.all() {
            findings.push(self.seen_by(ledger, terms).await?);
        }
        Ok(Finding::of_all(&findings))
    }

    /// What one endpoint says. A deadline may pass, and an event be shown, although an endpoint left out what came before:
    /// only what the contract stores tells how a round ended.
    async fn seen_by(&self, ledger: &Ledger, terms: &Terms) -> Result<Finding, Error> {
        let (rule, number) = (terms.policy.finality, self.block.number);
        match ledger.standing(&self.block, rule).await? {
            Standing::Final => {}
            Standing::Pending => return Ok(Finding::Pending),
            Standing::Replaced => return Ok(Finding::Gone),
        }
        if let Some((at, event)) = &self.announced {
            let batch = ledger.events(number, number).await?;
            if !batch.events.iter().any(|shown| shown.at == *at && shown.event == *event) {
                return Ok(Finding::Pending);
            }
        }
        match ledger.final_state(terms.study, terms.round, rule).await? {
            Some((block, state)) if block.number >= number => Ok(self.agrees_with(state)),
            _ => Ok(Finding::Pending),
        }
    }

    fn agrees_with(&self, state: State) -> Finding {
        match state {
            State::Open | State::Certified => Finding::Denied,
            State::Settled | State::Refuted if !self.is_settlement() => Finding::Denied,
            State::Void | State::Abandoned if self.is_settlement() => Finding::Denied,
            State::Void => Finding::Stands { void: true },
            // What is off the record has ended somehow.
            State::Settled | State::Abandoned | State::Fraudulent | State::Refuted | State::None => {
                Finding::Stands { void: false }
            }
        }
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

    /// Replaces an end that was not final by what the chain shows when it is read again; the same one again leaves it as it
    /// is, so that its block can become final.
    pub(crate) fn correct_end(&self, shown: Option<End>) {
        let mut known = locked(&self.end);
        let same = |end: &End| !end.doubted && shown.as_ref().is_some_and(|shown| shown.means == end.means);
        if known.as_ref().is_some_and(|end| end.told || same(end)) {
            return;
        }
        let change = match (&*known, &shown) {
            (None, Some(_)) => Some(RoundEvent::Paused),
            (Some(_), None) => Some(RoundEvent::Resumed),
            _ => None,
        };
        *known = shown;
        if let Some(change) = change {
            self.tell(MachineEvent::Chain(change));
        }
    }

    fn doubt_end(&self, block: &BlockRef) {
        if let Some(end) = locked(&self.end).as_mut().filter(|end| end.block == *block) {
            end.doubted = true;
        }
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
    pub(super) async fn check_ends(&mut self) {
        for open in self.service.rounds.open() {
            let Some(end) = locked(&open.end).clone().filter(|end| !end.told) else { continue };
            // The machine hears first that the certificate is final: then it completes its share even after the others.
            let too_early = end.is_settlement() && matches!(open.stage(), Stage::Collecting | Stage::Certified);
            if !too_early {
                self.check_end(&open, &end).await;
            } else if locked(&open.certificate).is_none() {
                let (study, round) = open.id();
                self.read_again_soon(study, round);
            }
            self.give_up(&open, &end);
        }
    }

    async fn check_end(&mut self, open: &OpenRound, end: &End) {
        let (study, round) = open.id();
        match end.finding(&self.service.endpoints, &open.terms).await {
            Ok(Finding::Stands { void }) => is_told(open, end, end.means.clone(), void),
            Ok(Finding::Pending) => {}
            // The watcher is going to read that height, and tells what stands there.
            Ok(Finding::Gone) if self.is_ahead(end.block.number) => open.resume_unless(|block| *block != end.block),
            Ok(Finding::Gone) => {
                open.doubt_end(&end.block);
                self.read_again_soon(study, round);
            }
            Ok(Finding::Denied) => {
                tracing::warn!(study, round, "an endpoint says that the round did not end so: nothing is closed or deleted");
                self.read_again_soon(study, round);
            }
            Err(error) => {
                Metrics::add(&self.service.metrics.chain_errors, 1);
                tracing::warn!(study, round, %error, "whether the round's end is final cannot be told yet; check the endpoints");
            }
        }
    }

    /// An end that does not become final keeps a round open, but not for ever: when nothing can be certified or settled any
    /// more since as long as contributions are kept after an end, by the chain's clock and by this node's own, the seat ends
    /// too. Nothing is taken for void then.
    fn give_up(&self, open: &OpenRound, end: &End) {
        let last = open.terms.policy.settle_by.saturating_add(self.service.config.retention.as_secs());
        let head = locked(&self.service.head).map_or(0, |head| head.timestamp);
        if head.min(now_seconds()) >= last && locked(&open.end).as_ref().is_some_and(|end| !end.told) {
            let (study, round) = open.id();
            tracing::error!(study, round, "the round's end does not become final: closing it here; check the endpoints");
            is_told(open, end, RoundEvent::Closed, false);
        }
    }
}

/// Tells the machine that an end is final, unless another one is known by now.
fn is_told(open: &OpenRound, end: &End, means: RoundEvent, void: bool) {
    let mut known = locked(&open.end);
    if let Some(known) = known.as_mut().filter(|known| known.block == end.block && !known.told) {
        (known.told, known.void) = (true, void);
        open.tell(MachineEvent::Chain(means));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_endpoint_neither_ends_a_round_nor_takes_an_end_back() {
        let (void, over) = (Finding::Stands { void: true }, Finding::Stands { void: false });
        let of_all = |findings: &[Finding]| Finding::of_all(findings);
        assert_eq!(of_all(&[void, void]), void);
        assert_eq!(of_all(&[void, over]), over, "deleted only when all say that nothing was certified");
        assert_eq!(of_all(&[Finding::Gone, Finding::Gone]), Finding::Gone);
        for one in [void, over, Finding::Pending] {
            assert_eq!(of_all(&[one, Finding::Gone]), Finding::Pending);
            assert_eq!(of_all(&[Finding::Gone, one]), Finding::Pending);
            assert_eq!(of_all(&[one, Finding::Pending]), Finding::Pending);
        }
        assert_eq!(of_all(&[void, Finding::Denied]), Finding::Denied);
        assert_eq!(of_all(&[Finding::Denied, Finding::Pending]), Finding::Denied);
        assert_eq!(of_all(&[Finding::Pending, Finding::Denied]), Finding::Pending);
        assert_eq!(of_all(&[]), Finding::Pending);
    }

    #[test]
    fn an_end_counts_only_if_the_contract_stores_the_same() {
        let block = BlockRef::default();
        let settled = RoundEvent::Settled { share_roots: Vec::new(), aggregate_root: Default::default() };
        let (closed, settled) = (End::silent(block), End::new(block, None, settled));
        let (void, over) = (Finding::Stands { void: true }, Finding::Stands { void: false });
        for (state, closes, settles) in [
            (State::None, over, over),
            (State::Open, Finding::Denied, Finding::Denied),
            (State::Void, void, Finding::Denied),
            (State::Certified, Finding::Denied, Finding::Denied),
            (State::Settled, Finding::Denied, over),
            (State::Abandoned, over, Finding::Denied),
            (State::Fraudulent, over, over),
        ] {
            assert_eq!((closed.agrees_with(state), settled.agrees_with(state)), (closes, settles), "{state:?}");
        }
    }
}
