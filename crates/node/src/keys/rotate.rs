//! The next KEM key: made, written to the key file, and only then registered. A committee keeps the keys with which it was
//! formed; the new one counts from the next epoch of every study.
//!
//! It may be broken off anywhere and run again, also twice at once. Before the file is written nothing has happened. After
//! it, the key waits there, since the chain has never shown it, and the next run registers it instead of making another.
//! Registering the same key twice changes nothing.

use super::error::KeyError;
use super::store::KeyStore;
use super::{Deployment, KemKey};
use alloy_primitives::{Address, B256, Bytes};
use consilium_ledger::{Error as LedgerError, Ledger, Receipt, Wallet, error::Refusal};
use std::sync::Arc;
use thiserror::Error;

/// How often a transaction is sent whose nonce the running node took meanwhile.
const ATTEMPTS: usize = 4;

/// Why no key was registered.
#[derive(Debug, Error)]
pub enum RotateError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The chain. A new key is in the file all the same, and waits there.
    #[error(transparent)]
    Chain(#[from] LedgerError),
    /// There is nothing to rotate.
    #[error("node {0} is not registered here: register it with `consilium node register`, which registers its newest KEM key")]
    NotRegistered(Address),
}

/// A key that the registry has now.
#[derive(Debug, Clone)]
pub struct Rotated {
    /// The registered key.
    pub key: KemKey,
    /// keccak256 of the key that it replaces.
    pub previous: B256,
    /// Whether the key was in the file already, from a run that was broken off.
    pub resumed: bool,
    /// The transaction.
    pub receipt: Receipt,
}

/// Makes the next KEM key, writes it to the key file, and registers it.
///
/// # Errors
/// [`RotateError`].
pub async fn rotate(store: &Arc<KeyStore>, ledger: &Ledger) -> Result<Rotated, RotateError> {
    let (node, at) = (store.address(), Deployment::of(ledger.addresses()));
    let previous = ledger.kem_key_hash(node).await?.ok_or(RotateError::NotRegistered(node))?;
    let mut registered = ledger.kem_key_hashes(node).await?;
    registered.insert(previous);
    if !store.keys().kem_keys().iter().any(|key| key.hash() == previous) {
        tracing::warn!(%previous, "the registered KEM key is not in the key file: boxes of epochs formed with it cannot be opened");
    }
    let shared = Arc::clone(store);
    let made = tokio::task::spawn_blocking(move || shared.next(at, &registered)).await;
    let (key, resumed) = made.map_err(|_| KeyError::Stopping)??;
    let receipt = register(store, ledger, key.public_key()).await?;
    Ok(Rotated { key, previous, resumed, receipt })
}

/// The node beside this process sends with the same key: a nonce that it took is not the end.
async fn register(store: &KeyStore, ledger: &Ledger, key: &Bytes) -> Result<Receipt, LedgerError> {
    let wallet = Wallet::new(store.signing_key().clone());
    let mut attempts = 1;
    loop {
        match ledger.rotate_kem_key(&wallet, key.clone()).await {
            Err(LedgerError::Rejected { cause: Refusal::Nonce, .. }) if attempts < ATTEMPTS => attempts += 1,
            sent => return sent,
        }
    }
}
