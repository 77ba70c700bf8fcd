//! Waiting for a round's end, on the site's own endpoints.
//!
//! A result counts when the settlement is final by the study's rule on every endpoint, its committee is one that this site was
//! told, and Q of its nodes have signed it.

use crate::admission::{check_committee, name};
use crate::aggregate::Aggregate;
use crate::config::seconds;
use crate::error::Error;
use crate::journal::Slot;
use crate::nodes::{NodeClient, NodeFailure, NodeFault};
use crate::pause::Pauses;
use crate::progress::Progress;
use crate::site::Site;
use crate::tensors::{Tensors, apply_mean};
use alloy::eips::BlockNumberOrTag;
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, ReceiptCertificate};
use consilium_core::params::Finality;
use consilium_core::terms::Terms;
use consilium_ledger::error::Disagreement;
use consilium_ledger::{Endpoints, Ledger, Round, Settled, Standing, State};
use std::collections::BTreeSet;
use std::time::Instant;

/// Seconds after settle-by for which a site that set no limit waits.
const GRACE: u64 = 300;

/// How a round ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result that has been checked.
    Settled(Box<Checked>),
    /// No set was certified before the deadline. Nothing was released; the subject may be tried again in a new round.
    Void,
    /// A set was certified and not settled in time. The subject is spent.
    Abandoned,
    /// The settlement was proved wrong.
    Fraudulent,
}

/// A settled round with its checked aggregate.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The sum, equal to the root on the chain.
    pub aggregate: Aggregate,
    /// The certified set, equal to the root on the chain.
    pub cohort: Cohort,
    /// What the chain says.
    pub settled: Settled,
    /// What became of this site's own contribution.
    pub inclusion: Inclusion,
    /// Nodes that failed or lied on the way; not those that were only asked before they had it.
    pub faults: Vec<NodeFailure>,
}

/// What became of this site's contribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inclusion {
    /// It is in the sum.
    Included,
    /// The journal has none for this round.
    NotContributed,
    /// It is not in the sum.
    Omitted {
        /// Q receipts, if there are. They show that Q nodes had it, and not that a node broke the protocol: one that lies may
        /// show its receipt to this site alone, while an honest one is slow.
        proof: Option<ReceiptCertificate>,
    },
    /// Another contribution with this site's signature is in the sum: someone else uses the key, or another journal.
    Foreign {
        /// Its digest.
        digest: B256,
    },
}

impl Site {
    /// Waits until a round is over, fetches its result and checks it. Nothing unchecked is ever returned.
    ///
    /// # Errors
    /// [`Error::StillRunning`] after the configured time; [`Error::NoResult`] when no node serves what the chain says;
    /// [`Error::Refused`] for a committee that this site was not told.
    pub async fn await_result(&self, study: u64, round: u64) -> Result<Outcome, Error> {
        let (started, mut seen, mut failing) = (Instant::now(), None, None);
        let (mut pauses, mut before) = (Pauses::of(self), None);
        loop {
            let state = match self.look(study, round, &mut seen).await {
                Ok(Look::Over(outcome)) => return Ok(*outcome),
                Ok(Look::Running(state, until)) if self.has_time(started, until) => {
                    failing = None;
                    state
                }
                Ok(Look::Running(state, _)) => {
                    let seconds = started.elapsed().as_secs_f64();
                    return Err(Error::StillRunning { study, round, state, seconds });
                }
                Err(Error::Ledger(error)) if error.is_temporary() && self.has_patience(&mut failing) => {
                    self.tell(Progress::ChainFailed(error.to_string()));
                    "unknown"
                }
                Err(error) => return Err(error),
            };
            self.tell(Progress::Waiting { state });
            if before.replace(state) != Some(state) {
                pauses = Pauses::of(self);
            }
            pauses.wait().await;
        }
    }

    /// The model after a settled round: base plus mean. The base must be the round's subject; the successor is declared a
    /// base model of the study in the journal. Also for rounds to which this site did not contribute.
    ///
    /// # Errors
    /// [`crate::Refusal::OtherSubject`]; [`Error::Tensors`] when the lengths differ.
    pub async fn successor(&self, study: u64, base: &Tensors, checked: &Checked) -> Result<Tensors, Error> {
        let (subject, given) = (checked.aggregate.subject(), base.model_digest());
        if subject != given {
            return Err(crate::error::Refusal::OtherSubject { subject, given }.into());
        }
        let next = apply_mean(base, checked.aggregate.mean())?;
        self.trust_model(study, next.model_digest()).await?;
        Ok(next)
    }

    /// An unreachable chain is asked again, as long as a delivery may take.
    fn has_patience(&self, failing: &mut Option<Instant>) -> bool {
        failing.get_or_insert_with(Instant::now).elapsed() < seconds(self.config().timeouts.deliver)
    }

    fn has_time(&self, started: Instant, until: u64) -> bool {
        let limit = self.config().timeouts.result;
        if limit > 0.0 { started.elapsed() < seconds(limit) } else { self.now().as_secs() < until.saturating_add(GRACE) }
    }

    /// One look at the chain; the history is only read again when there is a new block.
    async fn look(&self, study: u64, round: u64, seen: &mut Option<(B256, Look)>) -> Result<Look, Error> {
        let head = self.endpoints().first_reachable(|ledger| async move { ledger.head().await }).await?;
        // Another endpoint may have moved on where this one has not.
        let alone = self.endpoints().all().len() == 1;
        if let Some((hash, Look::Running(state, until))) = seen
            && *hash == head.hash
            && (alone || *state == name(State::Open))
        {
            return Ok(Look::Running(state, *until));
        }
        let (_, round) = self.read(study, round).await?;
        check_committee(&self.config().policy, &round.terms)?;
        let look = self.judge(&round).await?;
        *seen = Some((round.read_at.hash, look.clone()));
        Ok(look)
    }

    async fn judge(&self, round: &Round) -> Result<Look, Error> {
        let terms = &round.terms;
        let slot = Slot::new(terms.domain, terms.study, terms.round);
        self.note_certificate(round, slot).await?;
        let over = |outcome| Ok(Look::Over(Box::new(outcome)));
        match (round.state_at(round.read_at.timestamp), &round.settlement) {
            (State::Settled, Some(settled)) if is_settled_for_good(self.endpoints(), round, settled).await? => {
                let checked = self.checked_result(round, settled).await?;
                self.in_journal(move |journal| journal.forget_message(&slot)).await?;
                over(Outcome::Settled(Box::new(checked)))
            }
            (State::Void, _) if self.is_void_for_good(round).await? => {
                let end = move |journal: &mut crate::journal::Journal| {
                    journal.note_void(slot)?;
                    journal.forget_message(&slot)
                };
                self.in_journal(end).await?;
                over(Outcome::Void)
            }
            (State::Abandoned, _) if self.passed_for_good(terms, terms.policy.settle_by).await? => over(Outcome::Abandoned),
            (State::Fraudulent | State::Refuted, _) => over(Outcome::Fraudulent),
            (state, _) => Ok(Look::Running(name(state), terms.policy.settle_by)),
        }
    }

    /// A final certificate spends the subject, here and on every other chain. One without the votes of Q nodes is what an endpoint
    /// made up, and must not stay in the journal for good.
    async fn note_certificate(&self, round: &Round, slot: Slot) -> Result<(), Error> {
        let (subject, rule) = (round.terms.subject, round.terms.policy.finality);
        let Some(certificate) = &round.certificate else { return Ok(()) };
        let known = self.journal().certified(subject).any(|place| place == slot);
        let is_voted_for = || certificate.genuine_votes(&round.terms).len() >= round.terms.committee.sizes().quorum();
        if known || !is_voted_for() || self.endpoints().certificate(certificate, rule).await? != Standing::Final {
            return Ok(());
        }
        self.in_journal(move |journal| journal.note_certified(slot, subject)).await
    }

    /// Whether no certificate can come any more, on any endpoint.
    pub(crate) async fn is_void_for_good(&self, round: &Round) -> Result<bool, Error> {
        let terms = &round.terms;
        if round.certificate.is_some() || !self.passed_for_good(terms, terms.policy.deadline).await? {
            return Ok(false);
        }
        for ledger in self.endpoints().all() {
            if ledger.round(terms.study, terms.round).await?.certificate.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a final block of every endpoint is at or after `time`.
    async fn passed_for_good(&self, terms: &Terms, time: u64) -> Result<bool, Error> {
        for ledger in self.endpoints().all() {
            if final_time(ledger, terms.policy.finality).await?.is_none_or(|reached| reached < time) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[derive(Debug, Clone)]
enum Look {
    Over(Box<Outcome>),
    /// State, and Unix seconds until which it may change.
    Running(&'static str, u64),
}

/// The time of the newest block that is final by the rule.
async fn final_time(ledger: &Ledger, rule: Finality) -> Result<Option<u64>, Error> {
    let block = match rule {
        Finality::Instant => Some(ledger.head().await?),
        Finality::Depth(depth) => match ledger.head().await?.number.checked_sub(depth) {
            Some(number) => ledger.block(number.into()).await?,
            None => None,
        },
        Finality::Safe => ledger.block(BlockNumberOrTag::Safe).await?,
        Finality::Finalized => ledger.block(BlockNumberOrTag::Finalized).await?,
    };
    Ok(block.map(|block| block.timestamp))
}

/// Whether the settlement is final, and the same, on every endpoint.
pub(crate) async fn is_settled_for_good(endpoints: &Endpoints, round: &Round, settled: &Settled) -> Result<bool, Error> {
    let rule = round.terms.policy.finality;
    for ledger in endpoints.all() {
        if ledger.standing(&settled.at.block, rule).await? != Standing::Final {
            return Ok(false);
        }
    }
    for ledger in endpoints.all().iter().skip(1) {
        let other = ledger.round(round.terms.study, round.terms.round).await?;
        if other.settlement.as_ref() != Some(settled) {
            let root = |settled: &Settled| settled.settlement.aggregateRoot;
            let disagreement = Disagreement {
                first: endpoints.primary().endpoint().to_owned(),
                second: ledger.endpoint().to_owned(),
                number: settled.at.block.number,
                first_says: root(settled),
                second_says: other.settlement.as_ref().map_or(B256::ZERO, root),
            };
            return Err(consilium_ledger::Error::Disagreement(Box::new(disagreement)).into());
        }
    }
    Ok(true)
}

/// Q nodes of the committee have signed this very settlement: in the transaction, or as the nodes serve it.
pub(crate) async fn check_signatures(
    ledger: &Ledger,
    nodes: Vec<NodeClient>,
    terms: &Terms,
    settled: &Settled,
) -> Result<(), Error> {
    let in_transaction = ledger.settlement_signatures(terms, settled).await;
    if let Ok(Some(Ok(_))) = in_transaction {
        return Ok(());
    }
    let (mut signed, mut faults) = (BTreeSet::new(), Vec::new());
    for node in nodes {
        let statements = match node.statements(terms.study, terms.round, terms.sites.len()).await {
            Ok(statements) => statements,
            Err(failure) => {
                faults.push(failure);
                continue;
            }
        };
        let genuine = statements.settlements.iter().filter(|said| {
            let member = terms.committee.member(said.node);
            member.is_some_and(|m| terms.domain.check(&settled.settlement, &said.signature, m.address).is_ok())
        });
        signed.extend(genuine.map(|said| said.node));
        if signed.len() >= terms.committee.sizes().quorum() {
            return Ok(());
        }
        faults.push(node.failure(NodeFault::Malformed("too few signatures on the settlement".into())));
    }
    Err(Error::NoResult { round: terms.round, what: "committee's signatures", faults })
}
