//! Two contributions of one site to one round: the headers that a node holds, or is shown, are proof enough.

use super::keep;
use crate::rounds::OpenRound;
use crate::service::Service;
use crate::store::StoreError;
use alloy_primitives::{Address, B256};
use consilium_core::accusation::{Accusation, Charge, SignedContribution};
use consilium_core::contribution::Contribution;

/// Holds an authentic header with this digest against those of the same site that are here.
pub(crate) async fn compare(
    service: &Service,
    round: &OpenRound,
    contribution: &Contribution,
    digest: B256,
) -> Result<(), StoreError> {
    let ((study, number), site) = (round.id(), contribution.site);
    let held = service.database.run(move |db| db.contributions_by(study, number, &site)).await?;
    let new = signed(contribution, digest);
    for member in held {
        let Some(bytes) = service.blobs.header(&member.digest).await? else { continue };
        let Ok(other) = Contribution::from_bytes(&bytes, &round.shape) else { continue };
        // What the disk has damaged, or what was signed for another opening of the round, accuses nobody.
        if other.authenticate(&service.domain, &round.context).as_ref() != Ok(&member.digest) {
            continue;
        }
        let first = signed(&other, member.digest);
        if first.statement(study, number, site) == new.statement(study, number, site) {
            continue;
        }
        // One pair a site and round is enough, however many it signs.
        if service.database.run(move |db| db.is_accused(study, number, &site)).await? {
            return Ok(());
        }
        tracing::warn!(study, round = number, %site, "a site signed two contributions to one round");
        let charge = Charge::TwoContributions { site, statements: Box::new([first, new]) };
        return keep(service, Accusation { study, round: number, charge }).await;
    }
    Ok(())
}

/// What a site has signed of the contributions to a round that are here, whatever became of them, and whichever opening
/// of the round they were signed for: the site's signature names the round's number only.
pub(crate) async fn signed_by(
    service: &Service,
    round: &OpenRound,
    site: Address,
) -> Result<Vec<SignedContribution>, StoreError> {
    let (study, number) = round.id();
    let held = service.database.run(move |db| db.contributions_by(study, number, &site)).await?;
    let mut found = Vec::with_capacity(held.len());
    for member in held {
        let Some(bytes) = service.blobs.header(&member.digest).await? else { continue };
        let Ok(contribution) = Contribution::from_bytes(&bytes, &round.shape) else { continue };
        found.push(signed(&contribution, member.digest));
    }
    Ok(found)
}

fn signed(contribution: &Contribution, digest: B256) -> SignedContribution {
    let boxes = contribution.statement(digest).boxes;
    SignedContribution { digest, boxes, signature: contribution.signature }
}
