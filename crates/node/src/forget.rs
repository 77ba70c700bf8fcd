//! Section 6.13: after a while, and at once when a round is void, masked vectors, headers with the boxes in them, and
//! sealed seeds are deleted. Output shares, the aggregate, statements and the journal stay.

use crate::service::{Service, now_seconds};
use crate::store::{Database, StoreError};
use std::sync::Arc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(60);

/// Forgets what is due, again and again, until the node stops.
pub(crate) async fn run(service: Arc<Service>) {
    let pause = PAUSE.min(service.config.retention.max(Duration::from_secs(1)));
    loop {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = service.forget.notified() => {}
        }
        if let Err(error) = forget_due(&service).await {
            tracing::error!(%error, "old contributions could not be deleted");
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
