//! Whether this site takes part in a round: every rule of the site's own, each with its refusal. Nothing is sent before all of
//! them have been checked, and what the chain says is read anew each time.

use crate::config::SitePolicy;
use crate::error::{Error, Refusal};
use crate::journal::{Bar, Slot};
use crate::sharing::StudyCommittee;
use crate::site::Site;
use alloy_primitives::B256;
use consilium_core::clock;
use consilium_core::params::CommitteeMembers;
use consilium_core::terms::{Terms, TermsError};
use consilium_ledger::{Event, History, Identity, Ledger, Round, State};

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
        State::Refuted => "refuted",
    }
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
        self.check_opening(terms)?;
        check_open(&round, self.now().as_secs())?;
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

    /// The opening time sets the cutoff: no round may open in the future. Its age is not judged, since a hospital may be late.
    fn check_opening(&self, terms: &Terms) -> Result<(), Refusal> {
        let (now, configured, policy) = (self.now(), self.config().clock.tolerance_millis(), &terms.policy);
        let millis = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        if !clock::is_ahead(policy, millis, configured) {
            return Ok(());
        }
        let tolerance_millis = clock::tolerance_millis(policy, configured);
        let (study, round, opened) = (terms.study, terms.round, policy.opened);
        Err(Refusal::OpensInTheFuture { study, round, opened, now: now.as_secs(), tolerance_millis })
    }

    async fn check_operators(&self, committee: &CommitteeMembers) -> Result<(), Error> {
        let SitePolicy { operators, jurisdictions, .. } = &self.config().policy;
        if operators.is_empty() && jurisdictions.is_empty() {
            return Ok(());
        }
        let registered = self.endpoints().first_reachable(async |ledger: Ledger| ledger.identities().await).await?;
        for member in committee.members() {
            let node = member.address;
            let Identity { operator, jurisdiction } = registered.get(&node).cloned().unwrap_or_default();
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

    /// One subject, one sum: wherever this site has contributed itself, in this study, and in the others that it knows.
    async fn check_subject(&self, history: &History, terms: &Terms) -> Result<(), Error> {
        let (subject, own) = (terms.subject, Slot::new(terms.domain, terms.study, terms.round));
        let here = StudyCommittee::new(terms.domain, terms.study, terms.committee.hash());
        let bar = || self.journal().bar(own, here.committee, subject, &self.config().policy.shared);
        // The journal's own word first: no endpoint is asked about a round elsewhere.
        if let Some(Bar::Elsewhere(earlier)) = bar() {
            return Err(Refusal::SubjectElsewhere { subject, earlier: Box::new(earlier), here }.into());
        }
        if let Some(place) = self.certified_on_chain(history, &here, subject).await? {
            return Err(Refusal::SubjectCertified { subject, place }.into());
        }
        self.note_void_rounds(&here, own, subject).await?;
        match bar() {
            None => Ok(()),
            Some(Bar::Elsewhere(earlier)) => Err(Refusal::SubjectElsewhere { subject, earlier: Box::new(earlier), here }.into()),
            Some(Bar::Certified(place)) => Err(Refusal::SubjectCertified { subject, place }.into()),
            Some(Bar::Pending(place)) => Err(Refusal::SubjectPending { subject, place }.into()),
        }
    }

    /// Where the chain has a sum over the subject: in this study, or in one that this site knows and does not share it with.
    async fn certified_on_chain(&self, history: &History, here: &StudyCommittee, subject: B256) -> Result<Option<Slot>, Error> {
        let (domain, policy) = (self.config().addresses.domain(), &self.config().policy);
        if let Some(found) = history.certified_subjects().into_iter().find(|found| found.subject == subject) {
            return Ok(Some(Slot::new(domain, here.study, found.round)));
        }
        for &study in policy.studies.keys().filter(|&&study| study != here.study) {
            let place = self.certified_elsewhere(study, subject).await?.map(|round| Slot::new(domain, study, round));
            if let Some(place) = place.filter(|place| !policy.shared.allow_study(here, place)) {
                return Ok(Some(place));
            }
        }
        Ok(None)
    }

    /// The round of another study that was certified about the subject.
    async fn certified_elsewhere(&self, study: u64, subject: B256) -> Result<Option<u64>, Error> {
        let read = |ledger: Ledger| async move { ledger.certified_subjects(study).await };
        match self.endpoints().first_reachable(read).await {
            Ok(list) => Ok(list.into_iter().find(|c| c.subject == subject).map(|c| c.round)),
            Err(consilium_ledger::Error::Unknown(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks at the earlier rounds of this study in which this site has contributed to the subject, and journals which of
    /// them are void for good.
    async fn note_void_rounds(&self, here: &StudyCommittee, own: Slot, subject: B256) -> Result<(), Error> {
        let earlier: Vec<Slot> = {
            let journal = self.journal();
            let slots = journal.contributions_to(subject).map(|known| known.slot);
            slots.filter(|slot| *slot != own && here.has_study_of(slot) && !journal.is_void(slot)).collect()
        };
        for slot in earlier {
            let (_, round) = self.read(slot.study, slot.round).await?;
            if self.is_void_for_good(&round).await? {
                self.in_journal(move |journal| journal.note_void(slot)).await?;
            }
        }
        Ok(())
    }
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

/// Open by the chain's time and by this machine's, in Unix seconds.
pub(crate) fn check_open(round: &Round, clock: u64) -> Result<(), Refusal> {
    let (terms, chain_time) = (&round.terms, round.read_at.timestamp);
    let (deadline, now) = (terms.policy.deadline, chain_time.max(clock));
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
