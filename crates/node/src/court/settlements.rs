//! Each settlement is checked as it lands, by every node of its committee, beside the rounds and one at a time.
//!
//! A node that computed the very settlement that the chain shows has nothing left to check: its roots come from 2t+1
//! shares on one polynomial. That is the journal's word for a node that signed it, and the round machine's for one that
//! was overtaken. Any other node fetches what is behind the settled roots, its own share and aggregate first, keeps t+1
//! vectors and compares each further one with them: the first that does not fit is the proof. It stops as soon as the
//! aggregate fits 2t+1 settled shares. What peers do not serve now is asked for again, as long as the round is on record.
//! Certified sets and settled rewards take their turns in the same queue: see `sets`.

use super::{answers, keep, payouts, sets};
use crate::metrics::Metrics;
use crate::rounds::{Entry, patience};
use crate::service::{Service, locked};
use crate::store::{Checked, Database, Opening, SeenCertificate, StoreError, Verdict};
use consilium_core::accusation::{Accusation, Charge};
use consilium_core::openings::{Comparison, Served, longest, read};
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

/// What a look at one thing found.
#[derive(Debug)]
pub(super) enum Finding {
    /// The settlement is the very one that this node computed, vectors and rewards.
    Own(&'static str),
    /// It is in order; how this node knows, in words.
    Sound(&'static str),
    /// Nothing can be found out about it any more, or not by this node; why, in words.
    OutOfReach(&'static str),
    /// It is wrong, and this proves it.
    Wrong(Box<Charge>),
    /// Too little is served to tell, or to prove it.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Due {
    at: Instant,
    attempts: u32,
}

impl Due {
    fn soon() -> Self {
        Self { at: Instant::now() + FIRST, attempts: 0 }
    }
}

/// One thing about a round, by study and round.
type Subject = (Checked, u64, u64);

/// Follows the chain for certificates and settlements, with a cursor of its own.
pub(crate) struct Settlements {
    service: Arc<Service>,
    watcher: Watcher,
    due: BTreeMap<Subject, Due>,
}

impl Settlements {
    /// Resumes where the data folder says.
    pub(crate) async fn resume(service: Arc<Service>) -> Result<Self, StoreError> {
        let cursor = service.database.run(Database::settlements_cursor).await?;
        let watcher = Watcher::new(service.ledger().clone(), cursor.unwrap_or_default());
        let mut due = BTreeMap::new();
        for what in Checked::ALL {
            let open = service.database.run(move |db| db.unchecked(what)).await?;
            due.extend(open.into_iter().map(|(study, round)| ((what, study, round), Due::soon())));
        }
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
            for (subject, attempts) in ready.collect::<Vec<_>>() {
                // What one check finds may end another.
                if self.due.contains_key(&subject) {
                    let finding = check(&self.service, subject, attempts).await;
                    self.conclude(subject, finding).await;
                }
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

    /// What is to be checked is written down before the cursor moves beyond it.
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
                    self.is_due((Checked::Vectors, study, round)).await?;
                    self.is_due((Checked::Rewards, study, round)).await?;
                }
                Event::RoundCertified { study, round, set_root, size, voters, signatures } => {
                    let (study, round) = (*study, *round);
                    self.is_due((Checked::Set, study, round)).await?;
                    if !matches!(self.service.rounds.get(study, round), Some(Entry::Open(_))) {
                        continue;
                    }
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

    /// What is to be checked is on the disk before the cursor beyond its event.
    async fn is_due(&mut self, (what, study, round): Subject) -> Result<(), StoreError> {
        self.service.database.run(move |db| db.set_checked(what, study, round, None)).await?;
        self.due.insert((what, study, round), Due::soon());
        Ok(())
    }

    async fn conclude(&mut self, subject: Subject, finding: Result<Finding, CheckError>) {
        let (what, study, round) = subject;
        let name = what.name();
        let kept = match finding {
            Ok(Finding::Own(words)) => {
                tracing::info!(study, round, "settlement checked: {words}");
                match self.close((Checked::Rewards, study, round), Verdict::Sound).await {
                    Ok(()) => self.close(subject, Verdict::Sound).await,
                    Err(error) => Err(error),
                }
            }
            Ok(Finding::Sound(words)) => {
                tracing::info!(study, round, "{name} checked: {words}");
                self.close(subject, Verdict::Sound).await
            }
            Ok(Finding::OutOfReach(words)) => {
                tracing::info!(study, round, "{name} not checked: {words}");
                self.close(subject, Verdict::OutOfReach).await
            }
            Ok(Finding::Wrong(charge)) => self.convict(subject, *charge).await,
            Ok(Finding::Unknown) => return self.put_off(subject),
            Err(error) => {
                tracing::debug!(study, round, %error, "the {name} cannot be checked yet");
                return self.put_off(subject);
            }
        };
        if let Err(error) = kept {
            tracing::error!(study, round, %error, "what a check found cannot be kept: trying again; check the disk");
            self.put_off(subject);
        }
    }

    async fn convict(&mut self, subject: Subject, charge: Charge) -> Result<(), StoreError> {
        let (what, study, round) = subject;
        tracing::error!(study, round, "{}: WRONG, showing the proof to the contract", what.name());
        keep(&self.service, Accusation { study, round, charge }).await?;
        self.close(subject, Verdict::Wrong).await
    }

    /// Shares that differ from a settlement have waited for the verdict on its vectors.
    async fn close(&mut self, subject: Subject, verdict: Verdict) -> Result<(), StoreError> {
        let (what, study, round) = subject;
        self.service.database.run(move |db| db.set_checked(what, study, round, Some(verdict))).await?;
        self.due.remove(&subject);
        self.service.evidence.notify_one();
        Ok(())
    }

    fn put_off(&mut self, subject: Subject) {
        let Some(due) = self.due.get_mut(&subject) else { return };
        due.attempts = due.attempts.saturating_add(1);
        due.at = Instant::now() + (FIRST * 2u32.saturating_pow(due.attempts.min(16))).min(SLOWEST);
        if due.attempts > 4 && due.attempts.is_power_of_two() {
            let ((what, study, round), attempts) = (subject, due.attempts);
            tracing::warn!(study, round, attempts, "too little is served to check the {}: asking again", what.name());
        }
    }
}

async fn check(service: &Arc<Service>, subject: Subject, attempts: u32) -> Result<Finding, CheckError> {
    let (what, study, number) = subject;
    if what == Checked::Set && sets::is_known(service, study, number) {
        return Ok(Finding::Sound("this node knows the set, and takes in none with a site that was not admitted"));
    }
    let history = service.ledger().history(study).await?;
    // An endpoint that lags, or lies, must not end a check: only what time cannot undo does.
    if number > history.rounds() {
        return Ok(Finding::Unknown);
    }
    if !history.is_on_record(number) {
        return Ok(Finding::OutOfReach("off the record, nothing can be proved about it any more"));
    }
    let round = history.round(number).await?;
    let Some(me) = round.terms.committee.index_of(service.address()) else {
        return Ok(Finding::OutOfReach("of another committee"));
    };
    match what {
        Checked::Vectors => vectors(service, &round, me, attempts).await,
        Checked::Rewards => sets::rewards(service, &round).await,
        Checked::Set => sets::certified(service, &round).await,
    }
}

async fn vectors(service: &Arc<Service>, round: &Round, me: usize, attempts: u32) -> Result<Finding, CheckError> {
    let Some(settled) = round.settlement.as_ref().filter(|_| round.state == State::Settled) else {
        return Ok(Finding::Unknown);
    };
    if let Some(Entry::Open(open)) = service.rounds.get(round.terms.study, round.terms.round) {
        if locked(&open.machine).settlement() == Some(&settled.settlement) {
            return Ok(Finding::Own("it is what this node computed"));
        }
        if !open.is_over() && attempts < PATIENCE {
            return Ok(Finding::Unknown);
        }
    }
    let (opening, subject) = (Opening::of(&round.terms), round.terms.subject);
    let journal = service.database.run(move |db: &Database| db.journalled(&opening, &subject)).await?;
    if journal.iter().any(|said| matches!(said, Statement::Settlement(said) if *said == settled.settlement)) {
        return Ok(Finding::Own("it is what this node computed and signed"));
    }
    compare(service, round, settled, me).await
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
            return Ok(Finding::Wrong(Box::new(Charge::WrongSettlement(flaw))));
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
pub(super) async fn in_time<T, E>(bytes: usize, fetch: impl Future<Output = Result<T, E>>) -> Option<T> {
    tokio::time::timeout(patience(bytes), fetch).await.ok()?.ok()
}
