//! From a raw log to a [`ChainEvent`], or the defect.

pub(crate) mod money;
mod privacy;
pub(crate) mod registry;
pub(crate) mod token;

use crate::addresses::Addresses;
use crate::contracts::Consilium as C;
use crate::event::{
    BlockRef, ChainEvent, Conditions, Defect, Event, LogPosition, MAX_COMMITTEE, MAX_NAME, MAX_PARAMETERS, MAX_SITES,
    MalformedLog, RoundOpened, SitesList, StudyTerms,
};
use alloy::rpc::types::Log;
use alloy::sol_types::{SolEvent, SolValue};
use alloy_primitives::{B256, U256, keccak256};

/// Length of an X-Wing public key in bytes, as the registry has it.
pub const KEM_KEY_BYTES: usize = 1216;

impl ChainEvent {
    /// Decodes and checks a log of the contracts.
    ///
    /// # Errors
    /// [`MalformedLog`] with the place of the log and what is wrong with it.
    pub fn decode(addresses: &Addresses, log: &Log) -> Result<Self, MalformedLog> {
        let malformed = |defect| MalformedLog {
            block: log.block_number,
            index: log.log_index,
            transaction: log.transaction_hash,
            study: [addresses.consilium, addresses.study_token].contains(&log.address()).then(|| study_of(log)).flatten(),
            defect,
        };
        let at = position(log).ok_or_else(|| malformed(Defect::NotMined))?;
        let event = if log.address() == addresses.consilium {
            consilium(log)
        } else if log.address() == addresses.registry {
            registry::event(log)
        } else if log.address() == addresses.treasury {
            money::treasury(log)
        } else if log.address() == addresses.licences {
            money::licences(log)
        } else if log.address() == addresses.study_token {
            token::event(log)
        } else if log.address() == addresses.privacy_budget {
            privacy::event(log)
        } else {
            Err(Defect::Foreign(log.address()))
        };
        Ok(Self { at, timestamp: log.block_timestamp, event: event.map_err(malformed)? })
    }
}

/// Whether a log, out of a transaction that may have called anything, is one that [`ChainEvent::decode`] is for.
pub(crate) fn is_ours(addresses: &Addresses, log: &Log) -> bool {
    let (from, topic) = (log.address(), log.topic0());
    let one_of = |events: &[B256]| topic.is_some_and(|topic| events.contains(topic));
    let always = [addresses.registry, addresses.consilium, addresses.treasury, addresses.privacy_budget].contains(&from);
    always
        || from == addresses.licences && one_of(&money::OF_LICENCES)
        || from == addresses.study_token && one_of(&token::OF_ROLES)
}

fn study_of(log: &Log) -> Option<u64> {
    log.topics().get(1).and_then(|topic| U256::from_be_bytes(topic.0).try_into().ok())
}

fn position(log: &Log) -> Option<LogPosition> {
    if log.removed {
        return None;
    }
    let block = BlockRef { number: log.block_number?, hash: log.block_hash? };
    Some(LogPosition { block, index: log.log_index?, transaction: log.transaction_hash? })
}

/// Decodes, and refuses whatever does not encode back to the same bytes: invalid UTF-8, dirty padding, odd offsets.
fn strictly<E: SolEvent>(log: &Log) -> Result<E, Defect> {
    let name = E::SIGNATURE.split('(').next().unwrap_or(E::SIGNATURE);
    let data = &log.inner.data;
    let event = E::decode_log_data(data).map_err(|_| Defect::Encoding(name))?;
    if event.encode_log_data() == *data { Ok(event) } else { Err(Defect::Encoding(name)) }
}

fn within(what: &'static str, length: usize, min: usize, max: usize) -> Result<(), Defect> {
    if (min..=max).contains(&length) { Ok(()) } else { Err(Defect::Length(what)) }
}

fn bitmap(nodes: U256) -> Result<U256, Defect> {
    if nodes >> MAX_COMMITTEE == U256::ZERO { Ok(nodes) } else { Err(Defect::Bitmap) }
}

fn consilium(log: &Log) -> Result<Event, Defect> {
    match *log.topic0().ok_or(Defect::UnknownEvent)? {
        C::StudyCreated::SIGNATURE_HASH => study_created(log),
        C::ConditionsSet::SIGNATURE_HASH => conditions_set(log),
        C::RewardsSet::SIGNATURE_HASH => rewards_set(log),
        C::SponsorChanged::SIGNATURE_HASH => {
            strictly::<C::SponsorChanged>(log).map(|e| Event::SponsorChanged { study: e.study, sponsor: e.sponsor })
        }
        C::CommitteeFormed::SIGNATURE_HASH => committee_formed(log),
        C::SitesAdmitted::SIGNATURE_HASH => sites_admitted(log),
        C::PolicySet::SIGNATURE_HASH => policy_set(log),
        C::OperatorChanged::SIGNATURE_HASH => {
            strictly::<C::OperatorChanged>(log).map(|e| Event::OperatorChanged { study: e.study, operator: e.operator })
        }
        C::Paused::SIGNATURE_HASH => {
            strictly::<C::Paused>(log).map(|e| Event::Paused { study: e.study, from: e.from, until: e.until })
        }
        C::StudyEnded::SIGNATURE_HASH => strictly::<C::StudyEnded>(log).map(|e| Event::StudyEnded { study: e.study }),
        C::RoundOpened::SIGNATURE_HASH => round_opened(log).map(Event::RoundOpened),
        C::RoundCertified::SIGNATURE_HASH => round_certified(log),
        C::VotesAdded::SIGNATURE_HASH => votes_added(log),
        C::RoundSettled::SIGNATURE_HASH => round_settled(log),
        C::RoundVoided::SIGNATURE_HASH => {
            strictly::<C::RoundVoided>(log).map(|e| Event::RoundVoided { study: e.study, round: e.round })
        }
        C::RoundAbandoned::SIGNATURE_HASH => {
            strictly::<C::RoundAbandoned>(log).map(|e| Event::RoundAbandoned { study: e.study, round: e.round })
        }
        C::RoundRefuted::SIGNATURE_HASH => {
            strictly::<C::RoundRefuted>(log).map(|e| Event::RoundRefuted { study: e.study, round: e.round })
        }
        C::RoundFraudulent::SIGNATURE_HASH => {
            strictly::<C::RoundFraudulent>(log).map(|e| Event::RoundFraudulent { study: e.study, round: e.round })
        }
        _ => Err(Defect::UnknownEvent),
    }
}

fn study_created(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::StudyCreated>(log)?;
    let terms = e.terms;
    within("the program's name", terms.program.len(), 1, MAX_NAME)?;
    within("the program's parameters", terms.parameters.len(), 1, MAX_PARAMETERS)?;
    within("the finality rule", terms.finality.len(), 1, MAX_NAME)?;
    within("the unit of weights", terms.weightUnit.len(), 0, MAX_NAME)?;
    let terms = StudyTerms {
        kind: terms.kind,
        program: terms.program,
        parameters: terms.parameters,
        output_length: terms.outputLength,
        weight_unit: terms.weightUnit,
        description: terms.description,
        threshold: terms.threshold,
        minimum_cohort: terms.minimumCohort,
        finality: terms.finality,
        sites_root: terms.sitesRoot,
        sites_uri: terms.sitesUri,
    };
    Ok(Event::StudyCreated { study: e.study, sponsor: e.sponsor, terms })
}

fn conditions_set(log: &Log) -> Result<Event, Defect> {
    let C::ConditionsSet { study, conditions: set } = strictly(log)?;
    let conditions = Conditions {
        currency: set.currency,
        budget: U256::from(set.budget),
        node_share: set.nodeShare,
        bond: U256::from(set.bond),
        newcomers: set.newcomers,
        challenge_window: set.challengeWindow,
        ring: set.ring,
        guardian: set.guardian,
        source: set.source,
        privacy_account: set.privacyAccount,
        privacy_cost: set.privacyCost,
    };
    Ok(Event::ConditionsSet { study, conditions })
}

fn rewards_set(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::RewardsSet>(log)?;
    Ok(Event::RewardsSet { study: e.study, version: e.version, budget: U256::from(e.budget), node_share: e.nodeShare })
}

fn committee_formed(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::CommitteeFormed>(log)?;
    within("the committee", e.nodes.len(), 1, MAX_COMMITTEE)?;
    within("the list of KEM key hashes", e.kemKeyHashes.len(), e.nodes.len(), e.nodes.len())?;
    Ok(Event::CommitteeFormed {
        study: e.study,
        epoch: e.epoch,
        threshold: e.threshold,
        nodes: e.nodes,
        kem_key_hashes: e.kemKeyHashes,
    })
}

fn sites_admitted(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::SitesAdmitted>(log)?;
    within("the list of sites", e.sites.len(), 0, MAX_SITES)?;
    let sites = SitesList::published(e.sites, e.uri)?;
    Ok(Event::SitesAdmitted { study: e.study, version: e.version, sites_root: e.sitesRoot, sites })
}

fn policy_set(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::PolicySet>(log)?;
    within("the finality rule", e.finality.len(), 1, MAX_NAME)?;
    Ok(Event::PolicySet { study: e.study, minimum_cohort: e.minimumCohort, finality: e.finality })
}

fn round_opened(log: &Log) -> Result<RoundOpened, Defect> {
    let e = strictly::<C::RoundOpened>(log)?;
    within("the finality rule", e.finality.len(), 1, MAX_NAME)?;
    let opened = RoundOpened {
        study: e.study,
        round: e.round,
        subject: e.subject,
        epoch: e.epoch,
        minimum_cohort: e.minimumCohort,
        sites_root: e.sitesRoot,
        finality: e.finality,
        deadline: e.deadline,
        settle_by: e.settleBy,
        opened: e.opened,
        frozen: e.frozen,
    };
    if opened.frozen_hash() == opened.frozen { Ok(opened) } else { Err(Defect::Frozen) }
}

impl RoundOpened {
    /// The hash of everything that the round froze, as the contract computes it.
    #[must_use]
    pub fn frozen_hash(&self) -> B256 {
        let frozen = (
            (self.study, self.round, self.subject),
            (self.epoch, self.minimum_cohort, self.sites_root),
            self.finality.clone(),
            (self.opened, self.deadline, self.settle_by),
        );
        // Static tuples are laid out in place, so nesting them changes nothing.
        keccak256(frozen.abi_encode_params())
    }
}

fn round_certified(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::RoundCertified>(log)?;
    let voters = bitmap(e.voters)?;
    let length = 65 * voters.count_ones();
    within("the list of votes", e.signatures.len(), length, length)?;
    let (set_root, signatures) = (e.setRoot, e.signatures);
    Ok(Event::RoundCertified { study: e.study, round: e.round, set_root, size: e.size, voters, signatures })
}

fn votes_added(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::VotesAdded>(log)?;
    let voters = bitmap(e.voters)?;
    let length = 65 * voters.count_ones();
    within("the list of votes", e.signatures.len(), length, length)?;
    Ok(Event::VotesAdded { study: e.study, round: e.round, voters, signatures: e.signatures })
}

fn round_settled(log: &Log) -> Result<Event, Defect> {
    let e = strictly::<C::RoundSettled>(log)?;
    within("the list of share roots", e.shareRoots.len(), 1, MAX_COMMITTEE)?;
    Ok(Event::RoundSettled {
        study: e.study,
        round: e.round,
        set_root: e.setRoot,
        share_roots: e.shareRoots,
        aggregate_root: e.aggregateRoot,
        reward_root: e.rewardRoot,
        signers: bitmap(e.signers)?,
    })
}
