//! A node's KEM keys after its registration: `consilium node rotate-key | forget`.

use crate::failure::Failure;
use crate::output::print;
use consilium_ledger::Endpoints;
use consilium_node::{Config, ForgetError, Forgotten, Hold, KeyStore, Look, RotateError, Rotated};
use serde_json::json;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug, clap::Args)]
pub(super) struct Configured {
    /// The node's configuration: its key file, endpoints, contracts and retention count.
    #[arg(long, value_name = "FILE", env = "CONSILIUM_NODE_CONFIG", default_value = "node.toml")]
    config: PathBuf,
}

impl Configured {
    async fn open(&self) -> Result<(Config, Arc<KeyStore>, Endpoints), Failure> {
        let config = Config::load(&self.config).map_err(Failure::usage)?;
        let store = KeyStore::open(&config.key_file).map_err(Failure::usage)?;
        let endpoints = Endpoints::connect(&config.rpc, config.addresses).await?;
        Ok((config, Arc::new(store), endpoints))
    }
}

pub(super) async fn rotate_key(options: Configured, json: bool) -> Result<(), Failure> {
    let (_, store, endpoints) = options.open().await?;
    let rotated = consilium_node::rotate(&store, endpoints.primary()).await.map_err(|error| match error {
        RotateError::Chain(error) => Failure::from(error).during("the next KEM key is not registered; run this again"),
        RotateError::NotRegistered(_) => Failure::refused(error),
        RotateError::Keys(error) => Failure::failed(error),
    })?;
    let Rotated { key, previous, resumed, receipt } = rotated;
    let is_here = store.keys().kem_keys().iter().any(|known| known.hash() == previous);
    let (hash, node) = (key.hash(), store.address());
    let value = json!({
        "node": node, "key_hash": hash, "kem_key": key.public_key(), "previous": previous, "resumed": resumed,
        "gas": receipt.gas_used,
    });
    print(json, &value, |_| {
        let made = if resumed { "made by an earlier run, " } else { "" };
        let before = if is_here {
            format!("the secret of {previous} stays until no committee needs it")
        } else {
            format!("the secret of {previous} is not in this key file: committees formed with it have no use of this node")
        };
        let gas = receipt.gas_used;
        format!("node {node} has KEM key {hash} ({made}{gas} gas): it counts for committees formed from now on; {before}")
    });
    Ok(())
}

pub(super) async fn forget(options: Configured, json: bool) -> Result<(), Failure> {
    let (config, store, endpoints) = options.open().await?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::failed)?.as_secs();
    let look = Look { retention: config.retention.as_secs(), now, held: BTreeSet::new() };
    let done = consilium_node::forget(&store, &endpoints, &look).await.map_err(|error| match error {
        ForgetError::Chain(error) => Failure::from(error).during("no secret is erased"),
        ForgetError::Keys(error) => Failure::failed(error),
    })?;
    let kept: Vec<_> = done.kept.iter().map(|key| json!({ "key_hash": key.key_hash, "reasons": texts(&key.holds) })).collect();
    print(json, &json!({ "erased": done.erased, "kept": kept }), |_| told(&done));
    let needed = done.kept.iter().filter(|key| !key.is_current());
    let needed: Vec<_> = needed.map(|key| format!("{}: {}", key.key_hash, texts(&key.holds).join("; "))).collect();
    if needed.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(format!("these KEM keys are still needed, and their secrets are kept\n{}", needed.join("\n"))))
}

fn texts(holds: &BTreeSet<Hold>) -> Vec<String> {
    holds.iter().map(ToString::to_string).collect()
}

fn told(done: &Forgotten) -> String {
    let mut lines: Vec<_> = done.erased.iter().map(|hash| format!("the secret of KEM key {hash} is erased")).collect();
    if lines.is_empty() {
        lines.push("no secret is erased".to_owned());
    }
    let current = done.kept.iter().filter(|key| key.is_current());
    lines.extend(current.map(|key| format!("KEM key {} is current and stays", key.key_hash)));
    lines.join("\n")
}
