//! Whether this site takes part in a round: every rule of the site's own, each with its refusal. Nothing is sent before all of
//! them have been checked, and what the chain says is read anew each time.

use crate::config::SitePolicy;
use crate::error::{Error, Refusal};
use crate::journal::Slot;
use crate::site::Site;
use alloy_primitives::{Address, B256};
use consilium_core::params::CommitteeMembers;
use consilium_core::terms::{Terms, TermsError};
use consilium_ledger::{Event, History, Ledger, Round, State};
use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the caller says that the round is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// This base model.
    Model(B256),
    /// This question.
    Question(B256),
    /// Whatever the sponsor says.
    Anything,
}

/// The name of a state in messages.
pub(crate) fn name(state: State) -> &'static str {
    match state {
        State::None => "unknown",
        State::Open => "open",
        State::Void => "void",
        State::Certified => "certified",
        State::Settled => "settled",
        State::Abandoned => "abandoned",
        State::Fraudulent => "fraudulent",
    }
}

/// Unix seconds.
pub(crate) fn wall_clock() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

impl Site {
    /// The study's history and one of its rounds, from the first endpoint that answers.
    pub(crate) async fn read(&self, study: u64, round: u64) -> Result<(History, Round), Error> {
        let read = |ledger: Ledger| async move {
            let history = ledger.history(study).await?;
            let round = history.round(round).await?;
            Ok((history, round))
        };
        self.endpoints().first_reachable(read).await.map_err(refuse_program)
    }

    /// Reads a round and checks every rule of this site.
    pub(crate) async fn admit(&self, study: u64, round: u64, about: About) -> Result<Round, Error> {
        self.check_chain().await?;
        let (history, round) = self.read(study, round).await?;
        let (terms, policy) = (&round.terms, &self.config().policy);
        check_committee(policy, terms)?;
        check_cohort(policy, terms)?;
        self.check_operators(&terms.committee).await?;
        check_open(&round)?;
        let site = self.address();
        if round.struck.contains(&site) {
            return Err(Refusal::Struck { site, study: terms.study }.into());
        }
        if !terms.admits(&site) {
            return Err(Refusal::NotAdmitted { site, admitted: terms.sites.len() }.into());
        }
        self.check_about(&history, terms, about)?;
        self.check_subject(&history, terms).await?;
        Ok(round)
    }

    /// The endpoint may have been pointed elsewhere since the start.
    async fn check_chain(&self) -> Result<(), Error> {
        let expected = self.config().addresses.chain_id;
        let found = self.endpoints().first_reachable(|ledger| async move { ledger.served_chain_id().await }).await?;
        if found == expected { Ok(()) } else { Err(Refusal::WrongChain { found, expected }.into()) }
    }

    async fn check_operators(&self, committee: &CommitteeMembers) -> Result<(), Error> {
        let SitePolicy { operators, jurisdictions, .. } = &self.config().policy;
        if operators.is_empty() && jurisdictions.is_empty() {
            return Ok(());
        }
        let registered = self.endpoints().first_reachable(registered_nodes).await?;
        for member in committee.members() {
            let node = member.address;
            let (operator, jurisdiction) = registered.get(&node).cloned().unwrap_or_default();
            let allowed = |list: &std::collections::BTreeSet<String>, found| list.is_empty() || list.contains(found);
            if !allowed(operators, &operator) || !allowed(jurisdictions, &jurisdiction) {
                return Err(Refusal::Operator { node, operator, jurisdiction }.into());
            }
        }
        Ok(())
    }

    fn check_about(&self, history: &History, terms: &Terms, about: About) -> Result<(), Error> {
        let (About::Model(given) | About::Question(given)) = about else { return Ok(()) };
        if given != terms.subject {
            return Err(Refusal::OtherSubject { subject: terms.subject, given }.into());
        }
        let (study, policy) = (terms.study, &self.config().policy);
        if policy.any_base_model || about == About::Question(given) {
            return Ok(());
        }
        let pinned = policy.studies.get(&study).and_then(|pins| pins.genesis);
        let genesis = pinned.or_else(|| first_subject(history)).unwrap_or_default();
        let known = given == genesis || self.journal().knows_model(terms.domain, study, given);
        if known { Ok(()) } else { Err(Refusal::UnknownBaseModel { study, base: given, genesis }.into()) }
    }

    /// One subject, one sum: in this study, in the others that this site knows, and wherever it has contributed itself.
    async fn check_subject(&self, history: &History, terms: &Terms) -> Result<(), Error> {
        let (subject, domain, own) = (terms.subject, terms.domain, Slot::new(terms.domain, terms.study, terms.round));
        let mut certified: Vec<(u64, u64)> =
            history.certified_subjects().into_iter().filter(|c| c.subject == subject).map(|c| (terms.study, c.round)).collect();
        for &study in self.config().policy.studies.keys().filter(|&&study| study != terms.study) {
            certified.extend(self.certified_elsewhere(study, subject).await?);
        }
        if let Some(&(study, round)) = certified.first() {
            return Err(Refusal::SubjectCertified { subject, place: Slot::new(domain, study, round) }.into());
        }
        if let Some(place) = self.journal().certified(subject) {
            return Err(Refusal::SubjectCertified { subject, place }.into());
        }
        let others: Vec<Slot> = self.journal().contributions_to(subject).map(|r| r.slot).filter(|slot| *slot != own).collect();
        for place in others {
            if !self.is_over_without_sum(place).await? {
                return Err(Refusal::SubjectPending { subject, place }.into());
            }
        }
        Ok(())
    }

    async fn certified_elsewhere(&self, study: u64, subject: B256) -> Result<Option<(u64, u64)>, Error> {
        let read = |ledger: Ledger| async move { ledger.certified_subjects(study).await };
        match self.endpoints().first_reachable(read).await {
            Ok(list) => Ok(list.into_iter().find(|c| c.subject == subject).map(|c| (study, c.round))),
            Err(consilium_ledger::Error::Unknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether a round that this site contributed to is void for good. A round of another chain or contract counts as running
    /// until the journal knows better.
    async fn is_over_without_sum(&self, slot: Slot) -> Result<bool, Error> {
        if self.journal().is_void(&slot) {
            return Ok(true);
        }
        if slot.domain() != self.config().addresses.domain() {
            return Ok(false);
        }
        let (_, round) = self.read(slot.study, slot.round).await?;
        let void = self.is_void_for_good(&round).await?;
        if void {
            self.in_journal(move |journal| journal.note_void(slot)).await?;
        }
        Ok(void)
    }
}

async fn registered_nodes(ledger: Ledger) -> Result<BTreeMap<Address, (String, String)>, consilium_ledger::Error> {
    let head = ledger.head().await?.number;
    let batch = ledger.events(ledger.addresses().deployed_at, head).await?;
    let registered = batch.events.into_iter().filter_map(|event| match event.event {
        Event::NodeRegistered { node, operator, jurisdiction, .. } => Some((node, (operator, jurisdiction))),
        _ => None,
    });
    Ok(registered.collect())
}

fn first_subject(history: &History) -> Option<B256> {
    history.events().iter().find_map(|event| match &event.event {
        Event::RoundOpened(opened) => Some(opened.subject),
        _ => None,
    })
}

/// The committee must be one whose fingerprint people have told this site.
pub(crate) fn check_committee(policy: &SitePolicy, terms: &Terms) -> Result<(), Refusal> {
    let (study, found) = (terms.study, terms.committee.hash());
    let pinned = policy.studies.get(&study).map(|pins| pins.committees.clone()).unwrap_or_default();
    if pinned.contains(&found) {
        return Ok(());
    }
    Err(Refusal::UnknownCommittee { study, epoch: terms.committee.epoch(), found, pinned })
}

fn check_cohort(policy: &SitePolicy, terms: &Terms) -> Result<(), Refusal> {
    let (round, own) = (terms.policy.minimum_cohort, policy.minimum_cohort);
    if round >= own { Ok(()) } else { Err(Refusal::CohortTooSmall { round, own }) }
}

/// Open by the chain's time and by this machine's.
pub(crate) fn check_open(round: &Round) -> Result<(), Refusal> {
    let (terms, chain_time) = (&round.terms, round.read_at.timestamp);
    let (deadline, now) = (terms.policy.deadline, chain_time.max(wall_clock()));
    match round.state_at(chain_time) {
        State::Open if now < deadline => Ok(()),
        State::Open | State::Void if now >= deadline => Err(Refusal::DeadlinePassed { round: terms.round, deadline, now }),
        state => Err(Refusal::NotOpen { study: terms.study, round: terms.round, state: name(state) }),
    }
}

/// Terms with too few test rows are refused by the ledger; here they get this site's own words.
fn refuse_program(error: consilium_ledger::Error) -> Error {
    match error {
        consilium_ledger::Error::Terms { reason: TermsError::Parameters(reason), .. } => Refusal::Program(reason).into(),
        other => other.into(),
    }
}
