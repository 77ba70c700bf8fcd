//! Sections 6.4 to 6.6: propose, vote, certify.

use super::{Effect, Message, Round, SUBMIT_MILLIS, SignedVote, Stage, Statement};
use crate::certify::{Cohort, SetMember};
use crate::eip712::{Signed, SignerSet, Vote};
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};

/// Omitted sites of which a proposer is told at once: it proposes again, and is told of further ones then.
const OMITTED: usize = 1024;

/// The number under which the set that the chain shows stands among those of proposers.
const CHAIN: usize = 0;

/// Sites in all the sets that a peer is sent at once when it asks for what it lacks: about half a megabyte.
const SITES: usize = 4096;

/// Proposals and votes.
#[derive(Debug, Clone, Default)]
pub(super) struct Agreed {
    /// Sets by root: the latest of each proposer, those that this node voted for, and the certified one.
    cohorts: BTreeMap<B256, Cohort>,
    /// The latest proposal of each node.
    proposals: BTreeMap<usize, B256>,
    /// Votes by set root and size, then by node.
    votes: BTreeMap<(B256, u32), BTreeMap<usize, Signed>>,
    /// Roots that this node has asked to sign, or signed.
    voted: BTreeSet<B256>,
    /// How many different sets of each proposer this node voted for.
    voted_for: BTreeMap<usize, u64>,
    proposed_at: Option<u64>,
    quorum_at: Option<u64>,
    submitted_at: Option<u64>,
}

impl Agreed {
    pub(super) fn restore(&mut self, sets: Vec<Cohort>) {
        self.cohorts.extend(sets.into_iter().map(|set| (set.root(), set)));
    }

    pub(super) fn cohort(&self, root: &B256) -> Option<&Cohort> {
        self.cohorts.get(root)
    }

    /// What a peer may have missed: the certified set, the proposals and the votes. Of sets that are large together only
    /// one, the one whose turn it is, if any.
    pub(super) fn messages(&self, certified: Option<B256>, turn: Option<usize>) -> Vec<Message> {
        let certified = certified.into_iter().map(|root| (None, root));
        let sets: Vec<_> = certified.chain(self.proposals.iter().map(|(&node, &root)| (Some(node), root))).collect();
        let sizes = sets.iter().filter_map(|(_, root)| self.cohorts.get(root)).map(|cohort| cohort.members().len());
        let all = sizes.sum::<usize>() <= SITES;
        let chosen = |place: usize| all || turn.is_some_and(|turn| turn % sets.len() == place);
        let sets =
            sets.iter().enumerate().filter(|(place, _)| chosen(*place)).filter_map(|(_, (proposer, root))| match proposer {
                Some(node) => self.proposal(*node, root),
                None => self.cohorts.get(root).cloned().map(Message::Cohort),
            });
        let votes = self.votes.iter().flat_map(|(&(set_root, size), votes)| {
            votes.iter().map(move |(&node, &signature)| Message::Vote(SignedVote { node, set_root, size, signature }))
        });
        sets.chain(votes).collect()
    }

    /// Whether this very vote was accepted before.
    pub(super) fn knows(&self, vote: &SignedVote) -> bool {
        let votes = self.votes.get(&(vote.set_root, vote.size));
        votes.and_then(|votes| votes.get(&vote.node)) == Some(&vote.signature)
    }

    /// How many nodes voted for exactly this set, as far as this node knows.
    pub(super) fn voters(&self, root: B256, size: u32) -> usize {
        self.votes.get(&(root, size)).map_or(0, BTreeMap::len)
    }

    fn proposal(&self, node: usize, root: &B256) -> Option<Message> {
        let cohort = self.cohorts.get(root)?;
        let signature = *self.votes.get(&(*root, cohort.size()))?.get(&node)?;
        let vote = SignedVote { node, set_root: *root, size: cohort.size(), signature };
        Some(Message::Proposal { cohort: cohort.clone(), vote })
    }
}

impl Round {
    /// The moment from which sets are proposed: the scheduled cutoff, or earlier when every admitted site is certified.
    fn cutoff(&self) -> u64 {
        let scheduled = self.scheduled();
        self.collected.complete_at().map_or(scheduled, |complete| complete.min(scheduled))
    }

    /// The scheduled cutoff; for a node that saw the round too late to judge its age, not before half of the time from then to
    /// the deadline: an endpoint that stalls, then shows a false opening time, must not close the round early.
    fn scheduled(&self) -> u64 {
        let of_latecomer = self.late_since.map_or(0, |seen| (seen + self.terms.deadline_millis()) / 2);
        self.terms.cutoff_millis().max(of_latecomer)
    }

    /// A view of the time that this node has from its scheduled cutoff to the deadline: t+2 of them fit, so that an honest one
    /// among latecomers leads too.
    fn view(&self) -> u64 {
        self.terms.view_millis_from(self.scheduled())
    }

    /// Δ of that time.
    fn delta(&self) -> u64 {
        self.view() / 5
    }

    pub(super) fn advance_agreement(&mut self, effects: &mut Vec<Effect>) {
        // Votes for a set that the chain shows as certified are of use after the certificate too: with Q of them others
        // can go on.
        if let Some(root) = self.certificate.as_ref().map(|certificate| certificate.set_root) {
            self.vote(CHAIN, root, effects);
        }
        if self.stage != Stage::Collecting {
            return;
        }
        self.propose(effects);
        for (proposer, root) in self.agreed.proposals.clone() {
            self.vote(proposer, root, effects);
        }
        self.submit_certificate(effects);
    }

    /// In its view and after, a node proposes all contributions with a certificate, and again when there are more.
    fn propose(&mut self, effects: &mut Vec<Effect>) {
        let my_view = self.cutoff() + self.terms.rank(self.me) * self.view();
        let pause_over = self.agreed.proposed_at.is_none_or(|at| self.now >= at + self.terms.delta_millis());
        if self.now < my_view || !pause_over {
            return;
        }
        let members: Vec<SetMember> = self.collected.unambiguous().map(|(member, _)| *member).collect();
        let Ok(cohort) = Cohort::new(members) else { return };
        let root = cohort.root();
        let proposed = self.agreed.proposals.get(&self.me) == Some(&root);
        if self.terms.allows(&cohort) && self.holds(&cohort) && !proposed {
            self.agreed.proposed_at = Some(self.now);
            self.adopt(self.me, root, cohort);
            if self.agreed.voted.contains(&root) {
                // Somebody else proposed it, perhaps not to everyone.
                let again = self.agreed.proposal(self.me, &root);
                effects.extend(again.map(|message| Effect::Send { to: None, message }));
            } else {
                self.sign_vote(root, effects);
            }
        }
    }

    fn holds(&self, cohort: &Cohort) -> bool {
        cohort.members().iter().all(|member| self.collected.held.contains(member))
    }

    /// Keeps a proposed set; the proposer's previous one goes, unless somebody else proposed it too or this node voted
    /// for it: a set with votes may yet be certified, and somebody must know its members then.
    fn adopt(&mut self, node: usize, root: B256, cohort: Cohort) {
        let previous = self.agreed.proposals.insert(node, root);
        self.agreed.cohorts.insert(root, cohort);
        if let Some(previous) = previous.filter(|previous| *previous != root) {
            let certified = self.certificate.as_ref().is_some_and(|c| c.set_root == previous);
            let voted = self.agreed.voted.contains(&previous);
            if !certified && !voted && !self.agreed.proposals.values().any(|other| *other == previous) {
                self.agreed.cohorts.remove(&previous);
            }
        }
    }

    pub(super) fn on_proposal(&mut self, cohort: Cohort, vote: &SignedVote, effects: &mut Vec<Effect>) {
        let root = cohort.root();
        if vote.set_root != root || vote.size != cohort.size() || !self.terms.allows(&cohort) {
            return;
        }
        if self.agreed.proposals.get(&vote.node) != Some(&root) {
            self.progressed();
        }
        self.adopt(vote.node, root, cohort);
        self.send_omitted(vote.node, &root, effects);
        self.record_vote(vote);
    }

    /// A set without a proposer: kept only when it is the one that the chain certified.
    pub(super) fn on_cohort(&mut self, cohort: Cohort) {
        let root = cohort.root();
        let certified = self.certificate.as_ref().is_some_and(|c| c.set_root == root && c.size == cohort.size());
        if certified && self.terms.allows(&cohort) && self.agreed.cohorts.insert(root, cohort).is_none() {
            self.progressed();
        }
    }

    /// Keeps a vote; of each node only those for sets that somebody proposes now, that this node voted for or that the chain
    /// shows as certified, and one for each, the latest, whatever sizes it names beside the certified one: so memory stays
    /// bounded.
    pub(super) fn record_vote(&mut self, vote: &SignedVote) {
        let certified = self.certificate.as_ref().map(|certificate| (certificate.set_root, certificate.size));
        let of_chain = certified.as_ref().map(|(root, _)| root);
        let live: BTreeSet<B256> = self.agreed.proposals.values().chain(&self.agreed.voted).chain(of_chain).copied().collect();
        let (node, key) = (vote.node, (vote.set_root, vote.size));
        for (known, votes) in &mut self.agreed.votes {
            let lives = if known.0 == key.0 { *known == key || Some(*known) == certified } else { live.contains(&known.0) };
            if !lives {
                votes.remove(&node);
            }
        }
        self.agreed.votes.retain(|_, votes| !votes.is_empty());
        self.agreed.votes.entry(key).or_default().insert(node, vote.signature);
    }

    pub(super) fn record_own_vote(&mut self, vote: &Vote, signature: Signed) -> Option<Message> {
        let signed = SignedVote { node: self.me, set_root: vote.setRoot, size: vote.size, signature };
        self.agreed.voted.insert(vote.setRoot);
        self.record_vote(&signed);
        let proposed_by_me = self.agreed.proposals.get(&self.me) == Some(&vote.setRoot);
        match self.agreed.cohorts.get(&vote.setRoot).filter(|_| proposed_by_me) {
            Some(cohort) => Some(Message::Proposal { cohort: cohort.clone(), vote: signed }),
            None => Some(Message::Vote(signed)),
        }
    }

    /// From the cutoff on, votes for a proposed set if every member is held and certified here and nothing is omitted
    /// that must not be.
    fn vote(&mut self, proposer: usize, root: B256, effects: &mut Vec<Effect>) {
        if self.now < self.cutoff() || self.agreed.voted_for.get(&proposer) >= Some(&self.most_votes()) {
            return;
        }
        let Some(cohort) = self.agreed.cohorts.get(&root) else { return };
        let certified = cohort.members().iter().all(|member| self.collected.certificates().contains_key(member));
        if !self.agreed.voted.contains(&root) && certified && self.holds(cohort) && self.omitted(cohort).is_empty() {
            *self.agreed.voted_for.entry(proposer).or_default() += 1;
            self.sign_vote(root, effects);
        }
    }

    /// An honest proposer has a new set at most once in Δ, until the deadline; more are not voted for, as every set that was
    /// voted for is kept.
    fn most_votes(&self) -> u64 {
        let delta = self.terms.delta_millis().max(1);
        1000 * self.terms.policy.deadline.saturating_sub(self.terms.policy.opened) / delta + 1
    }

    /// Certificates that a set leaves out although they were known Δ before the scheduled cutoff; none at all may be
    /// left out when the round is closed early.
    fn omitted(&self, cohort: &Cohort) -> Vec<SetMember> {
        let scheduled = self.scheduled();
        let bound = scheduled.saturating_sub(self.delta());
        let all = self.collected.complete_at().is_some_and(|complete| complete <= scheduled);
        let binding = self.collected.unambiguous().filter(|(_, at)| all || **at <= bound);
        binding.map(|(member, _)| *member).filter(|member| !cohort.contains(member)).collect()
    }

    fn send_omitted(&self, to: usize, root: &B256, effects: &mut Vec<Effect>) {
        let Some(cohort) = self.agreed.cohorts.get(root) else { return };
        let omitted = self.omitted(cohort);
        let receipts = omitted.iter().take(OMITTED).flat_map(|member| self.collected.receipts_of(&member.site));
        let receipts: Vec<_> = receipts.collect();
        if !receipts.is_empty() && to != self.me {
            effects.push(Effect::Send { to: Some(to), message: Message::Receipts(receipts) });
        }
    }

    fn sign_vote(&mut self, root: B256, effects: &mut Vec<Effect>) {
        let Some(cohort) = self.agreed.cohorts.get(&root) else { return };
        self.agreed.voted.insert(root);
        let vote = Vote { study: self.terms.study, round: self.terms.round, setRoot: root, size: cohort.size() };
        effects.push(Effect::KeepSet(cohort.clone()));
        effects.push(Effect::Sign(Statement::Vote(vote)));
    }

    /// With Q votes the first-ranked node sends the certificate, the others after it one by one if nothing happens.
    fn submit_certificate(&mut self, effects: &mut Vec<Effect>) {
        let quorum = self.terms.committee.sizes().quorum();
        let Some((&(set_root, size), votes)) = self.agreed.votes.iter().find(|(_, votes)| votes.len() >= quorum) else { return };
        let due = *self.agreed.quorum_at.get_or_insert(self.now) + self.terms.rank(self.me) * SUBMIT_MILLIS;
        let again =
            self.agreed.submitted_at.is_none_or(|at| self.now >= at + self.terms.committee.sizes().n() as u64 * SUBMIT_MILLIS);
        if self.now >= due && again {
            self.agreed.submitted_at = Some(self.now);
            effects.push(Effect::Certify { set_root, size, votes: SignerSet::collect(votes) });
        }
    }
}
