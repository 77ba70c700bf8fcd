//! What a node sees of the chain: through an honest endpoint, a lying one, or both.

use crate::keys::Keys;
use crate::ledger::{Certified, Ledger};
use crate::scenario::{Defect, Lie, NodeRole};
use crate::work::addresses;
use alloy_primitives::B256;
use consilium_core::certify::Cohort;
use consilium_core::eip712::Vote;
use consilium_core::round::{ChainEvent, Event, Message, Round, SignedVote};

/// What a node has been told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    certificate: Option<Certified>,
    is_final: bool,
    settled: bool,
    /// Whether a settlement was shown that was not final when it was.
    paused: bool,
    closed: bool,
    /// The set that its lying endpoint shows.
    lie: Option<Cohort>,
}

/// A node's endpoints.
pub(crate) struct View<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) role: NodeRole,
}

impl View<'_> {
    /// What is new since the last look, as events for the machine.
    pub(crate) fn news(&self, told: &mut Told, round: &Round, now: u64) -> Vec<Event> {
        let mut events = Vec::new();
        let number = round.terms().round;
        let lying = self.lies().is_some();
        if lying && told.lie.is_none() {
            told.lie = lie(round, now);
        }
        let shown = match &told.lie {
            Some(set) => Some(forge(set, round)),
            None => self.ledger.certificate(number).filter(|_| !lying).cloned(),
        };
        if told.certificate != shown && !told.is_final {
            if told.certificate.take().is_some() {
                events.push(Event::Chain(ChainEvent::CertificateGone));
            }
            if let Some(Certified { set_root, size, voters, votes, .. }) = shown.clone() {
                let votes = if self.lies() == Some(Lie::Votes) { forged_votes(round, set_root, size) } else { votes };
                events.push(Event::Chain(ChainEvent::Certified { set_root, size, voters: addresses(&voters), votes }));
                let shown = told.lie.clone().and_then(|set| round.checked(Message::Cohort(set)));
                events.extend(shown.map(|message| Event::Message { from: 1, message }));
            }
            told.certificate = shown;
        }
        // Two endpoints that disagree: nothing is final.
        let agreed = self.role != NodeRole::LiedToByOne;
        let settles = told.certificate.as_ref().is_some_and(|seen| lying || self.ledger.is_final(seen.number));
        if agreed && settles && !told.is_final {
            told.is_final = true;
            events.push(Event::Chain(ChainEvent::CertificateFinal));
        }
        if !lying {
            self.outcome(told, round, now, &mut events);
        }
        events
    }

    /// What this node's endpoint invents, if it lies.
    fn lies(&self) -> Option<Lie> {
        match self.role {
            NodeRole::LiedTo(lie) => Some(lie),
            NodeRole::LiedToByOne | NodeRole::Broken(Defect::BelievesCertificates) => Some(Lie::Certificate),
            _ => None,
        }
    }

    fn outcome(&self, told: &mut Told, round: &Round, now: u64, events: &mut Vec<Event>) {
        let terms = round.terms();
        let shown = self.ledger.settlement(terms.round);
        if shown.is_some() != told.paused && !told.settled {
            told.paused = shown.is_some();
            events.push(Event::Chain(if told.paused { ChainEvent::Paused } else { ChainEvent::Resumed }));
        }
        let settled = shown.filter(|settled| self.ledger.is_final(settled.number));
        if let Some(settled) = settled.filter(|_| !told.settled) {
            told.settled = true;
            let (share_roots, aggregate_root) = (settled.share_roots.clone(), settled.aggregate_root);
            events.push(Event::Chain(ChainEvent::Settled { share_roots, aggregate_root }));
        }
        let limit = if told.certificate.is_some() { terms.policy.settle_by } else { terms.policy.deadline };
        if now / 1000 >= limit && !told.settled && !told.closed && self.ledger.settlement(terms.round).is_none() {
            told.closed = true;
            events.push(Event::Chain(ChainEvent::Closed));
        }
    }
}

/// Another set that could have been certified: what the node holds, without its last member.
fn lie(round: &Round, now: u64) -> Option<Cohort> {
    let mut members: Vec<_> = round.accepted().iter().copied().collect();
    members.dedup_by_key(|member| member.site);
    let enough = members.len() as u64 > round.terms().policy.minimum_cohort;
    members.pop();
    let due = now >= round.terms().policy.opened * 1000 + 1_500;
    Cohort::new(members).ok().filter(|_| enough && due)
}

fn forge(set: &Cohort, round: &Round) -> Certified {
    let voters = (1..=round.terms().committee.sizes().quorum()).collect();
    Certified { block: B256::repeat_byte(6), number: 0, set_root: set.root(), size: set.size(), voters, votes: Vec::new() }
}

/// The vote of one node, under the names of a quorum.
fn forged_votes(round: &Round, set_root: B256, size: u32) -> Vec<SignedVote> {
    let terms = round.terms();
    let said = Vote { study: terms.study, round: terms.round, setRoot: set_root, size };
    let signature = terms.domain.sign(&Keys::get().node(1).signing, &said);
    (1..=terms.committee.sizes().quorum()).map(|node| SignedVote { node, set_root, size, signature }).collect()
}
