//! Each settlement is checked as it lands, by every node of its committee, beside the rounds and one at a time.
//!
//! A node that computed the very settlement that the chain shows has nothing left to check: its roots come from 2t+1
//! shares on one polynomial. That is the journal's word for a node that signed it, and the round machine's for one that
//! was overtaken. Any other node fetches what is behind the settled roots, its own share and aggregate first, keeps t+1
//! vectors and compares each further one with them: the first that does not fit is the proof. It stops as soon as the
//! aggregate fits 2t+1 settled shares. What peers do not serve now is asked for again, as long as the round is on record.

use super::{answers, keep, payouts};
use crate::metrics::Metrics;
use crate::rounds::{Entry, patience};
use crate::service::{Service, locked};
use crate::store::{Database, Opening, SeenCertificate, StoreError, Verdict};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::openings::{Comparison, Flaw, Served, longest, read};
use consilium_core::round::Statement;
use consilium_ledger::{ChainEvent, Cursor, Error, Event, Offence, Progress, Round, Settled, State, Watcher};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pause before a settlement is looked at: a node that is a little late completes the round by itself.
const FIRST: Duration = Duration::from_secs(1);
/// Looks at a settlement in which a node that still completes the round by itself is left to it.
const PATIENCE: u32 = 2;
const SLOWEST: Duration = Duration::from_secs(300);
/// Looks at the chain a round's own watcher makes for each of this one.
const SLOWER: u32 = 4;

/// What a look at one settlement found.
#[derive(Debug)]
enum Finding {
    /// Its roots are those of one polynomial; how this node knows, in words.
    Sound(&'static str),
    /// Nothing can be found out about it any more, or not by this node; why, in words.
    OutOfReach(&'static str),
    /// It is wrong, and this proves it.
    Wrong(Flaw),
    /// Too little is served to tell.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Due {
    at: Instant,
    attempts: u32,
}

/// Follows the chain for settlements, with a cursor of its own.
pub(crate) struct Settlements {
    service: Arc<Service>,
    watcher: Watcher,
    due: BTreeMap<(u64, u64), Due>,
}

impl Settlements {
    /// Resumes where the data folder says.
    pub(crate) async fn resume(service: Arc<Service>) -> Result<Self, StoreError> {
        let (cursor, open) = service.database.run(|db| Ok((db.settlements_cursor()?, db.unchecked()?))).await?;
        let watcher = Watcher::new(service.ledger().clone(), cursor.unwrap_or_default());
        let due = open.into_iter().map(|id| (id, Due { at: Instant::now() + FIRST, attempts: 0 })).collect();
        Ok(Self { service, watcher, due })
    }

    /// Checks until the node stops.
    pub(crate) async fn run(mut self) {
        loop {
            if let Err(error) = self.follow().await {
                Metrics::add(&self.service.metrics.chain_errors, 1);
                tracing::debug!(%error, "settlements cannot be followed: trying again");
            }
            let now = Instant::now();
            let ready = self.due.iter().filter(|(_, due)| due.at <= now).map(|(id, due)| (*id, due.attempts));
            for ((study, round), attempts) in ready.collect::<Vec<_>>() {
                let finding = check(&self.service, study, round, attempts).await;
                self.conclude(study, round, finding).await;
            }
            if let Err(error) = answers::give(&self.service).await {
                tracing::error!(%error, "what this node has to answer cannot be read: trying again; check the disk");
            }
            if let Err(error) = payouts::assign(&self.service).await {
                tracing::error!(%error, "lost bonds cannot be read: trying again; check the disk");
            }
            tokio::time::sleep(self.service.config.poll_interval * SLOWER).await;
        }
    }

    /// A settlement is written down as unchecked before the cursor moves beyond it.
    async fn follow(&mut self) -> Result<(), CheckError> {
        loop {
            let before = self.watcher.cursor().clone();
            let Progress::Read { batch, is_head, .. } = self.watcher.next_events().await? else { return Ok(()) };
            if let Err(error) = self.note(&batch.events).await {
                // What could not be written down is read again.
                self.watcher = Watcher::new(self.service.ledger().clone(), before);
                return Err(error.into());
            }
            if is_head {
                return Ok(());
            }
        }
    }

    async fn note(&mut self, events: &[ChainEvent]) -> Result<(), StoreError> {
        let me = self.service.address();
        for event in events {
            match &event.event {
                &Event::RoundSettled { study, round, .. } => {
                    self.service.database.run(move |db| db.set_checked(study, round, None)).await?;
                    self.due.insert((study, round), Due { at: Instant::now() + FIRST, attempts: 0 });
                }
                Event::RoundCertified { study, round, set_root, size, voters, signatures }
                    if matches!(self.service.rounds.get(*study, *round), Some(Entry::Open(_))) =>
                {
                    let (study, round) = (*study, *round);
                    let (set_root, size, voters, votes) = (*set_root, *size, *voters, signatures.clone());
                    let seen = SeenCertificate { set_root, size, voters, votes };
                    self.service.database.run(move |db| db.keep_certificate(study, round, &seen)).await?;
                }
                Event::Convicted(conviction) if conviction.node == me && conviction.offence == Offence::ForeignShare => {
                    let (study, round) = (conviction.study, conviction.round);
                    self.service.database.run(move |db| db.add_accused(study, round)).await?;
                }
                Event::Convicted(conviction) => {
                    let (study, node) = (conviction.study, conviction.node);
                    self.service.database.run(move |db| db.add_taken(study, &node)).await?;
                }
                _ => {}
            }
        }
        let cursor: Cursor = self.watcher.cursor().clone();
        self.service.database.run(move |db| db.set_settlements_cursor(&cursor)).await
    }

    async fn conclude(&mut self, study: u64, round: u64, finding: Result<Finding, CheckError>) {
        let kept = match finding {
            Ok(Finding::Sound(words)) => {
                tracing::info!(study, round, "settlement checked: {words}");
                self.close(study, round, Verdict::Sound).await
            }
            Ok(Finding::OutOfReach(words)) => {
                tracing::info!(study, round, "settlement not checked: {words}");
                self.close(study, round, Verdict::OutOfReach).await
            }
            Ok(Finding::Wrong(flaw)) => {
                tracing::error!(study, round, "the settlement is WRONG: showing the proof to the contract");
                let accusation = Accusation { study, round, charge: Charge::WrongSettlement(flaw) };
                match keep(&self.service, accusation).await {
                    Ok(()) => self.close(study, round, Verdict::Wrong).await,
                    Err(error) => Err(error),
                }
            }
            Ok(Finding::Unknown) => return self.put_off(study, round),
            Err(error) => {
                tracing::debug!(study, round, %error, "a settlement cannot be checked yet");
                return self.put_off(study, round);
            }
        };
        if let Err(error) = kept {
            tracing::error!(study, round, %error, "what a check found cannot be kept: trying again; check the disk");
            self.put_off(study, round);
        }
    }

    /// Shares that differ from this settlement have waited for the verdict.
    async fn close(&mut self, study: u64, round: u64, verdict: Verdict) -> Result<(), StoreError> {
        self.service.database.run(move |db| db.set_checked(study, round, Some(verdict))).await?;
        self.due.remove(&(study, round));
        self.service.evidence.notify_one();
        Ok(())
    }

    fn put_off(&mut self, study: u64, round: u64) {
        let Some(due) = self.due.get_mut(&(study, round)) else { return };
        due.attempts = due.attempts.saturating_add(1);
        due.at = Instant::now() + (FIRST * 2u32.saturating_pow(due.attempts.min(16))).min(SLOWEST);
        if due.attempts > 4 && due.attempts.is_power_of_two() {
            let attempts = due.attempts;
            tracing::warn!(study, round, attempts, "too few settled shares are served to check a settlement: asking again");
        }
    }
}

async fn check(service: &Arc<Service>, study: u64, number: u64, attempts: u32) -> Result<Finding, CheckError> {
    let history = service.ledger().history(study).await?;
    // An endpoint that lags, or lies, must not end a check: only what time cannot undo does.
    if number > history.rounds() {
        return Ok(Finding::Unknown);
    }
    if !history.is_on_record(number) {
        return Ok(Finding::OutOfReach("off the record, nothing can be proved about it any more"));
    }
    let round = history.round(number).await?;
    let Some(settled) = round.settlement.as_ref().filter(|_| round.state == State::Settled) else {
        return Ok(Finding::Unknown);
    };
    let Some(me) = round.terms.committee.index_of(service.address()) else {
        return Ok(Finding::OutOfReach("of another committee"));
    };
    if let Some(Entry::Open(open)) = service.rounds.get(study, number) {
        if locked(&open.machine).settlement() == Some(&settled.settlement) {
            return Ok(Finding::Sound("it is what this node computed"));
        }
        if !open.is_over() && attempts < PATIENCE {
            return Ok(Finding::Unknown);
        }
    }
    let (opening, subject) = (Opening::of(&round.terms), round.terms.subject);
    let journal = service.database.run(move |db: &Database| db.journalled(&opening, &subject)).await?;
    if journal.iter().any(|said| matches!(said, Statement::Settlement(said) if *said == settled.settlement)) {
        return Ok(Finding::Sound("it is what this node computed and signed"));
    }
    compare(service, &round, settled, me).await
}

/// The vectors behind the settled roots against each other: what is here first, then what peers serve.
async fn compare(service: &Arc<Service>, round: &Round, settled: &Settled, me: usize) -> Result<Finding, CheckError> {
    let (study, number, length) = (round.terms.study, round.terms.round, round.terms.program.output_len());
    let mut comparison = Comparison::new(round.terms.committee.sizes(), length);
    let n = round.terms.committee.members().len();
    // Whose own share is not the settled one looks at every vector there is: somebody frames it, or its disk is damaged.
    let mut differs = false;
    let order = std::iter::once(me).chain(std::iter::once(0)).chain((1..=n).filter(|node| *node != me));
    for point in order {
        let Some(root) = settled.roots().at(point) else { continue };
        let served = match fetch(service, round, point, me).await? {
            Some(bytes) => {
                let _core = service.cores.acquire().await;
                let work = move || read(point as u8, length, &root, &bytes);
                tokio::task::spawn_blocking(work).await.unwrap_or(Served::Other)
            }
            None => continue,
        };
        let flaw = match served {
            Served::Flaw(flaw) => Some(flaw),
            Served::Vector(values) => {
                let mut taken = comparison;
                let work = move || (taken.add(point, values), taken);
                let Ok((flaw, back)) = tokio::task::spawn_blocking(work).await else { return Ok(Finding::Unknown) };
                comparison = back;
                flaw
            }
            Served::Other if point == me => {
                differs = true;
                None
            }
            Served::Other => None,
        };
        if let Some(flaw) = flaw {
            return Ok(Finding::Wrong(flaw));
        }
        if comparison.is_sound() && !differs {
            return Ok(Finding::Sound("the aggregate fits 2t+1 settled shares"));
        }
    }
    if !comparison.is_sound() {
        return Ok(Finding::Unknown);
    }
    let Ok(mine) = tokio::task::spawn_blocking(move || comparison.root_at(me)).await else { return Ok(Finding::Unknown) };
    if mine == settled.roots().at(me) {
        tracing::error!(study, round = number, "this node's own copy of its share is damaged: check the disk");
        return Ok(Finding::Sound("aggregate and all settled shares fit; this node's own copy of its share does not"));
    }
    tracing::error!(study, round = number, "another share than this node's own is settled under its name");
    Ok(Finding::Unknown)
}

/// The bytes that are served for a settled root: this node's own, or a peer's. The aggregate is anyone's who has it.
async fn fetch(service: &Service, round: &Round, point: usize, me: usize) -> Result<Option<Vec<u8>>, StoreError> {
    let terms = &round.terms;
    let (study, number, most) = (terms.study, terms.round, longest(terms.program.output_len()));
    if point == me {
        return Ok(service.blobs.share_bytes(study, number).await?.map(Vec::from));
    }
    if point != 0 {
        let Some(peer) = terms.committee.member(point) else { return Ok(None) };
        return Ok(in_time(most, service.peers.share_bytes(&peer.address, study, number, most)).await);
    }
    let wanted = round.settlement.as_ref().map(|settled| settled.settlement.aggregateRoot);
    let length = terms.program.output_len();
    let is_settled = |bytes: &[u8]| wanted.is_some_and(|root| !matches!(read(0, length, &root, bytes), Served::Other));
    if let Some(bytes) = service.blobs.aggregate_bytes(study, number).await?
        && is_settled(&bytes)
    {
        return Ok(Some(bytes.into()));
    }
    for member in terms.committee.members().iter().filter(|member| member.address != service.address()) {
        if let Some(bytes) = in_time(most, service.peers.aggregate(&member.address, study, number, most)).await
            && is_settled(&bytes)
        {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// What a peer serves before patience ends: one that drips its bytes holds up no other check.
async fn in_time<T, E>(bytes: usize, fetch: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(patience(bytes), fetch).await.ok()?.ok()
}
