//! What this node answers when it is convicted of a share of another set than the certified one. It releases for a set only
//! with Q votes for it (PROTOCOL.md 6.8); if a reorganisation then has the chain certify another set, these votes clear it,
//! until the bond is paid out. What a wrong settlement took comes back with the proof of that, whoever sends it.

use crate::metrics::Metrics;
use crate::service::Service;
use crate::store::{Database, Opening, StoreError};
use consilium_core::eip712::{ShareRoot, Vote};
use consilium_core::round::Statement;
use consilium_ledger::{Answer, Doubt, Error};

/// Answers every conviction of this node that votes can clear. What cannot be answered any more is put aside.
pub(super) async fn give(service: &Service) -> Result<(), StoreError> {
    for (study, round) in service.database.run(Database::accused).await? {
        match give_one(service, study, round).await? {
            Ok(true) => {}
            Ok(false) => service.database.run(move |db| db.remove_accused(study, round)).await?,
            Err(error) => {
                Metrics::add(&service.metrics.chain_errors, 1);
                tracing::warn!(study, round, %error, "a conviction of this node could not be answered yet: trying again");
            }
        }
    }
    Ok(())
}

/// Whether there is still something to answer.
async fn give_one(service: &Service, study: u64, round: u64) -> Result<Result<bool, Error>, StoreError> {
    let ledger = service.ledger();
    match ledger.pot_of(study, service.address()).await {
        Ok(Some(pot)) if pot.doubt == Doubt::Votes && pot.round == round => {}
        Ok(_) => return Ok(Ok(false)),
        Err(error) => return Ok(Err(error)),
    }
    let terms = match ledger.round(study, round).await {
        Ok(found) => found.terms,
        Err(error) => return Ok(Err(error)),
    };
    let (opening, subject) = (Opening::of(&terms), terms.subject);
    let (said, seen) = service
        .database
        .run(move |db: &Database| Ok((db.journalled(&opening, &subject)?, db.certificates_of(study, round)?)))
        .await?;
    let share = said.into_iter().find_map(|said| if let Statement::ShareRoot(share) = said { Some(share) } else { None });
    let Some(share) = share else {
        tracing::error!(
            study,
            round,
            "this node is convicted of a share that it has not signed with this folder: look for \
                                       another machine that has its key"
        );
        return Ok(Ok(false));
    };
    let Some(seen) = seen.into_iter().find(|seen| seen.set_root == share.setRoot) else {
        tracing::error!(study, round, set_root = %share.setRoot, "this node has no votes for the set that it released for");
        return Ok(Ok(false));
    };
    let vote = Vote { study, round, setRoot: seen.set_root, size: seen.size };
    let signature = terms.domain.sign(service.keys.signing_key(), &share);
    let answer = Answer { share, signature, vote, voters: seen.voters, votes: seen.votes };
    Ok(send(service, (study, round), &answer).await)
}

async fn send(service: &Service, (study, round): (u64, u64), answer: &Answer) -> Result<bool, Error> {
    let ShareRoot { setRoot: set_root, .. } = answer.share;
    match service.ledger().answer_foreign_share(&service.wallet, study, service.address(), answer).await {
        Ok(receipt) => {
            let (transaction, gas) = (receipt.transaction, receipt.gas_used);
            tracing::warn!(study, round, %set_root, %transaction, gas, "the votes for the set that this node released for clear it");
            Ok(true)
        }
        Err(error) => Err(error),
    }
}
