//! One task a round: it feeds core's machine with events and carries out the effects, in order.
//!
//! `Effect::Sign` goes through the journal: what is to be signed is on disk before it is signed, and what contradicts
//! the journal is never signed. So does `Effect::Hold`: what is acknowledged is on disk before.

use super::{OpenRound, again, pull, release, repair, seat, transact, verify, view};
use crate::court;
use crate::metrics::Metrics;
use crate::service::{Service, locked, now_millis};
use crate::store::{Database, Entries, StoreError};
use consilium_core::accusation::Accusation;
use consilium_core::eip712::Signed;
use consilium_core::round::{Effect, Event, Offender, Stage, Statement};
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

const TICK: Duration = Duration::from_millis(50);
/// Events that are handled together, so that their statements share one write to the disk.
const TOGETHER: usize = 256;
/// How long a round that is over still answers its peers and collects what they sign.
const LINGER: Duration = Duration::from_secs(60);
/// How long a node waits for what others hold of it before it says so; then after twice as long.
const RECALL_PATIENCE: Duration = Duration::from_secs(5);
/// Pause after a failed write to the journal.
const DISK_PAUSE: Duration = Duration::from_secs(1);

/// Signs a statement. Only for what the journal holds.
pub(super) fn sign(service: &Service, statement: &Statement) -> Signed {
    statement.sign(&service.domain, service.keys.signing_key())
}

pub(super) struct Actor {
    service: Arc<Service>,
    round: Arc<OpenRound>,
    internal: mpsc::UnboundedReceiver<Event>,
    over_since: Option<Instant>,
    started: Instant,
    /// When to say next that too few others have told what they hold of this node.
    says_so_after: Duration,
    /// What was last written about the round's end.
    written: Option<serde_json::Value>,
    /// Whether anything but ticks has come in since.
    news: bool,
    /// Evidence that is being written.
    reports: Reports,
}

/// Pieces of work that must be done before a round's record is complete.
#[derive(Default)]
struct Reports(JoinSet<()>);

impl Reports {
    fn spawn(&mut self, report: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(report);
    }

    /// Whether any has been done since the last call.
    fn any_done(&mut self) -> bool {
        let mut done = false;
        while self.0.try_join_next().is_some() {
            done = true;
        }
        done
    }

    /// Waits for all of them.
    async fn finish(mut self) {
        while self.0.join_next().await.is_some() {}
    }

    fn are_pending(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Actor {
    pub(super) fn new(service: Arc<Service>, round: Arc<OpenRound>, internal: mpsc::UnboundedReceiver<Event>) -> Self {
        let (started, says_so_after) = (Instant::now(), RECALL_PATIENCE);
        let reports = Reports::default();
        Self { service, round, internal, over_since: None, started, says_so_after, written: None, news: true, reports }
    }

    /// Runs until the round has been over for a while.
    pub(super) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let events = self.next_events(&mut tick).await;
            self.news |= events.iter().any(|event| !matches!(event, Event::Tick)) | self.reports.any_done();
            self.handle(events).await;
            self.round.changed.notify_waiters();
            self.tell_of_recall();
            if self.round.is_dismissed() {
                self.round.wipe();
                // Evidence is of more than this seat.
                self.service.spawn(std::mem::take(&mut self.reports).finish());
                return;
            }
            if self.round.is_over() && self.wind_up().await {
                return;
            }
        }
    }

    /// A node that was started signs nothing before enough others have told what they hold of it.
    fn tell_of_recall(&mut self) {
        if self.started.elapsed() < self.says_so_after {
            return;
        }
        self.says_so_after *= 2;
        let (answered, needed) = locked(&self.round.machine).recalled();
        if answered < needed {
            let (study, round) = self.round.id();
            tracing::warn!(
                study,
                round,
                answered,
                needed,
                "after its start this node signs nothing in this round before so many \
                           members have told what they hold of it: see that they run and can be reached"
            );
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
        while !events.is_empty() && !self.round.is_dismissed() {
            let mut entries = Entries { subject: self.round.terms.subject, ..Entries::default() };
            for effect in self.apply(events) {
                match effect {
                    Effect::Sign(statement) => entries.statements.push(statement),
                    Effect::Keep(fresh) => entries.certificates.extend(fresh),
                    Effect::KeepSet(set) => entries.sets.push(set),
                    Effect::Hold(intent) => entries.intents.extend(self.round.address_of(intent.node).map(|of| (of, intent))),
                    other => self.carry_out(other),
                }
            }
            events = self.enter(entries).await;
        }
    }

    fn apply(&self, events: Vec<Event>) -> Vec<Effect> {
        let mut machine = locked(&self.round.machine);
        let now = now_millis();
        events.into_iter().flat_map(|event| machine.apply(now, event)).collect()
    }

    /// Journals, then signs.
    async fn enter(&self, entries: Entries) -> Vec<Event> {
        if entries.is_empty() {
            return Vec::new();
        }
        let entries = Arc::new(entries);
        let entered = loop {
            let (entries, seat) = (Arc::clone(&entries), Arc::clone(&self.round));
            // A seat may be dismissed while it waits for the disk: the flag is read within the transaction.
            let write = move |db: &Database| db.journal_unless(&seat.opening, &entries, || seat.is_dismissed());
            match self.service.database.run(write).await {
                Ok(Some(entered)) => break entered,
                Ok(None) => return Vec::new(),
                Err(error) => {
                    tracing::error!(%error, "the journal cannot be written: signing nothing until it can");
                    tokio::time::sleep(DISK_PAUSE).await;
                }
            }
        };
        if self.round.is_dismissed() {
            return Vec::new();
        }
        let mut events: Vec<Event> = entered.intents.into_iter().map(Event::Held).collect();
        for (statement, verdict) in entries.statements.iter().zip(entered.verdicts) {
            match verdict {
                Ok(()) => {
                    let signature = sign(&self.service, statement);
                    events.push(Event::Signed { statement: statement.clone(), signature });
                }
                Err(conflict) => self.refuse(statement, &conflict.slot),
            }
        }
        events
    }

    fn refuse(&self, statement: &Statement, slot: &str) {
        let ((study, round), kind) = (self.round.id(), seat::name_of(statement));
        tracing::error!(study, round, slot, kind, "the journal holds another statement here: NOT signing a second one");
        Metrics::add(&self.service.metrics.journal_refusals, 1);
    }

    fn carry_out(&mut self, effect: Effect) {
        let (service, round) = (Arc::clone(&self.service), Arc::clone(&self.round));
        match effect {
            Effect::Sign(_) | Effect::Keep(_) | Effect::KeepSet(_) | Effect::Hold(_) => unreachable!("handle() collects them"),
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
            Effect::Look => service.look.notify_one(),
            Effect::Report(offender) => self.report(&offender),
        }
    }

    /// Keeps the evidence, which has it shown to the court.
    fn report(&mut self, offender: &Offender) {
        let (service, round) = (Arc::clone(&self.service), Arc::clone(&self.round));
        let accusation = Accusation::of(&round.terms, offender);
        self.reports.spawn(async move {
            let keep = || court::keep(&service, accusation.clone());
            again::until_written(&round, "keeping evidence of an offence", keep).await;
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
        let done = since.elapsed() >= LINGER && !self.news && !self.reports.are_pending();
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
        self.service.seats.round_ended(study);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::oneshot;

    #[tokio::test]
    async fn evidence_that_is_being_written_is_waited_for_and_is_news_when_it_is_there() {
        let (mut reports, (disk, written)) = (Reports::default(), oneshot::channel::<()>());
        assert!(!reports.are_pending() && !reports.any_done());
        reports.spawn(async move { written.await.unwrap() });
        tokio::task::yield_now().await;
        assert!(!reports.any_done() && reports.are_pending());
        disk.send(()).unwrap();
        while reports.are_pending() {
            tokio::task::yield_now().await;
            assert_eq!(reports.any_done(), !reports.are_pending());
        }
    }

    #[tokio::test]
    async fn evidence_that_is_being_written_survives_its_seat() {
        let (mut reports, (disk, written), (tell, told)) = (Reports::default(), oneshot::channel::<()>(), oneshot::channel());
        reports.spawn(async move {
            written.await.unwrap();
            tell.send(()).unwrap();
        });
        let finishing = tokio::spawn(reports.finish());
        tokio::task::yield_now().await;
        disk.send(()).unwrap();
        told.await.unwrap();
        finishing.await.unwrap();
    }
}
