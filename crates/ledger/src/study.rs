//! Studies and rounds, rebuilt from their events and held against the contract's storage.

use crate::contracts::FixedTerms;
use crate::contracts::sum_kind::ISumKind::Program;
use crate::contracts::{Consilium, IRecords};
use crate::endpoint::{Block, Ledger};
use crate::error::{Error, Malformed, Unknown};
use crate::event::{ChainEvent, Conditions, Event, LogPosition, RoundOpened, StudyTerms};
use crate::history::History;
use crate::lists::ListFlaw;
use crate::roles::Role;
use crate::round::{Certified, CertifiedSubject, LateVotes, Round, Settled};
use crate::sites_list::SitesList;
use crate::state::State;
use alloy_primitives::{Address, B256, U256};
use consilium_core::eip712::{Settlement, Vote};
use consilium_core::error::InvalidParameters;
use consilium_core::params::{Committee, CommitteeMembers, Finality, KIND_SUM, Member, Policy};
use consilium_core::program::{self, AnyProgram};
use consilium_core::settle::share_roots_hash;
use consilium_core::terms::Terms;
use std::collections::{BTreeMap, BTreeSet};

/// A study at one block.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Its number.
    pub id: u64,
    /// Who owns the study's token: pays, decides, and may do whatever operator and treasurer may.
    pub sponsor: Address,
    /// Who opens rounds; zero for the sponsor alone.
    pub operator: Address,
    /// Who takes money out and sets the price of licences; zero for the sponsor alone.
    pub treasurer: Address,
    /// What is proved about each input.
    pub program: AnyProgram,
    /// What a weight of 1 stands for; empty if the sponsor does not say.
    pub weight_unit: String,
    /// keccak256 of the sponsor's description; zero for none.
    pub description: B256,
    /// The committee of every epoch so far, with the KEM keys that hold in it.
    pub committees: BTreeMap<u64, CommitteeMembers>,
    /// The sites admitted to the next round, or why their list, which is published elsewhere, is not here.
    pub sites: Result<Vec<Address>, ListFlaw>,
    /// Where their list is, if the chain does not have it.
    pub sites_at: Option<String>,
    /// Their root, as published; [`Terms::check`] compares.
    pub sites_root: B256,
    /// Fewest sites of a set, in the next round.
    pub minimum_cohort: u32,
    /// Finality rule of the next round.
    pub finality: Finality,
    /// Who may read the study's vectors for audit.
    pub auditors: BTreeSet<Address>,
    /// What its money and stake follow; the budget, the nodes' share and the guardian as they were set last.
    pub conditions: Conditions,
    /// Whether no round can be opened before the sponsor forms a new committee: a node was convicted, or resigned.
    pub vacant: bool,
    /// Whether no round opens any more.
    pub ended: bool,
    /// Number of rounds so far.
    pub rounds: u64,
    /// Its creation.
    pub created: LogPosition,
}

impl StudyTerms {
    /// What of them never changes.
    #[must_use]
    pub fn fixed(&self) -> FixedTerms<'_> {
        FixedTerms {
            kind: self.kind,
            program: &self.program,
            parameters: &self.parameters,
            output_length: self.output_length,
            weight_unit: &self.weight_unit,
            description: self.description,
        }
    }
}

impl Study {
    /// The committee of the newest epoch.
    #[must_use]
    pub fn committee(&self) -> Option<&CommitteeMembers> {
        self.committees.last_key_value().map(|(_, committee)| committee)
    }

    /// Whether a site is on the list, as far as it is here.
    #[must_use]
    pub fn admits(&self, site: &Address) -> bool {
        self.sites.as_ref().is_ok_and(|sites| sites.binary_search(site).is_ok())
    }
}

impl Ledger {
    /// A study at the newest block.
    ///
    /// # Errors
    /// As [`Self::history`] and [`History::study`].
    pub async fn study(&self, study: u64) -> Result<Study, Error> {
        self.history(study).await?.study()
    }

    /// A round at the newest block.
    ///
    /// # Errors
    /// As [`Self::history`] and [`History::round`].
    pub async fn round(&self, study: u64, round: u64) -> Result<Round, Error> {
        self.history(study).await?.round(round).await
    }

    /// Every subject of the study that has had its sum: the contract refuses only the last one, nodes and sites all.
    ///
    /// # Errors
    /// As [`Self::history`].
    pub async fn certified_subjects(&self, study: u64) -> Result<Vec<CertifiedSubject>, Error> {
        Ok(self.history(study).await?.certified_subjects())
    }

    /// The number of studies, which is also the newest one's number.
    ///
    /// # Errors
    /// [`Error::Unreachable`] and other faults of the endpoint.
    pub async fn studies(&self) -> Result<u64, Error> {
        self.view(Consilium::studiesCall {}, None).await
    }
}

impl History {
    /// The block at which this was read.
    #[must_use]
    pub fn head(&self) -> &Block {
        &self.head
    }

    /// The study's number.
    #[must_use]
    pub fn study_number(&self) -> u64 {
        self.study
    }

    /// How many rounds the study has had so far.
    #[must_use]
    pub fn rounds(&self) -> u64 {
        self.stored.rounds
    }

    /// The study's events in the order of the chain.
    #[must_use]
    pub fn events(&self) -> &[ChainEvent] {
        &self.events
    }

    fn newest<T>(&self, pick: impl Fn(&Event) -> Option<T>, before: Option<&LogPosition>) -> Option<T> {
        let earlier = self.events.iter().rev().filter(|e| before.is_none_or(|limit| e.at < *limit));
        earlier.into_iter().find_map(|e| pick(&e.event))
    }

    pub(crate) fn missing(&self, missing: &'static str, before: Option<LogPosition>) -> Error {
        self.ledger.malformed(Malformed::Missing { study: self.study, missing, before })
    }

    fn unreadable(&self) -> Option<Error> {
        self.malformed.first().map(|defect| self.ledger.malformed(defect.clone().into()))
    }

    fn unsupported(&self, reason: InvalidParameters) -> Error {
        Error::Unsupported { study: self.study, reason }
    }

    fn created(&self) -> Result<(&LogPosition, Address, &StudyTerms), Error> {
        let found = self.events.iter().find_map(|e| match &e.event {
            Event::StudyCreated { sponsor, terms, .. } => Some((&e.at, *sponsor, terms)),
            _ => None,
        });
        found.ok_or_else(|| self.unreadable().unwrap_or_else(|| self.missing("StudyCreated", None)))
    }

    /// Who owns the study's token.
    fn sponsor(&self) -> Result<Address, Error> {
        let changed = |event: &Event| if let Event::SponsorChanged { sponsor, .. } = event { Some(*sponsor) } else { None };
        let (_, creator, _) = self.created()?;
        Ok(self.newest(changed, None).unwrap_or(creator))
    }

    pub(crate) fn conditions(&self) -> Result<Conditions, Error> {
        let set = |event: &Event| if let Event::ConditionsSet { conditions, .. } = event { Some(*conditions) } else { None };
        let rewards = |event: &Event| match event {
            Event::RewardsSet { budget, node_share, .. } => Some((*budget, *node_share)),
            _ => None,
        };
        let first = self.newest(set, None).ok_or_else(|| self.missing("ConditionsSet", None))?;
        let (budget, node_share) = self.newest(rewards, None).unwrap_or((first.budget, first.node_share));
        Ok(Conditions { budget, node_share, guardian: self.guardian(), ..first })
    }

    /// Who the sponsor of now, or the study's creator, made guardian.
    fn guardian(&self) -> Address {
        let named = |event: &Event| match event {
            Event::RoleSet { role: Role::Guardian, account, .. } => Some(*account),
            Event::SponsorChanged { .. } => Some(Address::ZERO),
            _ => None,
        };
        self.newest(named, None).unwrap_or_default()
    }

    /// Who opens rounds: whoever the sponsor named, at first itself.
    fn operator(&self) -> Result<Address, Error> {
        let changed = |event: &Event| match event {
            Event::OperatorChanged { operator, .. } => Some(*operator),
            Event::SponsorChanged { sponsor, .. } => Some(*sponsor),
            _ => None,
        };
        let (_, creator, _) = self.created()?;
        Ok(self.newest(changed, None).unwrap_or(creator))
    }

    /// A new owner gets the role in the transaction that makes it one.
    fn treasurer(&self) -> Address {
        let named = |event: &Event| match event {
            Event::RoleSet { role: Role::Treasurer, account, .. } => Some(*account),
            _ => None,
        };
        self.newest(named, None).unwrap_or_default()
    }

    /// The policy that a round opened at this place froze: its version, the budget, the nodes' share.
    pub(crate) fn rewards_at(&self, opened: &LogPosition) -> Result<(u16, U256, u16), Error> {
        let set = |event: &Event| match event {
            Event::RewardsSet { version, budget, node_share, .. } => Some((*version, *budget, *node_share)),
            _ => None,
        };
        let admitted = |event: &Event| if let Event::SitesAdmitted { version, .. } = event { Some(*version) } else { None };
        let (version, budget, share) = self.newest(set, Some(opened)).ok_or_else(|| self.missing("RewardsSet", Some(*opened)))?;
        Ok((version.max(self.newest(admitted, Some(opened)).unwrap_or(0)), budget, share))
    }

    /// What a round pays at most, and the nodes' part of it in ten-thousandths; none for a round that was never opened.
    #[must_use]
    pub fn pay_of(&self, round: u64) -> Option<(U256, u16)> {
        let (opened, _) = self.opened(round)?;
        self.rewards_at(opened).ok().map(|(_, budget, share)| (budget, share))
    }

    /// The rounds that are settled and were not proved wrong before they paid, oldest first.
    pub(crate) fn settled_rounds(&self) -> impl Iterator<Item = u64> {
        let settled =
            self.events.iter().filter_map(|e| if let Event::RoundSettled { round, .. } = e.event { Some(round) } else { None });
        settled.filter(|&round| matches!(self.recorded_state(round), State::Settled | State::Refuted))
    }

    /// What is reserved for rounds that may still be settled, or whose lapse nobody has recorded.
    pub(crate) fn reserved(&self) -> Result<U256, Error> {
        let opened =
            self.events.iter().filter_map(|e| if let Event::RoundOpened(o) = &e.event { Some((&e.at, o.round)) } else { None });
        let pending = opened.filter(|(_, round)| matches!(self.recorded_state(*round), State::Open | State::Certified));
        pending.map(|(at, _)| Ok(self.rewards_at(at)?.1)).sum()
    }

    /// The members of an epoch's committee, node 1 first.
    pub(crate) fn members(&self, wanted: u64) -> Option<&[Address]> {
        self.events.iter().find_map(|e| match &e.event {
            Event::CommitteeFormed { epoch, nodes, .. } if *epoch == wanted => Some(nodes.as_slice()),
            _ => None,
        })
    }

    /// The policy as (minimum cohort, finality).
    fn policy(&self) -> Result<(u32, String), Error> {
        let set = |event: &Event| match event {
            Event::PolicySet { minimum_cohort, finality, .. } => Some((*minimum_cohort, finality.clone())),
            _ => None,
        };
        let (_, _, terms) = self.created()?;
        Ok(self.newest(set, None).unwrap_or((terms.minimum_cohort, terms.finality.clone())))
    }

    /// The finality rule of the next round; the strictest when it cannot be read.
    pub(crate) fn finality(&self) -> Finality {
        self.policy().ok().and_then(|(_, rule)| rule.parse().ok()).unwrap_or(Finality::Finalized)
    }

    fn sites(&self, before: Option<&LogPosition>) -> Result<(B256, SitesList), Error> {
        let admitted = |event: &Event| match event {
            Event::SitesAdmitted { sites_root, sites, .. } => Some((*sites_root, sites.clone())),
            _ => None,
        };
        self.newest(admitted, before).ok_or_else(|| self.missing("SitesAdmitted", before.copied()))
    }

    /// The list of sites that was published for a round opened at this place.
    fn listed_sites(&self, opened: &LogPosition) -> Result<Vec<Address>, Error> {
        let (root, sites) = self.sites(Some(opened))?;
        match sites {
            SitesList::Listed(sites) => Ok(sites),
            SitesList::At(uri) => self.fetched(root).map_err(|flaw| Error::SitesElsewhere { study: self.study, uri, flaw }),
        }
    }

    fn fetched(&self, root: B256) -> Result<Vec<Address>, ListFlaw> {
        let list = self.published.get(&root).cloned().unwrap_or(Err(ListFlaw::NotFetched))?;
        Ok(list.to_vec())
    }

    /// Holds the events against what the contract stores, so that no event can have been left out unnoticed. What a
    /// sponsor can spoil is compared only while nothing is spoilt; rounds are compared one by one in any case.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let (_, _, terms) = self.created()?;
        let (minimum_cohort, finality) = self.policy()?;
        let conditions = self.conditions()?;
        let paid = (U256::from(self.stored.budget), self.stored.nodeShare);
        let kept = (self.stored.ring, self.stored.challengeWindow);
        let stored = &self.stored;
        let epochs = self.events.iter().filter(|e| matches!(e.event, Event::CommitteeFormed { .. })).count() as u64;
        let rounds = self.events.iter().filter(|e| matches!(e.event, Event::RoundOpened(_))).count() as u64;
        let last = self.certified_subjects().last().map_or((0, B256::ZERO), |last| (last.round, last.subject));
        let spoilt = !self.malformed.is_empty();
        let agreements = [
            ("the sponsor", self.sponsor()? == stored.sponsor),
            ("the operator of rounds", self.operator()? == stored.operator),
            ("the study's end", self.ended() == stored.ended),
            ("the rewards", (conditions.budget, conditions.node_share) == paid),
            ("the record of rounds", (conditions.ring, conditions.challenge_window) == kept),
            ("the program", terms.fixed().hash() == stored.termsHash),
            ("the policy", spoilt || (minimum_cohort, finality) == (stored.minimumCohort, stored.finality.clone())),
            ("the admitted sites", spoilt || self.sites(None)?.0 == stored.sitesRoot),
            ("the number of committees", epochs == stored.epoch),
            ("the number of rounds", spoilt || rounds == stored.rounds),
            ("the last certified round", last == (stored.lastCertifiedRound, stored.lastCertifiedSubject)),
        ];
        self.all_agree(&agreements)
    }

    pub(crate) fn ended(&self) -> bool {
        self.events.iter().any(|e| matches!(e.event, Event::StudyEnded { .. }))
    }

    pub(crate) fn all_agree(&self, agreements: &[(&'static str, bool)]) -> Result<(), Error> {
        let Some((what, _)) = agreements.iter().find(|(_, agree)| !agree) else { return Ok(()) };
        let differ = || self.ledger.malformed(Malformed::Storage { study: self.study, what });
        Err(self.unreadable().unwrap_or_else(differ))
    }

    /// What the court is shown of the terms when a settlement is proved wrong.
    pub(crate) fn fixed_terms(&self) -> Result<Program, Error> {
        let (_, _, terms) = self.created()?;
        Ok(Program {
            kind: terms.kind,
            name: terms.program.clone(),
            parameters: terms.parameters.clone(),
            outputLength: terms.output_length,
            weightUnit: terms.weight_unit.clone(),
            description: terms.description,
        })
    }

    fn program(&self) -> Result<AnyProgram, Error> {
        let (_, _, terms) = self.created()?;
        if terms.kind != KIND_SUM {
            return Err(self.unsupported(InvalidParameters::UnknownKind(terms.kind)));
        }
        let program = program::parse(&terms.program, &terms.parameters).map_err(|reason| self.unsupported(reason))?;
        // The court judges by this length: with another one, a wrong result of this study could not be proved.
        if program.output_len() as u64 != terms.output_length {
            return Err(self.unsupported(InvalidParameters::OutputLength(terms.output_length)));
        }
        Ok(program)
    }

    /// The committee of an epoch. A member whose key is no good X-Wing key is a member all the same.
    fn committee(&self, wanted: u64) -> Result<CommitteeMembers, Error> {
        let formed = self.events.iter().find_map(|e| match &e.event {
            Event::CommitteeFormed { epoch, threshold, nodes, kem_key_hashes, .. } if *epoch == wanted => {
                Some((*threshold, nodes, kem_key_hashes))
            }
            _ => None,
        });
        let (threshold, nodes, hashes) = formed.ok_or_else(|| self.missing("CommitteeFormed", None))?;
        let member = |(node, hash): (&Address, &B256)| {
            let key = self.kem_keys.get(&(*node, *hash)).ok_or_else(|| self.missing("KemKeySet", None))?;
            Ok(Member { address: *node, kem_key: key.to_vec() })
        };
        let members = nodes.iter().zip(hashes).map(member).collect::<Result<Vec<_>, Error>>()?;
        let sizes = Committee::new(nodes.len(), usize::from(threshold)).map_err(|reason| self.unsupported(reason))?;
        CommitteeMembers::new(sizes, wanted, members).map_err(|reason| self.unsupported(reason))
    }

    fn auditors(&self) -> BTreeSet<Address> {
        let mut auditors = BTreeSet::new();
        for event in &self.events {
            match event.event {
                Event::AuditorSet { auditor, allowed: true, .. } => auditors.insert(auditor),
                Event::AuditorSet { auditor, allowed: false, .. } => auditors.remove(&auditor),
                Event::SponsorChanged { .. } => {
                    auditors.clear();
                    continue;
                }
                _ => continue,
            };
        }
        auditors
    }

    /// The study.
    ///
    /// # Errors
    /// [`Error::Unsupported`] when this version cannot run it; [`Error::Malformed`] when an event is missing.
    pub fn study(&self) -> Result<Study, Error> {
        if let Some(error) = self.unreadable() {
            return Err(error);
        }
        let (created, _, terms) = self.created()?;
        let (minimum_cohort, finality) = self.policy()?;
        let (sites_root, sites) = self.sites(None)?;
        let (sites, sites_at) = match sites {
            SitesList::Listed(sites) => (Ok(sites), None),
            SitesList::At(uri) => (self.fetched(sites_root), Some(uri)),
        };
        let committees = (1..=self.stored.epoch).map(|epoch| Ok((epoch, self.committee(epoch)?)));
        Ok(Study {
            id: self.study,
            sponsor: self.sponsor()?,
            operator: self.operator()?,
            treasurer: self.treasurer(),
            program: self.program()?,
            weight_unit: terms.weight_unit.clone(),
            description: terms.description,
            committees: committees.collect::<Result<_, Error>>()?,
            sites,
            sites_at,
            sites_root,
            minimum_cohort,
            finality: finality.parse().map_err(|reason| self.unsupported(reason))?,
            auditors: self.auditors(),
            conditions: self.conditions()?,
            vacant: self.stored.vacant,
            ended: self.stored.ended,
            rounds: self.stored.rounds,
            created: *created,
        })
    }

    /// All subjects that have had their sum, oldest first.
    #[must_use]
    pub fn certified_subjects(&self) -> Vec<CertifiedSubject> {
        let certified = self.events.iter().filter_map(|e| match &e.event {
            Event::RoundCertified { round, set_root, .. } => Some((*round, *set_root)),
            _ => None,
        });
        let of = |(round, set_root)| Some(CertifiedSubject { round, subject: self.opened(round)?.1.subject, set_root });
        certified.filter_map(of).collect()
    }

    pub(crate) fn opened(&self, wanted: u64) -> Option<(&LogPosition, &RoundOpened)> {
        self.events.iter().find_map(|e| match &e.event {
            Event::RoundOpened(opened) if opened.round == wanted => Some((&e.at, opened)),
            _ => None,
        })
    }

    /// The list of sites that was published for a round, without a look at who was struck off since; none if it is
    /// elsewhere and was not fetched.
    #[must_use]
    pub fn admitted_to(&self, round: u64) -> Option<Vec<Address>> {
        let (opened, _) = self.opened(round)?;
        self.listed_sites(opened).ok()
    }

    /// Whether the contract still stores the round itself; of older ones it keeps a hash in the archive.
    #[must_use]
    pub fn is_on_record(&self, round: u64) -> bool {
        round <= self.stored.rounds && self.stored.rounds - round < u64::from(self.stored.ring)
    }

    /// A round, held against the contract's storage as long as it is on record.
    ///
    /// # Errors
    /// [`Unknown::Round`]; [`Error::Terms`] when no honest party takes part in it; [`Error::SitesElsewhere`] when the list of
    /// its sites is not on the chain and cannot be fetched; [`Error::Malformed`] when events and storage differ.
    pub async fn round(&self, round: u64) -> Result<Round, Error> {
        let unknown = || Unknown::Round { study: self.study, round }.into();
        let absent = || if round > self.stored.rounds { unknown() } else { self.unreadable().unwrap_or_else(unknown) };
        let (opened, frozen) = self.opened(round).ok_or_else(absent)?;
        let (certificate, late, settlement) = (self.certificate(round), self.late_votes(round), self.settlement(round));
        let state = self.recorded_state(round);
        if self.is_on_record(round) {
            let call = Consilium::roundOfCall { study: self.study, round };
            let stored = self.ledger.view(call, Some(self.head.number)).await?;
            self.check_round(&stored, frozen, certificate.as_ref(), settlement.as_ref(), state)?;
        }
        let terms = self.terms(opened, frozen)?;
        terms.check().map_err(|reason| Error::Terms { study: self.study, round, reason })?;
        let struck = BTreeSet::new();
        let mut found = Round { terms, state, opened: *opened, certificate, late, settlement, struck, read_at: self.head };
        found.strike_out(&self.struck_before(opened));
        Ok(found)
    }

    fn terms(&self, opened: &LogPosition, frozen: &RoundOpened) -> Result<Terms, Error> {
        let finality = frozen.finality.parse().map_err(|reason| self.unsupported(reason))?;
        let policy = Policy {
            minimum_cohort: frozen.minimum_cohort.into(),
            sites_root: frozen.sites_root,
            finality,
            opened: frozen.opened,
            deadline: frozen.deadline,
            settle_by: frozen.settle_by,
        };
        Ok(Terms {
            domain: self.ledger.domain(),
            study: self.study,
            round: frozen.round,
            subject: frozen.subject,
            committee: self.committee(frozen.epoch)?,
            program: self.program()?,
            policy,
            sites: self.listed_sites(opened)?,
        })
    }

    /// A round's state as it was announced last; see [`State::at`] for what has lapsed since.
    #[must_use]
    pub fn recorded_state(&self, wanted: u64) -> State {
        let of = |event: &Event| match event {
            _ if event.round() != Some(wanted) => None,
            Event::RoundOpened(_) => Some(State::Open),
            Event::RoundCertified { .. } => Some(State::Certified),
            Event::RoundSettled { .. } => Some(State::Settled),
            Event::RoundVoided { .. } => Some(State::Void),
            Event::RoundAbandoned { .. } => Some(State::Abandoned),
            Event::RoundFraudulent { .. } => Some(State::Fraudulent),
            Event::RoundRefuted { .. } => Some(State::Refuted),
            _ => None,
        };
        self.newest(of, None).unwrap_or(State::None)
    }

    pub(crate) fn certificate(&self, wanted: u64) -> Option<Certified> {
        self.events.iter().find_map(|e| match &e.event {
            Event::RoundCertified { study, round, set_root, size, voters, signatures } if *round == wanted => {
                let vote = Vote { study: *study, round: *round, setRoot: *set_root, size: *size };
                Some(Certified { vote, voters: *voters, signatures: signatures.clone(), at: e.at })
            }
            _ => None,
        })
    }

    pub(crate) fn late_votes(&self, wanted: u64) -> Vec<LateVotes> {
        let added = self.events.iter().filter_map(|e| match &e.event {
            Event::VotesAdded { round, voters, signatures, .. } if *round == wanted => {
                Some(LateVotes { voters: *voters, signatures: signatures.clone(), at: e.at })
            }
            _ => None,
        });
        added.collect()
    }

    pub(crate) fn settlement(&self, wanted: u64) -> Option<Settled> {
        self.events.iter().find_map(|e| match &e.event {
            Event::RoundSettled { study, round, set_root, share_roots, aggregate_root, reward_root, signers }
                if *round == wanted =>
            {
                let settlement = Settlement {
                    study: *study,
                    round: *round,
                    setRoot: *set_root,
                    shareRootsHash: share_roots_hash(share_roots),
                    aggregateRoot: *aggregate_root,
                    rewardRoot: *reward_root,
                };
                Some(Settled { settlement, share_roots: share_roots.clone(), signers: *signers, at: e.at })
            }
            _ => None,
        })
    }

    pub(crate) fn check_round(
        &self,
        stored: &IRecords::Round,
        frozen: &RoundOpened,
        certificate: Option<&Certified>,
        settlement: Option<&Settled>,
        state: State,
    ) -> Result<(), Error> {
        use alloy::sol_types::SolStruct;
        let certified = certificate.map_or((B256::ZERO, 0, U256::ZERO), |c| (c.vote.setRoot, c.vote.size, c.voters));
        let settled = settlement.map_or((B256::ZERO, U256::ZERO), |s| (s.settlement.eip712_hash_struct(), s.signers));
        // Proving a settlement wrong clears it; proving its set wrong does not, or leaves what the slot had before.
        let hash = if state == State::Fraudulent { stored.settlement } else { settled.0 };
        let same_set = settlement.is_none_or(|s| s.settlement.setRoot == certified.0);
        let agreements = [
            ("a round's frozen terms", stored.frozen == frozen.frozen && stored.epoch == frozen.epoch),
            ("a round's certificate", (stored.setRoot, stored.size, stored.voters) == certified),
            ("a round's late votes", stored.lateVoters == LateVotes::voters_of(&self.late_votes(frozen.round))),
            ("a round's settlement", (stored.settlement, stored.signers) == (hash, settled.1) && same_set),
            ("a round's state", State::from_code(stored.state) == Some(state)),
        ];
        self.all_agree(&agreements)
    }
}
