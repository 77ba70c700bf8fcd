//! `consilium node`: a committee node's configuration, registration and service.

use super::connection::ChainOptions;
use super::funds::Sending;
use super::{rotation, stake};
use crate::failure::Failure;
use crate::output::print;
use alloy_primitives::{Address, U256};
use consilium_core::field::Fp;
use consilium_ledger::{Registration, Wallet};
use consilium_node::{Config, Deployment, KemKey, KeyStore, Node};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A committee node: verifies contributions alone, holds shares of the sum, decides nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Print machine-readable JSON instead of text.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print a configuration to start from.
    Config(ConfigOptions),
    /// Register the node on chain with its stake and KEM key.
    Register(Register),
    /// Agree to serve a sponsor, or the committees of a source, with so much stake and until then. Nobody else can take the
    /// node, or bind its stake.
    Consent(stake::Consenting),
    /// Add to the node's free stake, which committees take bonds from.
    Deposit(stake::Deposit),
    /// Leave a study's committee. The bond stays locked for the unbonding delay, and the study needs a new committee.
    Resign(Sending),
    /// Make a bond free stake again, after the unbonding delay; anyone may, for any node.
    Reclaim(stake::Reclaim),
    /// Begin to leave for good: refused while the node sits in a committee.
    BeginUnbond(stake::Own),
    /// Take the free stake out, the unbonding delay after `begin-unbond`; again for bonds that are reclaimed later.
    Withdraw(stake::Own),
    /// Make the next KEM key, write it to the key file and register it, for committees formed from now on. Safe to run again
    /// after it was broken off, and beside the running node.
    RotateKey(rotation::Configured),
    /// Erase the secrets of replaced KEM keys that nothing needs any more; exit code 4, with the reasons, if some are still
    /// needed. A running node does the same by itself unless `forget_keys = false`.
    Forget(rotation::Configured),
    /// Serve until Ctrl-C or SIGTERM.
    Run(Run),
}

#[derive(Debug, clap::Args)]
struct ConfigOptions {
    #[command(flatten)]
    chain: ChainOptions,
    /// The node's key file.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// The node's folder.
    #[arg(long, value_name = "DIR", default_value = "node-data")]
    data: PathBuf,
    /// Another member's address and URL; repeat it.
    #[arg(long = "peer", value_name = "ADDRESS=URL", value_delimiter = ',', value_parser = super::connection::node)]
    peers: Vec<(Address, String)>,
}

#[derive(Debug, clap::Args)]
struct Register {
    #[command(flatten)]
    chain: ChainOptions,
    /// The node's key file; its account pays gas and stake.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Who runs the node; sites may demand independent operators.
    #[arg(long)]
    operator: String,
    /// Under whose law, for example CH.
    #[arg(long)]
    jurisdiction: String,
    /// Stake in wei; locked while the node serves.
    #[arg(long, default_value_t = U256::from(10).pow(U256::from(18)))]
    stake: U256,
}

#[derive(Debug, clap::Args)]
struct Run {
    /// The node's configuration.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_NODE_CONFIG", default_value = "node.toml")]
    config: PathBuf,
    /// Fire drill: lie about this node's output shares, to see that the others notice. The node signs the lie, which is
    /// evidence against it. Never on a network where stake matters.
    #[arg(long)]
    drill_wrong_share: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.command {
        Command::Config(options) => {
            let mut config =
                Config::new(options.listen, options.data, options.key, options.chain.rpc.clone(), options.chain.addresses()?);
            config.peers = options.peers.into_iter().collect();
            config.check().map_err(Failure::usage)?;
            print!("{}", config.to_toml());
            Ok(())
        }
        Command::Register(options) => register(options, arguments.json).await,
        Command::Consent(options) => stake::consent(options, arguments.json).await,
        Command::Deposit(options) => stake::deposit(options, arguments.json).await,
        Command::BeginUnbond(options) => stake::begin_unbond(options, arguments.json).await,
        Command::Withdraw(options) => stake::withdraw(options, arguments.json).await,
        Command::Resign(options) => stake::resign(options, arguments.json).await,
        Command::Reclaim(options) => stake::reclaim(options, arguments.json).await,
        Command::RotateKey(options) => rotation::rotate_key(options, arguments.json).await,
        Command::Forget(options) => rotation::forget(options, arguments.json).await,
        Command::Run(options) => serve(options, arguments.json).await,
    }
}

async fn register(options: Register, json: bool) -> Result<(), Failure> {
    let store = KeyStore::open(&options.key).map_err(Failure::usage)?;
    let ledger = options.chain.ledger().await?;
    let keys = store.keys();
    // Before it is sent: what is registered anywhere is not erased on another deployment's word.
    let newest = keys.kem_keys().last().map(KemKey::hash).unwrap_or_default();
    store.note(newest, Deployment::of(ledger.addresses()), None).map_err(Failure::failed)?;
    let registration = Registration {
        kem_key: keys.kem_public_key(),
        operator: options.operator,
        jurisdiction: options.jurisdiction,
        stake: options.stake,
    };
    let wallet = Wallet::new(keys.signing_key().clone());
    let registered = ledger.register(&wallet, &registration).await?;
    let gas = registered.gas_used;
    print(json, &serde_json::json!({ "address": keys.address(), "gas": gas }), |_| {
        format!(
            "node {} is registered with {} wei of stake ({gas} gas); it serves nobody before `consilium node consent`",
            keys.address(),
            options.stake
        )
    });
    Ok(())
}

async fn serve(options: Run, json: bool) -> Result<(), Failure> {
    let config = Config::load(&options.config).map_err(Failure::usage)?;
    let mut builder = Node::builder(config);
    if options.drill_wrong_share {
        builder = builder.with_share_tamper(|share| lie(share));
    }
    let running = builder.start().await.map_err(Failure::failed)?;
    let value = serde_json::json!({ "address": running.address(), "listen": running.local_addr().to_string() });
    print(json, &value, |_| format!("node {} at http://{}", running.address(), running.local_addr()));
    interrupted().await;
    running.shutdown().await;
    Ok(())
}

fn lie(share: &mut [Fp]) {
    if let Some(first) = share.first_mut() {
        *first += Fp::ONE;
    }
}

#[cfg(unix)]
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        },
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
async fn interrupted() {
    drop(tokio::signal::ctrl_c().await);
}
