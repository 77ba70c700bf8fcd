//! Looking at the seats that the chain has given this node, and leaving those that are beyond its policy.
//!
//! Refusing to serve costs nobody anything, and one endpoint's word is enough for it. Resigning cannot be taken back, so that
//! it needs more: the study's terms are beyond the policy in blocks that are final by its own rule, on every endpoint alike,
//! and still are in the newest block. An endpoint that lies alone makes the node leave nothing. Rounds that this node has
//! taken a seat in are finished first.
//!
//! The contract itself makes it safe to repeat: whoever serves no more is refused before anything is sent. So nothing about
//! it is kept on disk, and a resignation that a reorganisation takes back is sent again.

use super::seats::{Beyond, Leaving, Seat, Standing};
use super::{Breach, SeatTerms};
use crate::metrics::Metrics;
use crate::rounds::Entry;
use crate::service::Service;
use crate::store::{Database, StoreError};
use consilium_core::params::Finality;
use consilium_ledger::{BlockRef, Error, History, Ledger, Standing as BlockStanding};
use std::sync::Arc;
use std::time::Duration;

/// Pause after the seats of this node could not be listed.
const PAUSE: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error(transparent)]
    Chain(#[from] Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the endpoint answers from block {read}, and has shown block {known} before")]
    Behind { read: u64, known: u64 },
}

/// Looks at every seat whenever something may have changed, until the node stops.
pub(crate) async fn run(service: Arc<Service>) {
    while let Err(error) = list(&service).await {
        Metrics::add(&service.metrics.chain_errors, 1);
        tracing::warn!(%error, "the committees that this node sits in cannot be read yet: trying again");
        tokio::time::sleep(PAUSE).await;
    }
    loop {
        for (study, seat) in service.seats.due() {
            match look(&service, study, &seat).await {
                Ok(standing) => {
                    tell(study, &seat.standing, &standing);
                    service.seats.found(study, &seat, standing);
                }
                Err(error) => put_off(&service, study, &seat, &error),
            }
        }
        service.seats.wait().await;
    }
}

/// Notes every study that has or had a seat for this node. Later ones are announced by the watcher.
async fn list(service: &Service) -> Result<(), Error> {
    for membership in service.ledger().memberships(service.address()).await? {
        service.seats.note(membership.study, 0);
    }
    Ok(())
}

fn put_off(service: &Service, study: u64, seat: &Seat, error: &LookError) {
    Metrics::add(&service.metrics.chain_errors, 1);
    let attempts = service.seats.failed(study, seat);
    if attempts.is_power_of_two() {
        tracing::warn!(study, attempts, %error, "whether a seat is within this node's policy cannot be told yet: trying again");
    }
}

/// Says what is new about a seat, once.
fn tell(study: u64, before: &Standing, now: &Standing) {
    let was = if let Standing::Beyond(was) = before { Some(was) } else { None };
    let Standing::Beyond(Beyond { epoch, reason, leaving }) = now else {
        if let (Some(_), Standing::Within) = (was, now) {
            tracing::info!(study, "the seat is within this node's policy again");
        }
        return;
    };
    if was.is_none_or(|was| (was.epoch, &was.reason) != (*epoch, reason)) {
        tracing::error!(study, epoch, %reason, "the chain seats this node beyond its policy: no new round of the study is served");
    }
    if was.is_some_and(|was| was.leaving.to_string() == leaving.to_string()) {
        return;
    }
    match leaving {
        Leaving::Off => tracing::warn!(study, "`policy.resign` is off: leave the committee with `consilium node resign`"),
        Leaving::Unconfirmed => tracing::info!(study, "resigning once every endpoint shows that in final blocks"),
        Leaving::Disputed => tracing::error!(study, "NOT resigning while the endpoints disagree about the study: check them"),
        Leaving::AfterRounds(rounds) => tracing::info!(study, ?rounds, "resigning once these rounds are over"),
        Leaving::Failing | Leaving::Sent { .. } => {}
        Leaving::Done => tracing::warn!(
            study,
            "this node has left the committee; take the consent back with `consilium node consent`, or it can be seated again"
        ),
    }
}

/// How a seat stands now. Resigns where that is due.
async fn look(service: &Arc<Service>, study: u64, seat: &Seat) -> Result<Standing, LookError> {
    let history = service.ledger().history(study).await?;
    let head = *history.head();
    if head.number < seat.since {
        return Err(LookError::Behind { read: head.number, known: seat.since });
    }
    let terms = read(service, service.ledger(), &history).await?;
    if !terms.seats(service.address()) {
        return Ok(Standing::Absent);
    }
    let breaches = service.config.policy.breaches(service.address(), &terms);
    if breaches.is_empty() {
        return Ok(Standing::Within);
    }
    let before = match &seat.standing {
        Standing::Beyond(before) if before.epoch == terms.epoch => Some(&before.leaving),
        _ => None,
    };
    let leaving = leave(service, &terms, before, head.reference()).await?;
    Ok(Standing::Beyond(Beyond { epoch: terms.epoch, reason: Breach::list(&breaches), leaving }))
}

/// What a study's newest committee binds this node to, as one endpoint shows it.
async fn read(service: &Service, ledger: &Ledger, history: &History) -> Result<SeatTerms, Error> {
    let mut terms = SeatTerms::present(history);
    if service.config.policy.maximum_seats_per_operator.is_some() {
        terms.operators = service.operators.of(ledger, &terms.members).await?;
    }
    Ok(terms)
}

/// The next step of leaving a committee.
async fn leave(
    service: &Arc<Service>,
    terms: &SeatTerms,
    before: Option<&Leaving>,
    head: BlockRef,
) -> Result<Leaving, LookError> {
    if !service.config.policy.resign {
        return Ok(Leaving::Off);
    }
    match before {
        Some(Leaving::Done) => return Ok(Leaving::Done),
        Some(sent @ Leaving::Sent { block, .. }) => {
            // A rule that cannot be read counts as the strictest, as it does for reading final blocks.
            let rule = terms.finality.parse().unwrap_or(Finality::Finalized);
            match service.ledger().standing(block, rule).await? {
                BlockStanding::Final => return Ok(Leaving::Done),
                BlockStanding::Pending => return Ok(sent.clone()),
                BlockStanding::Replaced => {}
            }
        }
        _ => {}
    }
    match is_confirmed(service, terms.study).await {
        Ok(true) => {}
        Ok(false) => return Ok(Leaving::Unconfirmed),
        Err(error) => {
            Metrics::add(&service.metrics.chain_errors, 1);
            tracing::warn!(study = terms.study, %error, "not every endpoint confirms that a seat is beyond the policy");
            let disputed = matches!(error, Error::Disagreement(_));
            return Ok(if disputed { Leaving::Disputed } else { Leaving::Unconfirmed });
        }
    }
    let rounds = begun(service, terms.study).await?;
    if rounds.is_empty() { Ok(resign(service, terms.study, head).await) } else { Ok(Leaving::AfterRounds(rounds)) }
}

/// Whether all endpoints show the same terms in blocks that are final, and those are beyond the policy.
async fn is_confirmed(service: &Arc<Service>, study: u64) -> Result<bool, Error> {
    let shown = service.endpoints.agreed(|ledger| {
        let service = Arc::clone(service);
        async move {
            let Some(history) = ledger.final_history(study).await? else { return Ok(None) };
            read(&service, &ledger, &history).await.map(Some)
        }
    });
    let me = service.address();
    Ok(shown.await?.is_some_and(|terms| terms.seats(me) && !service.config.policy.breaches(me, &terms).is_empty()))
}

/// The rounds of a study that this node has taken a seat in and that are not over here, before a restart or after it. One that
/// it could not take up again is none of them.
async fn begun(service: &Service, study: u64) -> Result<Vec<u64>, StoreError> {
    let seats = service.database.run(Database::seats).await?;
    let of_study = seats.into_keys().filter(|(of, _)| *of == study).map(|(_, round)| round);
    Ok(of_study.filter(|round| !matches!(service.rounds.get(study, *round), Some(Entry::Refused(_)))).collect())
}

async fn resign(service: &Service, study: u64, head: BlockRef) -> Leaving {
    match service.ledger().resign(&service.wallet, study).await {
        Ok(receipt) => {
            Metrics::add(&service.metrics.resignations, 1);
            let (transaction, gas) = (receipt.transaction, receipt.gas_used);
            tracing::warn!(study, %transaction, gas, "RESIGNED from a committee that is beyond this node's policy");
            Leaving::Sent { transaction: Some(transaction), block: receipt.block }
        }
        Err(Error::Reverted(revert)) if revert.is("NotServing") => Leaving::Sent { transaction: None, block: head },
        Err(error) => {
            Metrics::add(&service.metrics.chain_errors, 1);
            tracing::error!(study, %error, "the resignation failed: trying again; see that the node's account can pay for gas");
            Leaving::Failing
        }
    }
}
