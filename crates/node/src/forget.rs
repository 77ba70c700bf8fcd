//! Section 6.13: after a while masked vectors, headers with the boxes in them, and sealed seeds are deleted. Output
//! shares, the aggregate, statements and the journal stay.

use crate::service::{Service, now_seconds};
use crate::store::{Database, StoreError};
use std::sync::Arc;
use std::time::Duration;

const PAUSE: Duration = Duration::from_secs(60);

/// Forgets what is due, again and again, until the node stops.
pub(crate) async fn run(service: Arc<Service>) {
    let pause = PAUSE.min(service.config.retention.max(Duration::from_secs(1)));
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = forget_due(&service).await {
            tracing::error!(%error, "old contributions could not be deleted");
        }
    }
}

async fn forget_due(service: &Service) -> Result<(), StoreError> {
    let retention = service.config.retention.as_secs();
    for ((study, round), mut closed) in service.database.run(Database::all_closed).await? {
        if closed.forgotten || closed.at.saturating_add(retention) > now_seconds() {
            continue;
        }
        let members = service.database.run(move |db| db.contributions(study, round)).await?;
        for member in &members {
            service.blobs.forget(&member.digest).await?;
        }
        closed.forgotten = true;
        service.database.run(move |db| db.forget(study, round).and_then(|()| db.set_closed(study, round, &closed))).await?;
        tracing::info!(study, round, contributions = members.len(), "masked vectors and boxes of a closed round are deleted");
    }
    Ok(())
}
