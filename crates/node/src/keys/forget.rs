//! Erasing KEM secrets. A secret goes when no committee formed with it has an open window: none of them sits, and each of
//! their rounds is over, can be challenged no more, and has had its contributions deleted. All endpoints must say so, at
//! blocks that are final by the study's rule, and of every committee that this node has served. The current key stays.
//!
//! One that is erased too early costs this node its part in a round; one that is never erased opens, to a thief of t nodes,
//! all boxes that were ever sealed to it. Hence the caution, and hence nothing here needs a human.

use super::error::KeyError;
use super::store::{KeyStore, Released};
use super::windows::{Hold, Look, open_windows};
use super::{Deployment, Epoch, KemKey};
use alloy_primitives::{Address, B256};
use consilium_ledger::{Endpoints, Error as LedgerError, History, Ledger, Membership};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// Why nothing could be decided. Nothing is erased then.
#[derive(Debug, Error)]
pub enum ForgetError {
    /// The key file.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The chain.
    #[error(transparent)]
    Chain(#[from] LedgerError),
}

/// What became of the KEM keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// keccak256 of the keys whose secrets are erased.
    pub erased: Vec<B256>,
    /// The keys that are kept, oldest first, the current one among them.
    pub kept: Vec<Kept>,
}

/// A key that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// keccak256 of the key.
    pub key_hash: B256,
    /// Why; never empty.
    pub holds: BTreeSet<Hold>,
}

impl Kept {
    /// Whether it is kept for being the current key.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.holds.contains(&Hold::Current)
    }
}

/// What one endpoint says about a node.
struct View<'a> {
    ledger: &'a Ledger,
    current: Option<B256>,
    memberships: Vec<Membership>,
    /// Studies as they were read, at final blocks.
    histories: BTreeMap<u64, Option<History>>,
}

/// Erases every KEM secret that nothing needs any more, and says what the others are kept for.
///
/// # Errors
/// [`ForgetError`]; one endpoint that does not answer is enough.
pub async fn forget(store: &Arc<KeyStore>, endpoints: &Endpoints, look: &Look) -> Result<Forgotten, ForgetError> {
    blocking(store, |store| store.tidy().and_then(|()| store.reload())).await?;
    let (node, at) = (store.address(), Deployment::of(endpoints.primary().addresses()));
    let keys = store.keys();
    let mut views = Vec::new();
    if keys.kem.len() > 1 {
        for ledger in endpoints.all() {
            let (current, memberships) = (ledger.kem_key_hash(node).await?, ledger.memberships(node).await?);
            views.push(View { ledger, current, memberships, histories: BTreeMap::new() });
        }
    }
    let mut done = Forgotten { erased: Vec::new(), kept: Vec::new() };
    for key in &keys.kem {
        let (hash, newest) = (key.hash, key.hash == keys.newest().hash);
        let mut holds = if newest { [Hold::Current].into() } else { holds(key, &mut views, (node, at), look).await? };
        if holds.is_empty() {
            match blocking(store, move |store| store.release(hash, at)).await? {
                Released::Erased => {
                    done.erased.push(hash);
                    continue;
                }
                Released::NeededAt(others) => holds.extend(others.into_iter().map(Hold::Elsewhere)),
            }
        }
        done.kept.push(Kept { key_hash: hash, holds });
    }
    Ok(done)
}

async fn blocking<T: Send + 'static>(
    store: &Arc<KeyStore>,
    work: impl FnOnce(&KeyStore) -> Result<T, KeyError> + Send + 'static,
) -> Result<T, ForgetError> {
    let store = Arc::clone(store);
    let done = tokio::task::spawn_blocking(move || work(&store)).await;
    Ok(done.map_err(|_| KeyError::Stopping)??)
}

/// What needs a key at this deployment.
async fn holds(
    key: &KemKey,
    views: &mut [View<'_>],
    (node, at): (Address, Deployment),
    look: &Look,
) -> Result<BTreeSet<Hold>, ForgetError> {
    if views.iter().any(|view| view.current == Some(key.hash)) {
        return Ok([Hold::Current].into());
    }
    let served = key.uses.iter().filter(|one| one.deployment() == at).flat_map(|one| one.committees.iter().copied());
    let shown = views.iter().flat_map(|view| &view.memberships).filter(|membership| membership.key_hash == key.hash);
    let shown = shown.map(|membership| Epoch { study: membership.study, epoch: membership.epoch });
    let mut studies = BTreeMap::<u64, BTreeSet<Epoch>>::new();
    for committee in served.chain(shown) {
        studies.entry(committee.study).or_default().insert(committee);
    }
    let mut found = BTreeSet::new();
    for (study, committees) in studies {
        for view in views.iter_mut() {
            let ledger = view.ledger;
            let history = view.history(study).await?;
            found.extend(open_windows(ledger, history, &committees, (node, key.hash), look).await?);
        }
    }
    Ok(found)
}

impl View<'_> {
    /// A study at a final block; none if the endpoint has no such study there.
    async fn history(&mut self, study: u64) -> Result<Option<&History>, LedgerError> {
        if !self.histories.contains_key(&study) {
            let read = match self.ledger.final_history(study).await {
                Err(LedgerError::Unknown(_)) => None,
                read => read?,
            };
            self.histories.insert(study, read);
        }
        Ok(self.histories.get(&study).and_then(Option::as_ref))
    }
}
