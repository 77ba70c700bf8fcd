//! Section 6.13: after a while, and at once when a round is void, masked vectors, headers with the boxes in them, and
//! sealed seeds are deleted. Output shares, the aggregate, statements and the journal stay. The secrets of KEM keys that
//! were replaced are erased when nothing needs them any more ([`crate::keys`]).

use crate::keys::{self, Look};
use crate::service::{Service, now_seconds};
use crate::store::{Database, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_secs(60);
/// Between two looks at the KEM keys, for which whole histories are read.
const KEYS_PAUSE: Duration = Duration::from_secs(3600);

/// Forgets what is due, again and again, until the node stops.
pub(crate) async fn run(service: Arc<Service>) {
    let retention = service.config.retention.max(Duration::from_secs(1));
    let (pause, keys_pause) = (PAUSE.min(retention), KEYS_PAUSE.min(retention));
    let mut keys_due = Instant::now();
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = service.forget.notified() => {}
        }
        if let Err(error) = forget_due(&service).await {
            tracing::error!(%error, "old contributions could not be deleted");
        }
        if service.config.forget_keys && Instant::now() >= keys_due {
            keys_due = Instant::now() + keys_pause;
            forget_keys(&service).await;
        }
    }
}

async fn forget_due(service: &Service) -> Result<(), StoreError> {
    let is_due = |since: u64| since.saturating_add(service.config.retention.as_secs()) <= now_seconds();
    let closed = service.database.run(Database::all_closed).await?.into_iter();
    let due = closed.filter(|(_, closed)| !closed.forgotten && (closed.void || is_due(closed.at))).map(|(id, _)| id);
    let vanished = service.database.run(Database::vanished).await?.into_iter();
    for (study, round) in due.chain(vanished.filter(|(_, since)| is_due(*since)).map(|(id, _)| id)) {
        let contributions = service.database.run(move |db| db.forget(study, round)).await?;
        tracing::info!(study, round, contributions, "masked vectors and boxes of a round are being deleted");
    }
    delete_blobs(service).await
}

/// Also those that the last run of the node did not come to.
async fn delete_blobs(service: &Service) -> Result<(), StoreError> {
    for (key, member) in service.database.run(Database::doomed).await? {
        let wanted = key.clone();
        if service.database.run(move |db| db.is_doomed(&wanted)).await? {
            service.blobs.forget(&member.digest).await?;
            service.database.run(move |db| db.deleted(&key)).await?;
        }
    }
    Ok(())
}

/// The rounds that this node has a seat in, or whose contributions it has not deleted.
fn held_rounds(database: &Database) -> Result<BTreeSet<(u64, u64)>, StoreError> {
    let seats = database.seats()?.into_keys();
    let closed = database.all_closed()?.into_iter().filter(|(_, closed)| !closed.forgotten).map(|(id, _)| id);
    Ok(seats.chain(closed).chain(database.vanished()?.into_keys()).collect())
}

async fn forget_keys(service: &Service) {
    let held = match service.database.run(held_rounds).await {
        Ok(held) => held,
        Err(error) => return tracing::error!(%error, "which rounds need KEM keys cannot be told: none is erased"),
    };
    let look = Look { retention: service.config.retention.as_secs(), now: now_seconds(), held };
    match keys::forget(&service.keys, &service.endpoints, &look).await {
        Ok(done) => {
            for key in done.erased {
                tracing::info!(%key, "the secret of a replaced KEM key is erased: boxes of its epochs can be opened no more");
            }
            for kept in done.kept.iter().filter(|kept| !kept.is_current()) {
                let reasons = kept.holds.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                tracing::debug!(key = %kept.key_hash, %reasons, "a replaced KEM key is still needed");
            }
        }
        Err(error) => tracing::warn!(%error, "whether KEM keys are still needed cannot be told: none is erased"),
    }
}
