//! The site itself: its keys, its journal, its view of the chain, its nodes.

use crate::config::SiteConfig;
use crate::error::{ConfigError, Error, JournalError};
use crate::journal::Journal;
use crate::keys::SiteKeys;
use crate::nodes::{Caller, NodeClient};
use crate::progress::{Observer, Progress, log};
use alloy_primitives::{Address, B256};
use consilium_core::capability::Holder;
use consilium_core::params::CommitteeMembers;
use consilium_ledger::{Endpoints, Ledger};
use rand_chacha::ChaCha20Rng;
use rand_core::{CryptoRng, SeedableRng};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use zeroize::Zeroizing;

/// Makes a generator for one contribution.
pub type RngSource = Arc<dyn Fn() -> Result<Box<dyn CryptoRng + Send>, Error> + Send + Sync>;

/// Tells the time since the Unix epoch.
pub type TimeSource = Arc<dyn Fn() -> Duration + Send + Sync>;

/// A hospital. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Site {
    inner: Arc<Inner>,
    observer: Observer,
    rng: RngSource,
    time: TimeSource,
}

struct Inner {
    config: SiteConfig,
    keys: SiteKeys,
    endpoints: Endpoints,
    journal: Mutex<Journal>,
    nodes: BTreeMap<Address, NodeClient>,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Site({})", self.address())
    }
}

impl Site {
    /// Reads a configuration file, its key file and the environment, and connects.
    ///
    /// # Errors
    /// [`Error`] that names the setting, file or endpoint.
    pub async fn load(path: &Path) -> Result<Self, Error> {
        let (config, key_file) = SiteConfig::load(path)?;
        Self::connect(config, SiteKeys::load(&key_file)?).await
    }

    /// Connects to the chain of a configuration.
    ///
    /// # Errors
    /// [`consilium_ledger::Error`] for endpoints that do not answer or serve another chain; as [`Self::new`].
    pub async fn connect(config: SiteConfig, keys: SiteKeys) -> Result<Self, Error> {
        let endpoints = Endpoints::connect(&config.rpc, config.addresses).await?;
        Self::new(config, keys, endpoints)
    }

    /// A site over endpoints that are connected already, such as the embedded chain's; `config.rpc` is not used.
    ///
    /// # Errors
    /// [`JournalError`] when the data folder cannot be used; [`ConfigError`] for URLs of nodes that are none.
    pub fn new(config: SiteConfig, keys: SiteKeys, endpoints: Endpoints) -> Result<Self, Error> {
        let nodes = NodeClient::all(&config.nodes, &config.timeouts)?;
        let journal = Mutex::new(Journal::open(&config.data, keys.address())?);
        let inner = Arc::new(Inner { config, keys, endpoints, journal, nodes });
        Ok(Self { inner, observer: log(), rng: Arc::new(system_rng), time: Arc::new(system_time) })
    }

    /// The same site with an observer of its progress.
    #[must_use]
    pub fn with_observer(mut self, observer: Observer) -> Self {
        self.observer = observer;
        self
    }

    /// The same site with another source of randomness, for tests and hardware generators.
    #[must_use]
    pub fn with_rng(mut self, rng: RngSource) -> Self {
        self.rng = rng;
        self
    }

    /// The same site with another clock than the machine's, for tests.
    #[must_use]
    pub fn with_time(mut self, time: TimeSource) -> Self {
        self.time = time;
        self
    }

    /// The site's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.inner.keys.address()
    }

    /// The site's keys.
    #[must_use]
    pub fn keys(&self) -> &SiteKeys {
        &self.inner.keys
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SiteConfig {
        &self.inner.config
    }

    /// The chain.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.inner.endpoints
    }

    /// The endpoint that is read first.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        self.inner.endpoints.primary()
    }

    /// All configured nodes, for raw access.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<Address, NodeClient> {
        &self.inner.nodes
    }

    /// The journal. Do not hold it across an `await`.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        // A panic while writing leaves the journal as it is on disk or older; both are safe to read.
        self.inner.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Declares a model a base model of a study although this site has not computed it from a settled round.
    ///
    /// # Errors
    /// [`JournalError::Disk`].
    pub async fn trust_model(&self, study: u64, model: B256) -> Result<(), Error> {
        let domain = self.config().addresses.domain();
        self.in_journal(move |journal| journal.note_model(domain, study, model)).await
    }

    /// Writes to the journal, off the threads that serve the network.
    pub(crate) async fn in_journal(
        &self,
        write: impl FnOnce(&mut Journal) -> Result<(), JournalError> + Send + 'static,
    ) -> Result<(), Error> {
        let site = self.clone();
        blocking(move || Ok(write(&mut site.journal())?)).await
    }

    pub(crate) fn tell(&self, progress: Progress) {
        (self.observer)(progress);
    }

    pub(crate) fn observer(&self) -> Observer {
        self.observer.clone()
    }

    pub(crate) fn draw_rng(&self) -> Result<Box<dyn CryptoRng + Send>, Error> {
        (self.rng)()
    }

    /// The time since the Unix epoch.
    pub(crate) fn now(&self) -> Duration {
        (self.time)()
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller { domain: self.config().addresses.domain(), holder: Holder::Key(self.keys().signing().clone()) }
    }

    /// The committee's nodes with a URL, beginning with another one for every site and round.
    pub(crate) fn nodes_of(&self, study: u64, round: u64, committee: &CommitteeMembers) -> Result<Vec<NodeClient>, Error> {
        let known = committee.members().iter().filter_map(|member| self.nodes().get(&member.address));
        let mut nodes: Vec<NodeClient> = known.cloned().collect();
        if nodes.is_empty() {
            let example = committee.members().first().map_or(Address::ZERO, |member| member.address);
            return Err(ConfigError::NoNodes { study, example }.into());
        }
        let start = (u64::from(self.address()[19]) + round) as usize % nodes.len();
        nodes.rotate_left(start);
        Ok(nodes)
    }
}

/// Runs work that computes or waits for the disk on a thread of its own.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::Interrupted),
    }
}

/// A clock before 1970 counts as one that shows its beginning.
fn system_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn system_rng() -> Result<Box<dyn CryptoRng + Send>, Error> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut()).map_err(|error| Error::Entropy(error.to_string()))?;
    Ok(Box::new(ChaCha20Rng::from_seed(*seed)))
}
