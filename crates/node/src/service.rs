//! What all parts of a running node share.

use crate::config::Config;
use crate::keys::{KeyError, KeyStore};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::policy::{Operators, Seats};
use crate::rounds::Rounds;
use crate::store::{Blobs, Database};
use alloy_primitives::{Address, B256, Bytes};
use consilium_core::eip712::Domain;
use consilium_core::field::Fp;
use consilium_core::params::CommitteeMembers;
use consilium_ledger::{Block, Endpoints, Error, Ledger, Limits, Study, Wallet};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::task::JoinSet;

/// For fire drills only: what a lying node does to its output share before it signs and serves it.
pub type ShareTamper = Arc<dyn Fn(&mut Vec<Fp>) + Send + Sync>;

/// Answers of the chain that are remembered, of each kind.
const REMEMBERED: usize = 1024;
/// Histories that are read at the same time to tell who a caller is: anyone can make a node ask.
const LOOKUPS: usize = 2;
/// Callers that wait for their turn at most; the others are told to come again.
const WAITING: usize = 16;
/// How long what the chain says about a study's readers, or that there is no such thing, is taken as current.
const FRESH: Duration = Duration::from_secs(5);
/// Pulls from peers at the same time.
const PULLS: usize = 8;

/// The parts of one node.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) domain: Domain,
    pub(crate) wallet: Wallet,
    pub(crate) endpoints: Endpoints,
    pub(crate) database: Database,
    pub(crate) blobs: Blobs,
    pub(crate) peers: Peers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) rounds: Rounds,
    pub(crate) tamper: Option<ShareTamper>,
    /// One permit a core: verification never takes more.
    pub(crate) cores: Arc<Semaphore>,
    pub(crate) pulls: Semaphore,
    pub(crate) uploads: Semaphore,
    /// Asks the watcher to look at the chain now.
    pub(crate) look: Notify,
    /// Asks for a look at what is to be deleted.
    pub(crate) forget: Notify,
    /// Asks for a look at the evidence that is to be filed.
    pub(crate) evidence: Notify,
    pub(crate) head: Mutex<Option<Block>>,
    /// How the seats that the chain has given this node stand to its policy.
    pub(crate) seats: Seats,
    pub(crate) operators: Operators,
    studies: Mutex<Cache<u64, Study>>,
    /// Committees of rounds, which never change.
    committees: Mutex<Cache<(u64, u64), CommitteeMembers>>,
    /// The number of studies, and when it was read: what is beyond it needs no look-up.
    count: Mutex<Option<(Instant, u64)>>,
    lookups: Lookups,
    /// Who holds a licence, and who was found to hold none.
    licences: Mutex<Cache<(u64, Address), ()>>,
    /// For questions about licences: whoever is asked about is a stranger until it is answered.
    strangers: Lookups,
    tasks: Mutex<JoinSet<()>>,
}

/// What a service is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) keys: Arc<KeyStore>,
    pub(crate) endpoints: Endpoints,
    pub(crate) database: Database,
    pub(crate) blobs: Blobs,
    pub(crate) peers: Peers,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tamper: Option<ShareTamper>,
}

impl Service {
    pub(crate) fn new(parts: Parts, tasks: JoinSet<()>) -> Arc<Self> {
        let Parts { config, keys, endpoints, database, blobs, peers, metrics, tamper } = parts;
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Arc::new(Self {
            domain: config.addresses.domain(),
            wallet: Wallet::new(keys.signing_key().clone()),
            rounds: Rounds::default(),
            cores: Arc::new(Semaphore::new(cores)),
            pulls: Semaphore::new(PULLS),
            uploads: Semaphore::new(config.limits.uploads),
            look: Notify::new(),
            forget: Notify::new(),
            evidence: Notify::new(),
            head: Mutex::new(None),
            seats: Seats::default(),
            operators: Operators::default(),
            studies: Mutex::default(),
            committees: Mutex::default(),
            count: Mutex::default(),
            lookups: Lookups::default(),
            licences: Mutex::default(),
            strangers: Lookups::default(),
            tasks: Mutex::new(tasks),
            config,
            keys,
            endpoints,
            database,
            blobs,
            peers,
            metrics,
            tamper,
        })
    }

    pub(crate) fn address(&self) -> Address {
        self.keys.address()
    }

    /// Runs a piece of work on the keys where it may block.
    pub(crate) async fn with_keys<T: Send + 'static>(
        &self,
        work: impl FnOnce(&KeyStore) -> Result<T, KeyError> + Send + 'static,
    ) -> Result<T, KeyError> {
        let keys = Arc::clone(&self.keys);
        match tokio::task::spawn_blocking(move || work(&keys)).await {
            Ok(done) => done,
            Err(stopped) => match stopped.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(KeyError::Stopping),
            },
        }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        self.endpoints.primary()
    }

    /// The ledger for questions that strangers cause: it fetches nothing from places that a study names.
    fn ledger_for_strangers(&self) -> Ledger {
        let ledger = self.ledger().clone();
        let limits = *ledger.limits();
        ledger.with_limits(Limits { list: Duration::ZERO, ..limits })
    }

    /// Runs a task that ends with the node at the latest.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = locked(&self.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(task);
    }

    /// Ends all tasks and waits for them.
    pub(crate) async fn stop_tasks(&self) {
        let mut tasks = std::mem::take(&mut *locked(&self.tasks));
        tasks.shutdown().await;
    }

    /// Ends all tasks without waiting.
    pub(crate) fn abort_tasks(&self) {
        locked(&self.tasks).abort_all();
    }

    /// A study as the chain has it, at most a few seconds old; none if the chain knows no such study. If the chain cannot
    /// be reached an older view is used: who may read changes rarely, and outages must not stop a round.
    pub(crate) async fn study(&self, study: u64) -> Result<Option<Arc<Study>>, LookupError> {
        let fresh = || locked(&self.studies).get(&study).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, known)| known);
        let absent = || {
            let count = locked(&self.count).filter(|(at, _)| at.elapsed() < FRESH);
            count.is_some_and(|(_, count)| study == 0 || study > count)
        };
        if let Some(known) = fresh() {
            return Ok(known);
        }
        if absent() {
            return Ok(None);
        }
        let _turn = self.lookups.turn().await?;
        if let Some(known) = fresh() {
            return Ok(known);
        }
        if absent() || !self.counted(study).await? {
            return Ok(None);
        }
        match self.ledger_for_strangers().study(study).await {
            Err(error) if !matches!(error, Error::Unknown(_)) => {
                let known = locked(&self.studies).get(&study).and_then(|(_, known)| known);
                if error.is_temporary() && known.is_some() { Ok(known) } else { Err(error.into()) }
            }
            read => Ok(locked(&self.studies).put(study, read.ok())),
        }
    }

    /// Whether the chain lets an account download a study's aggregates; at most a few seconds old, also when it does not.
    pub(crate) async fn licensed(&self, study: u64, account: Address) -> Result<bool, LookupError> {
        let key = (study, account);
        let fresh = || locked(&self.licences).get(&key).filter(|(at, _)| at.elapsed() < FRESH).map(|(_, held)| held.is_some());
        if let Some(held) = fresh() {
            return Ok(held);
        }
        let _turn = self.strangers.turn().await?;
        if let Some(held) = fresh() {
            return Ok(held);
        }
        let held = self.ledger().may_download(study, account).await?;
        locked(&self.licences).put(key, held.then_some(()));
        Ok(held)
    }

    /// Whether a contract takes a signature for its own. Anybody can name one: strangers' questions wait in their own queue.
    pub(crate) async fn accepts_signature(&self, account: Address, digest: B256, signature: &Bytes) -> Result<bool, LookupError> {
        let _turn = self.strangers.turn().await?;
        Ok(self.endpoints.accept_signature(account, digest, signature).await?)
    }

    /// Whether the chain counts so many studies. One that is known here needs no counting.
    async fn counted(&self, study: u64) -> Result<bool, LookupError> {
        if locked(&self.studies).get(&study).is_some_and(|(_, known)| known.is_some()) {
            return Ok(true);
        }
        let count = self.ledger().studies().await?;
        *locked(&self.count) = Some((Instant::now(), count));
        Ok((1..=count).contains(&study))
    }

    /// The committee of a round's epoch; none if the chain has no such round, or none that this node understands. `rounds`
    /// is the number of the study's rounds.
    pub(crate) async fn committee_of(
        &self,
        study: u64,
        round: u64,
        rounds: u64,
    ) -> Result<Option<Arc<CommitteeMembers>>, LookupError> {
        let usable = |(at, known): (Instant, Option<_>)| (known.is_some() || at.elapsed() < FRESH).then_some(known);
        let known = || locked(&self.committees).get(&(study, round)).and_then(usable);
        if let Some(known) = known() {
            return Ok(known);
        }
        if !(1..=rounds).contains(&round) {
            return Ok(None);
        }
        let _turn = self.lookups.turn().await?;
        if let Some(known) = known() {
            return Ok(known);
        }
        match self.ledger_for_strangers().round(study, round).await {
            Err(error) if error.is_temporary() => Err(error.into()),
            read => Ok(locked(&self.committees).put((study, round), read.ok().map(|round| round.terms.committee))),
        }
    }
}

/// Why the chain has not been asked, or did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LookupError {
    /// Too many callers wait already.
    #[error("too many look-ups are waiting")]
    Busy,
    /// The chain.
    #[error(transparent)]
    Chain(#[from] Error),
}

/// The places for look-ups on the chain, and the short queue before them.
struct Lookups {
    places: Semaphore,
    queue: Semaphore,
}

impl Default for Lookups {
    fn default() -> Self {
        Self { places: Semaphore::new(LOOKUPS), queue: Semaphore::new(LOOKUPS + WAITING) }
    }
}

impl Lookups {
    /// A place, as soon as one is free; [`LookupError::Busy`] when the queue is full.
    async fn turn(&self) -> Result<(SemaphorePermit<'_>, SemaphorePermit<'_>), LookupError> {
        let queued = self.queue.try_acquire().map_err(|_| LookupError::Busy)?;
        let place = self.places.acquire().await.map_err(|_| LookupError::Busy)?;
        Ok((place, queued))
    }
}

/// What the chain answered and when, that there is nothing among it. Bounded: the oldest answer goes.
struct Cache<K, V>(BTreeMap<K, (Instant, Option<Arc<V>>)>);

impl<K, V> Default for Cache<K, V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Copy, V> Cache<K, V> {
    fn get(&self, key: &K) -> Option<(Instant, Option<Arc<V>>)> {
        self.0.get(key).cloned()
    }

    fn put(&mut self, key: K, answer: Option<V>) -> Option<Arc<V>> {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            // Anyone can ask for what there is not: that goes before what there is.
            let oldest = self.0.iter().min_by_key(|(_, (at, found))| (found.is_some(), *at)).map(|(key, _)| *key);
            oldest.and_then(|key| self.0.remove(&key));
        }
        let answer = answer.map(Arc::new);
        self.0.insert(key, (Instant::now(), answer.clone()));
        answer
    }
}

/// A lock whose holders do not panic half-way through a change.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Milliseconds since 1970.
pub(crate) fn now_millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> u64 {
    now_millis() / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_finds_the_queue_for_look_ups_full_is_told_so_and_not_kept() {
        let lookups = Lookups::default();
        let mut turns: Vec<_> = Vec::new();
        for _ in 0..LOOKUPS {
            turns.push(lookups.turn().await.unwrap());
        }
        let mut waiting: Vec<_> = (0..WAITING).map(|_| Box::pin(lookups.turn())).collect();
        for turn in &mut waiting {
            assert!(futures::poll!(turn).is_pending());
        }
        assert!(matches!(lookups.turn().await, Err(LookupError::Busy)));
        turns.pop();
        assert!(matches!(futures::poll!(&mut waiting[0]), std::task::Poll::Ready(Ok(_))));
        assert!(futures::poll!(Box::pin(lookups.turn())).is_pending(), "there is room in the queue again");
    }

    #[test]
    fn answers_are_bounded_and_what_there_is_outlives_what_there_is_not() {
        let mut cache = Cache::default();
        cache.put(0, Some("a study"));
        for key in 1..3 * REMEMBERED {
            assert!(cache.put(key, None).is_none());
        }
        assert_eq!(cache.0.len(), REMEMBERED);
        assert_eq!(cache.get(&0).unwrap().1.as_deref(), Some(&"a study"));
        assert!(cache.get(&(3 * REMEMBERED - 1)).is_some() && cache.get(&1).is_none());
    }
}
