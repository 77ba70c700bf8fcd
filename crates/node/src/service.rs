//! What all parts of a running node share.

use crate::config::Config;
use crate::keys::NodeKeys;
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::rounds::Rounds;
use crate::store::{Blobs, Database};
use alloy_primitives::Address;
use consilium_core::eip712::Domain;
use consilium_core::field::Fp;
use consilium_core::params::CommitteeMembers;
use consilium_ledger::{Block, Endpoints, Ledger, Study, Wallet};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;

/// For fire drills only: what a lying node does to its output share before it signs and serves it.
pub type ShareTamper = Arc<dyn Fn(&mut Vec<Fp>) + Send + Sync>;

/// Rounds whose committees are remembered.
const COMMITTEES: usize = 1024;
/// How long what the chain says about a study's readers is taken as current.
const STUDY_FRESH: Duration = Duration::from_secs(5);
/// Pulls from peers at the same time.
const PULLS: usize = 8;

/// The parts of one node.
pub(crate) struct Service {
    pub(crate) config: Config,
    pub(crate) keys: NodeKeys,
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
    pub(crate) head: Mutex<Option<Block>>,
    studies: Mutex<BTreeMap<u64, (Instant, Arc<Study>)>>,
    /// Committees of rounds, which never change.
    committees: Mutex<BTreeMap<(u64, u64), Arc<CommitteeMembers>>>,
    tasks: Mutex<JoinSet<()>>,
}

/// What a service is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) keys: NodeKeys,
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
            head: Mutex::new(None),
            studies: Mutex::default(),
            committees: Mutex::default(),
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

    pub(crate) fn ledger(&self) -> &Ledger {
        self.endpoints.primary()
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

    /// A study as the chain has it, at most a few seconds old. If the chain cannot be reached an older view is used:
    /// who may read changes rarely, and outages must not stop a round.
    pub(crate) async fn study(&self, study: u64) -> Result<Arc<Study>, consilium_ledger::Error> {
        let known = locked(&self.studies).get(&study).cloned();
        if let Some((at, known)) = &known
            && at.elapsed() < STUDY_FRESH
        {
            return Ok(Arc::clone(known));
        }
        match self.ledger().study(study).await {
            Ok(read) => {
                let read = Arc::new(read);
                locked(&self.studies).insert(study, (Instant::now(), Arc::clone(&read)));
                Ok(read)
            }
            Err(error) => match known {
                Some((_, known)) if error.is_temporary() => Ok(known),
                _ => Err(error),
            },
        }
    }
}

impl Service {
    /// The committee of a round's epoch.
    pub(crate) async fn committee_of(&self, study: u64, round: u64) -> Result<Arc<CommitteeMembers>, consilium_ledger::Error> {
        if let Some(known) = locked(&self.committees).get(&(study, round)) {
            return Ok(Arc::clone(known));
        }
        let read = Arc::new(self.ledger().round(study, round).await?.terms.committee);
        let mut committees = locked(&self.committees);
        if committees.len() >= COMMITTEES {
            committees.clear();
        }
        committees.insert((study, round), Arc::clone(&read));
        Ok(read)
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
