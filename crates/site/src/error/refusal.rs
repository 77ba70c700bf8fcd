//! The rules of a site, each with the words in which it says no.

use crate::journal::{Recorded, Slot};
use crate::sharing::StudyCommittee;
use alloy_primitives::{Address, B256};
use consilium_core::error::InvalidParameters;
use std::collections::BTreeSet;
use thiserror::Error;

/// Why this site does not take part. Every message says what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Nobody told this site about the committee.
    #[error(
        "the committee of study {study} (epoch {epoch}) has fingerprint {found}, this site was told {}: ask the operators \
         for it by another way than the chain, and if it is theirs, add it to `committees` under [studies.{study}]",
        told(pinned)
    )]
    UnknownCommittee {
        /// The study.
        study: u64,
        /// The committee's epoch.
        epoch: u64,
        /// On the chain.
        found: B256,
        /// Out of band.
        pinned: BTreeSet<B256>,
    },
    /// The round may be certified with too few sites.
    #[error(
        "the round's minimum cohort is {round}, this site's own is {own}: ask the sponsor to raise it with the next round, \
         or lower `minimum_cohort` under [policy] if so few are enough to hide among"
    )]
    CohortTooSmall {
        /// Frozen in the round.
        round: u64,
        /// Configured.
        own: u64,
    },
    /// This site contributes to a subject in one study with one committee only.
    #[error(
        "this site has contributed to subject {subject} in {}, with committee {}. It contributes to that subject in no other \
         study and with no other committee, whatever it is told became of that round: two sums over one subject give away a \
         site that only one of them has. A retry is a new round of that study with that committee. If this hospital wants to \
         take part here all the same, add to its configuration:\n[[shared_subjects]]\nstudies = [\n  {},\n  {here},\n]",
        earlier.slot,
        earlier.committee,
        earlier.study_committee()
    )]
    SubjectElsewhere {
        /// The subject.
        subject: B256,
        /// The contribution that the journal has.
        earlier: Box<Recorded>,
        /// The study and committee of the round that is refused.
        here: StudyCommittee,
    },
    /// The subject has had its sum; a second one would show single sites by subtraction.
    #[error(
        "subject {subject} has been summed already, in {place}: a second sum over the same subject gives single sites away. \
         The sponsor must open a round on another subject; a second sum in another study is possible if both studies are \
         named under [[shared_subjects]]"
    )]
    SubjectCertified {
        /// The subject.
        subject: B256,
        /// Where.
        place: Slot,
    },
    /// A contribution to the same subject in an earlier round may yet be summed.
    #[error(
        "this site has contributed to subject {subject} in {place} already, and that round is not known to be void: wait for \
         its outcome (`result`), and contribute to this round only if it was void"
    )]
    SubjectPending {
        /// The subject.
        subject: B256,
        /// Where.
        place: Slot,
    },
    /// A site signs one digest a round.
    #[error(
        "this site has signed contribution {signed} in {place} and signs no other: send that one again (`resume`), or wait for \
         the next round"
    )]
    AnotherDigest {
        /// The round.
        place: Slot,
        /// What was signed.
        signed: B256,
    },
    /// The round is about something else than the caller's base model or question.
    #[error("the round is about {subject}, the update was made for {given}: train on the round's own base model")]
    OtherSubject {
        /// The round's.
        subject: B256,
        /// The caller's.
        given: B256,
    },
    /// The base model does not come from this study.
    #[error(
        "base model {base} is neither the genesis of study {study} ({genesis}) nor a successor that this site has computed \
         from a settled round: compute it with `successor` from the round before, or, if you trust this model for another \
         reason, declare it (`trust_model`) or set `any_base_model`"
    )]
    UnknownBaseModel {
        /// The study.
        study: u64,
        /// The base model.
        base: B256,
        /// The first one.
        genesis: B256,
    },
    /// The program is not for production.
    #[error("the study's program is not for production: {0}; the sponsor must create another study")]
    Program(InvalidParameters),
    /// The program takes another kind of input.
    #[error("study {study} runs program {program}: {hint}")]
    OtherProgram {
        /// The study.
        study: u64,
        /// Its program.
        program: &'static str,
        /// What to call.
        hint: &'static str,
    },
    /// The endpoint serves another chain.
    #[error("the chain's id is {found}, this site is configured for {expected}: correct `rpc` or the addresses file")]
    WrongChain {
        /// Served.
        found: u64,
        /// Configured.
        expected: u64,
    },
    /// The round takes no contributions any more.
    #[error("round {round} of study {study} is {state}: contribute to the next one")]
    NotOpen {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Its state.
        state: &'static str,
    },
    /// The deadline has passed.
    #[error(
        "the deadline of round {round} was {deadline}, it is {now} (Unix seconds): contribute to the next round; check this machine's clock"
    )]
    DeadlinePassed {
        /// The round.
        round: u64,
        /// Unix seconds.
        deadline: u64,
        /// Unix seconds.
        now: u64,
    },
    /// The round's opening time is in the future.
    #[error(
        "round {round} of study {study} says that it opened at {opened}, this machine's clock shows {now} (Unix seconds), and \
         {} s ahead are tolerated: set this machine's clock (NTP). If it is right, the chain or an endpoint shows a false \
         opening time: ask the sponsor. `tolerance` under [clock] sets what is tolerated, up to a quarter of a round",
        *tolerance_millis as f64 / 1000.0
    )]
    OpensInTheFuture {
        /// The study.
        study: u64,
        /// The round.
        round: u64,
        /// Unix seconds, from the chain.
        opened: u64,
        /// Unix seconds, by this machine's clock.
        now: u64,
        /// Milliseconds.
        tolerance_millis: u64,
    },
    /// A node holds a contribution that this site's key signed and the journal does not have.
    #[error(
        "node {node} at {url} holds contribution {digest} in {place}. It is signed with this site's key, and the journal has \
         no contribution there: this data folder is a copy or was restored from a backup, or another machine uses the key. A \
         second contribution is an offence for which the site is struck off, so this site signs none. Let the machine that has \
         the contribution in its journal send it (`resume`), or wait for the next round. Never use a key in two places, and \
         take a new key after a restore"
    )]
    SignedBefore {
        /// The round.
        place: Slot,
        /// What was signed.
        digest: B256,
        /// Who holds it.
        node: Address,
        /// Where it was asked.
        url: String,
    },
    /// The sponsor does not admit this site.
    #[error(
        "site {site} is not among the {admitted} that the round admits: ask the sponsor to admit this address from the next round on"
    )]
    NotAdmitted {
        /// This site.
        site: Address,
        /// How many are admitted.
        admitted: usize,
    },
    /// This site was struck off for two contributions to one round.
    #[error(
        "site {site} is struck off in study {study}: two contributions signed with its key for one round were proved on chain. \
         Find out who else uses the key or the journal, then ask the sponsor to restore the site"
    )]
    Struck {
        /// This site.
        site: Address,
        /// The study.
        study: u64,
    },
    /// A node is run by somebody, or somewhere, that this site does not accept.
    #[error(
        "node {node} is run by {operator:?} in {jurisdiction:?}, which `operators` or `jurisdictions` under [policy] does not \
         allow: ask the sponsor for another committee, or allow it"
    )]
    Operator {
        /// The node.
        node: Address,
        /// As registered.
        operator: String,
        /// As registered.
        jurisdiction: String,
    },
    /// There is nothing to send again.
    #[error("the journal has no contribution in {0}")]
    NothingToResume(Slot),
}

fn told(pinned: &BTreeSet<B256>) -> String {
    if pinned.is_empty() {
        return "of none".to_owned();
    }
    pinned.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}
