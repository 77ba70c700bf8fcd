//! Putting a node together, starting it, stopping it.

use crate::api;
use crate::config::{Config, ConfigError};
use crate::court::filing;
use crate::court::settlements::Settlements;
use crate::forget;
use crate::keys::{KeyError, KeyStore, NodeKeys};
use crate::metrics::Metrics;
use crate::peers::Peers;
use crate::policy::resign;
use crate::service::{Parts, Service, ShareTamper};
use crate::store::{Blobs, Database, StoreError};
use crate::watch::Watch;
use alloy_primitives::Address;
use consilium_core::field::Fp;
use consilium_ledger::{Endpoints, Error as LedgerError, Limits};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A list of sites that takes its time keeps no other round waiting.
const LIMITS: Limits = Limits { list: Duration::from_secs(2), ..Limits::DEFAULT };
/// How long open requests may still take after a node was told to stop.
const GRACE: Duration = Duration::from_secs(3);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const SLOWEST_PAUSE: Duration = Duration::from_secs(5);

/// Why a node does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The data folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] LedgerError),
    /// The address to listen on.
    #[error("cannot listen on {address}: {source}; choose another `listen`, or stop what uses it")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// The HTTP client.
    #[error("cannot set up the HTTP client for peers: {0}")]
    Client(#[from] reqwest::Error),
}

/// Starts nodes.
#[derive(Debug)]
pub struct Node;

/// A node to be started.
pub struct NodeBuilder {
    config: Config,
    keys: Option<NodeKeys>,
    tamper: Option<ShareTamper>,
    listener: Option<TcpListener>,
}

impl std::fmt::Debug for NodeBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NodeBuilder")
            .field("config", &self.config)
            .field("tamper", &self.tamper.is_some())
            .finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node with the keys of its key file.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Running, StartError> {
        Self::builder(config).start().await
    }

    /// A node to be started.
    #[must_use]
    pub fn builder(config: Config) -> NodeBuilder {
        NodeBuilder { config, keys: None, tamper: None, listener: None }
    }
}

impl NodeBuilder {
    /// Uses these keys, which are in no file, instead of the key file.
    #[must_use]
    pub fn with_keys(mut self, keys: NodeKeys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Uses a socket that is bound already, instead of binding `listen`.
    #[must_use]
    pub fn with_listener(mut self, listener: TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// For fire drills: the node lies. It changes its output share by `tamper`, signs the root of that, and serves it;
    /// stake is at risk. Announced in the log at the start and at every lie. No configuration can switch it on.
    #[must_use]
    pub fn with_share_tamper(mut self, tamper: impl Fn(&mut Vec<Fp>) + Send + Sync + 'static) -> Self {
        self.tamper = Some(Arc::new(tamper));
        self
    }

    /// Starts: checks configuration, keys, chain and data folder, listens, and follows the chain.
    ///
    /// # Errors
    /// [`StartError`] that names the cause and the remedy. A chain that cannot be reached is waited for, as long as the
    /// configuration says.
    pub async fn start(self) -> Result<Running, StartError> {
        let Self { config, keys, tamper, listener } = self;
        config.check()?;
        let keys = Arc::new(keys.map_or_else(|| open_keys(&config), |keys| Ok(KeyStore::in_memory(keys)))?);
        let endpoints = connect(&config).await?;
        let (database, blobs) = open_store(&config, keys.address())?;
        let listener = listen(listener, config.listen).await?;
        let failed = |source| StartError::Listen { address: config.listen, source };
        let local_addr = listener.local_addr().map_err(failed)?;
        let mut tasks = JoinSet::new();
        let metrics = Arc::new(Metrics::default());
        let domain = config.addresses.domain();
        let peers = Peers::start(&config.peers, domain, keys.signing_key(), &metrics, &mut tasks)?;
        if tamper.is_some() {
            tracing::warn!(address = %keys.address(), "FIRE DRILL: this node will lie about its output shares");
        }
        let service = Service::new(Parts { config, keys, endpoints, database, blobs, peers, metrics, tamper }, tasks);
        let watch = Watch::resume(Arc::clone(&service)).await?;
        service.spawn(watch.run());
        service.spawn(forget::run(Arc::clone(&service)));
        service.spawn(filing::run(Arc::clone(&service)));
        service.spawn(resign::run(Arc::clone(&service)));
        service.spawn(Settlements::resume(Arc::clone(&service)).await?.run());
        tracing::info!(%local_addr, address = %service.address(), "the node is running");
        Ok(Running::serve(service, listener, local_addr))
    }
}

async fn listen(bound: Option<TcpListener>, address: SocketAddr) -> Result<TcpListener, StartError> {
    match bound {
        Some(listener) => Ok(listener),
        None => TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source }),
    }
}

/// Reads the key file. The node may have the right to read it alone: then leftovers, old secrets in them, are named only.
fn open_keys(config: &Config) -> Result<KeyStore, KeyError> {
    let keys = KeyStore::open(&config.key_file)?;
    if let Err(error) = keys.tidy() {
        tracing::warn!(%error, "a change of the key file was broken off, and what it left behind, old secrets in it, stays");
    }
    Ok(keys)
}

fn open_store(config: &Config, address: Address) -> Result<(Database, Blobs), StoreError> {
    let blobs = Blobs::in_folder(&config.data.join("blobs"), config.fsync)?;
    let (chain, contract) = (config.addresses.chain_id, config.addresses.consilium);
    let owner = format!("node {address} at contract {contract} on chain {chain}");
    Ok((Database::open(&config.data.join("node.redb"), &owner)?, blobs))
}

/// Connects to all endpoints, with patience for those that cannot be reached yet.
async fn connect(config: &Config) -> Result<Endpoints, LedgerError> {
    let end = Instant::now() + config.start_patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let connected = Endpoints::connect(&config.rpc, config.addresses).await;
        match connected.map(|endpoints| endpoints.with_limits(LIMITS)) {
            Err(error) if error.is_temporary() && Instant::now() + pause < end => {
                tracing::warn!(%error, "waiting for the chain");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(SLOWEST_PAUSE);
            }
            other => return other,
        }
    }
}

/// A node that runs. Dropped, it stops at once, as in a crash; [`Running::shutdown`] lets open requests finish.
pub struct Running {
    local_addr: SocketAddr,
    service: Arc<Service>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Running({} on {})", self.service.address(), self.local_addr)
    }
}

impl Running {
    fn serve(service: Arc<Service>, listener: TcpListener, local_addr: SocketAddr) -> Self {
        let (stop, mut stopped) = watch::channel(false);
        let router = api::router(Arc::clone(&service));
        let server = tokio::spawn(async move {
            let signal = async move {
                // An error means that the sender is gone, which is a stop as well.
                let _stop = stopped.wait_for(|stop| *stop).await;
            };
            if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(signal).await {
                tracing::error!(%error, "the HTTP server broke off");
            }
        });
        Self { local_addr, service, stop, server }
    }

    /// Where the API listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The API's base URL on this machine.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.service.address()
    }

    /// Completes when the server has ended, which it does not do by itself.
    pub async fn wait(&mut self) {
        // A panic of the server was printed where it happened.
        let _ended = (&mut self.server).await;
    }

    /// Lets open requests finish for a moment, then stops everything. The data folder is free afterwards.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        if tokio::time::timeout(GRACE, &mut self.server).await.is_err() {
            self.server.abort();
        }
        self.service.stop_tasks().await;
        tracing::info!(address = %self.service.address(), "the node has stopped");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
        self.service.abort_tasks();
    }
}
