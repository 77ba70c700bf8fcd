//! The keys that a running node and the commands beside it share through the key file: every change reads the file again
//! under a lock, so that none is lost, and a node looks into the file when a round needs a key that it does not hold.

use super::disk::{self, Locked};
use super::error::KeyError;
use super::{Deployment, Epoch, KemKey, NodeKeys, file};
use crate::service::locked;
use alloy_primitives::{Address, B256};
use consilium_core::eip712::SecretKey;
use consilium_core::seal::KemSecret;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A node's keys and the file in which they are kept. Its methods read and write files: they may block for a moment.
pub struct KeyStore {
    /// None for keys that live in memory only.
    path: Option<PathBuf>,
    signing: SecretKey,
    held: Mutex<NodeKeys>,
}

impl std::fmt::Debug for KeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyStore({:?}, {:?})", self.path, locked(&self.held))
    }
}

/// What became of a key that a deployment needs no more.
pub(super) enum Released {
    /// Its secret is gone from the file.
    Erased,
    /// Others need it.
    NeededAt(Vec<Deployment>),
}

impl KeyStore {
    /// The keys in a key file.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn open(path: &Path) -> Result<Self, KeyError> {
        let keys = NodeKeys::load(path)?;
        Ok(Self { path: Some(path.to_owned()), ..Self::in_memory(keys) })
    }

    /// Keys that are in no file: changes last as long as the value.
    #[must_use]
    pub fn in_memory(keys: NodeKeys) -> Self {
        Self { path: None, signing: keys.signing.clone(), held: Mutex::new(keys) }
    }

    /// The node's address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.signing.address()
    }

    /// The key that signs statements and transactions.
    #[must_use]
    pub fn signing_key(&self) -> &SecretKey {
        &self.signing
    }

    /// What is held now.
    #[must_use]
    pub fn keys(&self) -> NodeKeys {
        locked(&self.held).clone()
    }

    /// The secret of a public KEM key; looks into the file for one that is not held in memory.
    pub(crate) fn secret_of(&self, public_key: &[u8]) -> Result<Option<Arc<KemSecret>>, KeyError> {
        let held = || locked(&self.held).find(public_key).map(|key| Arc::clone(&key.secret));
        if let Some(secret) = held() {
            return Ok(Some(secret));
        }
        self.reload()?;
        Ok(held())
    }

    /// Reads the file again: keys that were added to it are held, those that were erased from it are dropped.
    pub(crate) fn reload(&self) -> Result<(), KeyError> {
        let Some(path) = &self.path else { return Ok(()) };
        let keys = self.same_node(NodeKeys::load(path)?, path)?;
        *locked(&self.held) = keys;
        Ok(())
    }

    /// Clears away what a change that was broken off left beside the file.
    pub(crate) fn tidy(&self) -> Result<(), KeyError> {
        match &self.path {
            Some(path) if disk::has_leftovers(path) => Locked::of(path).map(drop),
            _ => Ok(()),
        }
    }

    /// Notes where a key is registered and which committee it serves, if it is held. Written only if it is new.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn note(&self, hash: B256, at: Deployment, committee: Option<Epoch>) -> Result<(), KeyError> {
        let key = |keys: &NodeKeys| keys.kem.iter().position(|key| key.hash == hash);
        let mut known = self.keys();
        if let Some(place) = key(&known)
            && !known.kem[place].note(at, committee)
        {
            return Ok(());
        }
        self.change(|keys| match key(keys) {
            Some(place) => Ok((keys.kem[place].note(at, committee), ())),
            None => Ok((false, ())),
        })
    }

    /// The key to register next at a deployment where `registered` were registered before: a newest key that was made for
    /// it and not registered yet, or else a fresh one, which is in the file when this returns. Whether it was there.
    pub(super) fn next(&self, at: Deployment, registered: &BTreeSet<B256>) -> Result<(KemKey, bool), KeyError> {
        self.change(|keys| {
            let newest = keys.newest();
            let elsewhere = newest.uses.iter().any(|one| one.deployment() != at);
            let waits = !registered.contains(&newest.hash) && !elsewhere;
            let mut key = if waits { newest.clone() } else { KemKey::generate()? };
            let changed = key.note(at, None) || !waits;
            keys.kem.retain(|held| held.hash != key.hash);
            keys.kem.push(key.clone());
            Ok((changed, (key, waits)))
        })
    }

    /// A deployment needs this key no more; it is erased unless another one does. The newest key is never erased.
    pub(super) fn release(&self, hash: B256, at: Deployment) -> Result<Released, KeyError> {
        self.change(|keys| {
            let newest = keys.newest().hash;
            let Some(key) = keys.kem.iter_mut().find(|key| key.hash == hash) else { return Ok((false, Released::Erased)) };
            let before = key.uses.len();
            key.uses.retain(|one| one.deployment() != at);
            let others: Vec<_> = key.uses.iter().map(super::Use::deployment).collect();
            if !others.is_empty() || hash == newest {
                return Ok((others.len() != before, Released::NeededAt(others)));
            }
            keys.kem.retain(|key| key.hash != hash);
            Ok((true, Released::Erased))
        })
    }

    /// Changes what the file holds, under its lock; what is returned with `false` is not written.
    fn change<T>(&self, change: impl FnOnce(&mut NodeKeys) -> Result<(bool, T), KeyError>) -> Result<T, KeyError> {
        let Some(path) = &self.path else {
            let mut held = locked(&self.held);
            return change(&mut held).map(|(_, done)| done);
        };
        let lock = Locked::of(path)?;
        let mut keys = self.same_node(NodeKeys::load(lock.path())?, path)?;
        let (changed, done) = change(&mut keys)?;
        if changed {
            let failed = |error: serde_json::Error| KeyError::Replace { path: path.clone(), source: error.into() };
            lock.replace(&file::encode(&keys).map_err(failed)?)?;
        }
        *locked(&self.held) = keys;
        Ok(done)
    }

    fn same_node(&self, keys: NodeKeys, path: &Path) -> Result<NodeKeys, KeyError> {
        if keys.address() == self.address() { Ok(keys) } else { Err(KeyError::OtherNode { path: path.to_owned() }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Deployment = Deployment { chain_id: 1, contract: Address::repeat_byte(1) };
    const THERE: Deployment = Deployment { chain_id: 1, contract: Address::repeat_byte(2) };

    fn store() -> (tempfile::TempDir, PathBuf, KeyStore) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k");
        NodeKeys::generate().unwrap().create(&path).unwrap();
        let store = KeyStore::open(&path).unwrap();
        (folder, path, store)
    }

    fn hashes(store: &KeyStore) -> Vec<B256> {
        store.keys().kem.iter().map(KemKey::hash).collect()
    }

    #[test]
    fn a_key_that_was_made_and_not_registered_is_the_next_one_again_and_registered_ones_are_not() {
        let (_folder, path, store) = store();
        let first = hashes(&store)[0];
        let (next, waited) = store.next(HERE, &[first].into()).unwrap();
        assert!(!waited && next.hash != first);
        assert_eq!(KeyStore::open(&path).unwrap().keys().newest().hash, next.hash, "it is on the disk before it is returned");
        // As after a crash before its registration, in a process of its own.
        let again = KeyStore::open(&path).unwrap();
        let (same, waited) = again.next(HERE, &[first].into()).unwrap();
        assert!(waited && same.hash == next.hash);
        // A key of another deployment is not shared with this one.
        let (other, waited) = again.next(THERE, &[first].into()).unwrap();
        assert!(!waited && other.hash != next.hash);
        let (third, waited) = again.next(HERE, &[first, next.hash, other.hash].into()).unwrap();
        assert!(!waited);
        assert_eq!(hashes(&again), [first, next.hash, other.hash, third.hash]);
    }

    #[test]
    fn a_store_finds_a_key_that_another_process_added_and_drops_one_that_it_erased() {
        let (_folder, path, store) = store();
        let first = store.keys().newest().clone();
        let beside = KeyStore::open(&path).unwrap();
        let (next, _) = beside.next(HERE, &[first.hash].into()).unwrap();
        assert_eq!(hashes(&store), [first.hash]);
        assert!(store.secret_of(&next.public).unwrap().is_some());
        assert!(store.secret_of(b"another key").unwrap().is_none());
        assert!(matches!(beside.release(first.hash, HERE).unwrap(), Released::Erased));
        assert_eq!(hashes(&store), [first.hash, next.hash]);
        store.reload().unwrap();
        assert!(store.secret_of(&first.public).unwrap().is_none());
        assert!(!std::fs::read_to_string(&path).unwrap().contains(&hex::encode(first.bytes.as_slice())));
    }

    #[test]
    fn changes_of_many_processes_at_once_are_all_kept() {
        let (_folder, path, store) = store();
        let hash = hashes(&store)[0];
        std::thread::scope(|scope| {
            for study in 1..=8 {
                let path = &path;
                scope.spawn(move || {
                    let store = KeyStore::open(path).unwrap();
                    for epoch in 1..=5 {
                        store.note(hash, HERE, Some(Epoch { study, epoch })).unwrap();
                    }
                });
            }
        });
        store.reload().unwrap();
        assert_eq!(store.keys().newest().uses[0].committees.len(), 40);
    }

    #[test]
    fn a_key_is_erased_when_the_last_deployment_needs_it_no_more_and_the_newest_never() {
        let (_folder, _path, store) = store();
        let first = hashes(&store)[0];
        store.note(first, HERE, None).unwrap();
        store.note(first, THERE, Some(Epoch { study: 1, epoch: 1 })).unwrap();
        assert!(matches!(store.release(first, HERE).unwrap(), Released::NeededAt(_)));
        assert!(matches!(store.release(first, THERE).unwrap(), Released::NeededAt(none) if none.is_empty()), "it is the newest");
        store.note(first, THERE, None).unwrap();
        store.next(HERE, &[first].into()).unwrap();
        assert!(matches!(store.release(first, HERE).unwrap(), Released::NeededAt(at) if at == [THERE]));
        assert!(matches!(store.release(first, THERE).unwrap(), Released::Erased));
        assert_eq!(hashes(&store).len(), 1);
    }

    #[test]
    fn the_file_of_another_node_is_not_taken_for_this_ones() {
        let (_folder, path, store) = store();
        std::fs::remove_file(&path).unwrap();
        NodeKeys::generate().unwrap().create(&path).unwrap();
        assert!(matches!(store.reload(), Err(KeyError::OtherNode { .. })));
        assert!(matches!(store.note(hashes(&store)[0], HERE, None), Err(KeyError::OtherNode { .. })));
        assert!(matches!(store.next(HERE, &BTreeSet::new()), Err(KeyError::OtherNode { .. })));
    }
}
