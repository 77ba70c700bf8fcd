//! Who sends a certificate chooses whose votes are in it, and only who has voted is paid. A node whose vote is left out adds
//! it to the chain by itself, as long as the round is not settled.
//!
//! Nothing is written down for it: the journal says what this node voted for, and the chain whose votes it has.

use super::{OpenRound, actor};
use crate::metrics::Metrics;
use crate::service::{Service, locked};
use crate::store::{Database, StoreError};
use consilium_core::eip712::{SignerSet, Vote};
use consilium_core::round::{Stage, Statement};
use consilium_ledger::{Certified, Error, LogPosition, State};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Pause before this is tried again when chain or disk have failed.
const PAUSE: Duration = Duration::from_secs(2);

/// How far this node has come with its vote for the certificate at this place of the chain.
#[derive(Debug, Clone, Copy)]
enum Progress {
    Trying,
    Again(Instant),
    Done,
}

/// What has become of this node's vote, by certificate: another block may show another one.
#[derive(Debug, Default)]
pub(crate) struct LateVote(Mutex<Option<(LogPosition, Progress)>>);

impl LateVote {
    /// Whether something is to be done about this certificate now; then it counts as begun.
    fn begins(&self, at: LogPosition) -> bool {
        let mut known = locked(&self.0);
        let due = match *known {
            Some((of, Progress::Again(next))) if of == at => next <= Instant::now(),
            Some((of, Progress::Trying | Progress::Done)) => of != at,
            _ => true,
        };
        if due {
            *known = Some((at, Progress::Trying));
        }
        due
    }

    fn ends(&self, at: LogPosition, progress: Progress) {
        let mut known = locked(&self.0);
        if known.is_some_and(|(of, _)| of == at) {
            *known = Some((at, progress));
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum LateError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Has this node's vote added, if the round's certificate is on the chain without it and the round pays for it.
pub(crate) fn look(service: &Arc<Service>, round: &Arc<OpenRound>) {
    let Some(certificate) = locked(&round.certificate).clone() else { return };
    let waits = matches!(round.stage(), Stage::Certified | Stage::Final);
    if !waits || certificate.voters().contains(&round.me) || !round.late_vote.begins(certificate.at) {
        return;
    }
    let (service, round) = (Arc::clone(service), Arc::clone(round));
    let adding = Arc::clone(&service);
    adding.spawn(async move {
        let progress = match add(&service, &round, &certificate).await {
            Ok(true) => Progress::Done,
            // The machine may be about to write down what it has voted for.
            Ok(false) => Progress::Again(Instant::now() + PAUSE),
            Err(error) => {
                let (study, number) = round.id();
                Metrics::add(&service.metrics.chain_errors, 1);
                tracing::debug!(study, round = number, %error, "this node's own vote could not be added yet: trying again");
                Progress::Again(Instant::now() + PAUSE)
            }
        };
        round.late_vote.ends(certificate.at, progress);
    });
}

/// Whether nothing is left to do.
async fn add(service: &Service, open: &OpenRound, certificate: &Certified) -> Result<bool, LateError> {
    let ((study, number), vote) = (open.id(), certificate.vote.clone());
    if !has_voted(service, open, &vote).await? {
        return Ok(false);
    }
    let history = service.ledger().history(study).await?;
    let pays = history.pay_of(number).is_some_and(|(budget, share)| !budget.is_zero() && share != 0);
    let shown = history.round(number).await?;
    let same = shown.certificate.as_ref().is_some_and(|shown| shown.vote == vote);
    let waits = shown.state_at(shown.read_at.timestamp) == State::Certified;
    if !pays || !same || !waits || shown.has_voted(open.me) || open.is_dismissed() {
        return Ok(true);
    }
    let signature = actor::sign(service, &Statement::Vote(vote));
    let signed = SignerSet::collect(&BTreeMap::from([(open.me, signature)]));
    match service.ledger().add_votes(&service.wallet, study, number, &signed).await {
        Ok(receipt) => {
            let (gas, transaction) = (receipt.gas_used, receipt.transaction);
            tracing::info!(study, round = number, gas, %transaction, "the certificate left this node's vote out: added it");
            Ok(true)
        }
        // Somebody else has added it, or the round is settled by now.
        Err(Error::Reverted(revert)) => {
            tracing::debug!(study, round = number, %revert, "this node's vote is not added");
            Ok(true)
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether the journal holds this node's vote for the set: what it does not hold is never signed here.
async fn has_voted(service: &Service, open: &OpenRound, vote: &Vote) -> Result<bool, StoreError> {
    let (opening, subject, wanted) = (open.opening, open.terms.subject, Statement::Vote(vote.clone()));
    let said = service.database.run(move |db: &Database| db.journalled(&opening, &subject)).await?;
    Ok(said.contains(&wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vote_is_added_once_for_a_certificate_and_again_for_another() {
        let (late, [first, second]) = (LateVote::default(), [0, 1].map(|index| LogPosition { index, ..LogPosition::default() }));
        assert!(late.begins(first) && !late.begins(first));
        late.ends(first, Progress::Again(Instant::now()));
        assert!(late.begins(first), "it had failed");
        late.ends(first, Progress::Again(Instant::now() + Duration::from_secs(600)));
        assert!(!late.begins(first), "not at once");
        assert!(late.begins(second));
        late.ends(first, Progress::Done);
        assert!(!late.begins(second), "the other one is still being tried");
        late.ends(second, Progress::Done);
        assert!(!late.begins(second) && late.begins(first));
    }
}
