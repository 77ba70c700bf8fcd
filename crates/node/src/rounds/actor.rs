//! One task a round: it feeds core's machine with events and carries out the effects, in order.
//!
//! `Effect::Sign` goes through the journal: what is to be signed is on disk before it is signed, and what contradicts
//! the journal is never signed.

use super::{OpenRound, accuse, again, pull, release, repair, seat, transact, verify, view};
use crate::metrics::Metrics;
use crate::service::{Service, locked, now_millis};
use crate::store::StoreError;
use consilium_core::certify::DatedCertificate;
use consilium_core::eip712::Signed;
use consilium_core::round::{Effect, Event, Offender, Stage, Statement};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const TICK: Duration = Duration::from_millis(50);
/// Events that are handled together, so that their statements share one write to the disk.
const TOGETHER: usize = 256;
/// How long a round that is over still answers its peers and collects what they sign.
const LINGER: Duration = Duration::from_secs(60);
/// Pause after a failed write to the journal.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Signs a statement. Only for what the journal holds.
pub(super) fn sign(service: &Service, statement: &Statement) -> Signed {
    let (domain, key) = (&service.domain, service.keys.signing_key());
    match statement {
        Statement::Receipt(said) => domain.sign(key, said),
        Statement::Vote(said) => domain.sign(key, said),
        Statement::Final(said) => domain.sign(key, said),
        Statement::ShareRoot(said) => domain.sign(key, said),
        Statement::Settlement(said) => domain.sign(key, said),
    }
}

pub(super) struct Actor {
    service: Arc<Service>,
    round: Arc<OpenRound>,
    internal: mpsc::UnboundedReceiver<Event>,
    over_since: Option<Instant>,
    /// What was last written about the round's end.
    written: Option<serde_json::Value>,
    /// Whether anything but ticks has come in since.
    news: bool,
}

impl Actor {
    pub(super) fn new(service: Arc<Service>, round: Arc<OpenRound>, internal: mpsc::UnboundedReceiver<Event>) -> Self {
        Self { service, round, internal, over_since: None, written: None, news: true }
    }

    /// Runs until the round has been over for a while.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let events = self.next_events(&mut tick).await;
            self.news |= events.iter().any(|event| !matches!(event, Event::Tick));
            self.handle(events).await;
            self.round.changed.notify_waiters();
            if self.round.is_dismissed() {
                self.round.wipe();
                return;
            }
            if self.round.is_over() && self.wind_up().await {
                return;
            }
        }
    }

    async fn next_events(&mut self, tick: &mut tokio::time::Interval) -> Vec<Event> {
        let mut events = Vec::new();
        tokio::select! {
            Some(event) = self.internal.recv() => events.push(event),
            (from, messages) = self.round.mailbox.take() => {
                events.extend(messages.into_iter().map(|message| Event::Message { from, message }));
            }
            _ = tick.tick() => events.push(Event::Tick),
        }
        while events.len() < TOGETHER {
            let Ok(event) = self.internal.try_recv() else { break };
            events.push(event);
        }
        events
    }

    /// Applies events and carries out their effects, until no statement is left to sign.
    async fn handle(&mut self, mut events: Vec<Event>) {
        while !events.is_empty() {
            let (mut statements, mut certificates) = (Vec::new(), Vec::new());
            for effect in self.apply(events) {
                match effect {
                    Effect::Sign(statement) => statements.push(statement),
                    Effect::Keep(fresh) => certificates.extend(fresh),
                    other => self.carry_out(other).await,
                }
            }
            events = self.sign_all(statements, certificates).await;
        }
    }

    fn apply(&self, events: Vec<Event>) -> Vec<Effect> {
        let mut machine = locked(&self.round.machine);
        let now = now_millis();
        events.into_iter().flat_map(|event| machine.apply(now, event)).collect()
    }

    /// Journals, then signs.
    async fn sign_all(&self, statements: Vec<Statement>, certificates: Vec<DatedCertificate>) -> Vec<Event> {
        if statements.is_empty() && certificates.is_empty() {
            return Vec::new();
        }
        let (batch, id) = (Arc::new((statements.clone(), certificates)), self.round.id());
        let verdicts = loop {
            let batch = Arc::clone(&batch);
            match self.service.database.run(move |db| db.journal_with(&batch.0, id, &batch.1)).await {
                Ok(verdicts) => break verdicts,
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be written: signing nothing until it can");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            }
        };
        let mut signed = Vec::with_capacity(statements.len());
        for (statement, verdict) in statements.into_iter().zip(verdicts) {
            match verdict {
                Ok(()) => signed.push(Event::Signed { signature: sign(&self.service, &statement), statement }),
                Err(conflict) => {
                    let (study, round) = self.round.id();
                    let (slot, kind) = (conflict.slot, seat::name_of(&statement));
                    tracing::error!(
                        study,
                        round,
                        slot,
                        kind,
                        "the journal holds another statement here: NOT signing a second one"
                    );
                    Metrics::add(&self.service.metrics.journal_refusals, 1);
                }
            }
        }
        signed
    }

    async fn carry_out(&self, effect: Effect) {
        let (service, round) = (Arc::clone(&self.service), Arc::clone(&self.round));
        match effect {
            Effect::Sign(_) | Effect::Keep(_) => unreachable!("handle() collects them"),
            Effect::Send { to, message } => seat::broadcast(&service, &round, to, &message),
            Effect::Verify(member) => self.service.spawn(verify::run(service, round, member)),
            Effect::Pull { member, from } => pull::start(&service, &round, member, from),
            Effect::AnswerSeeds { to, member, numbers } => {
                self.service.spawn(repair::answer(service, round, to, member, numbers));
            }
            Effect::OpenSeeds { member, sealed } => self.service.spawn(repair::open(service, round, member, sealed)),
            Effect::Certify { set_root, size, votes } => {
                self.service.spawn(transact::certify(service, round, set_root, size, votes));
            }
            Effect::Release(cohort) => self.service.spawn(release::release(service, round, cohort)),
            Effect::FetchShare { node, root } => self.service.spawn(release::fetch(service, round, node, root)),
            Effect::Unmask(nodes) => self.service.spawn(release::unmask(service, round, nodes)),
            Effect::Settle { settlement, share_roots, signatures } => {
                self.service.spawn(transact::settle(service, settlement, share_roots, signatures));
            }
            Effect::Report(offender) => self.report(offender),
        }
    }

    /// Keeps the evidence, and shows what is new to the court.
    fn report(&self, offender: Offender) {
        let (service, round) = (Arc::clone(&self.service), Arc::clone(&self.round));
        let (evidence, node) = (view::evidence(&self.round, &offender), offender.node());
        self.service.spawn(async move {
            let (study, number) = round.id();
            let keep = || {
                let evidence = evidence.clone();
                service.database.run(move |db| db.add_evidence(study, number, &evidence))
            };
            if again::until_done(&round, "keeping evidence of an offence", keep).await == Some(true) {
                tracing::warn!(study, round = number, node, "evidence of an offence is kept: see the round's statements");
                accuse::file(service, round, offender).await;
            }
        });
    }

    /// After the end: keeps what there is to know, again whenever there is more; true when nothing more is awaited.
    async fn wind_up(&mut self) -> bool {
        if self.over_since.is_none() {
            self.round.wipe();
            let (study, round) = self.round.id();
            tracing::info!(study, round, settled = self.round.stage() == Stage::Settled, "the round is over");
        }
        let since = *self.over_since.get_or_insert_with(Instant::now);
        if std::mem::take(&mut self.news)
            && let Err(error) = self.write_end().await
        {
            tracing::error!(%error, "how a round ended could not be written down: trying again; check the disk");
            self.news = true;
            tokio::time::sleep(DISK_PAUSE).await;
        }
        let done = since.elapsed() >= LINGER && !self.news;
        if done {
            self.service.rounds.remove(&self.round);
        }
        done
    }

    async fn write_end(&mut self) -> Result<(), StoreError> {
        let closed = view::closed(&self.service, &self.round).await?;
        if self.written.as_ref() == Some(&closed.statements) {
            return Ok(());
        }
        let ((study, round), statements) = (self.round.id(), closed.statements.clone());
        let seat = Arc::clone(&self.round);
        // The flag is read within the transaction: a record that a dismissed seat wrote before is taken back after it.
        self.service.database.run(move |db| db.set_closed_unless(study, round, &closed, || seat.is_dismissed())).await?;
        self.written = Some(statements);
        self.service.forget.notify_one();
        Ok(())
    }
}
