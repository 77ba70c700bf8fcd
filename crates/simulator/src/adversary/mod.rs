//! Nodes that deviate. Each file is one adversary: an honest node's shell asks it at every step.
//!
//! [`Corruption`]s are the faults that the protocol must survive. [`Defect`]s are bugs that the oracle must notice.

mod bad_repairs;
mod defects;
mod false_receipts;
mod fickle_leader;
mod flooder;
mod foreign_site;
mod forged_intents;
mod hidden_voter;
mod omitting_leader;
mod replayer;
mod seed_fisher;
mod selective_leader;
mod split_receipts;
mod two_finals;
mod two_share_roots;
mod wrong_rewards;
mod wrong_share;
mod yes_voter;

use crate::draw::Draw;
use crate::scenario::{Corruption, Defect, NodeRole};
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::eip712::SecretKey;
use consilium_core::field::Fp;
use consilium_core::mask::Seed;
use consilium_core::round::{Effect, Message, Round, SignedFinal, SignedReceipt, SignedShareRoot, SignedVote, Verdict};
use consilium_core::terms::Terms;
use std::collections::BTreeMap;

/// What an adversary has at hand: its node's keys and state.
pub(crate) struct Me<'a> {
    pub(crate) node: usize,
    pub(crate) now: u64,
    pub(crate) terms: &'a Terms,
    pub(crate) key: &'a SecretKey,
    pub(crate) round: &'a Round,
    pub(crate) seeds: &'a BTreeMap<SetMember, BTreeMap<usize, Seed>>,
}

/// A way to deviate. The defaults are honest.
pub(crate) trait Mischief: core::fmt::Debug {
    /// What the node does instead of this effect.
    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        vec![effect]
    }
    /// What the node does besides, when it gets a message.
    fn overhear(&mut self, _me: &Me<'_>, _message: &Message) -> Vec<Effect> {
        Vec::new()
    }
    /// What the node does besides, twice a second.
    fn tick(&mut self, _me: &Me<'_>) -> Vec<Effect> {
        Vec::new()
    }
    /// What the node takes a verification's outcome for.
    fn verdict(&mut self, verdict: Verdict) -> Verdict {
        verdict
    }
    /// The output share that the node computes.
    fn compute(&mut self, share: Vec<Fp>) -> Vec<Fp> {
        share
    }
    /// The output share that the node serves.
    fn serve(&mut self, share: Vec<Fp>) -> Vec<Fp> {
        share
    }
}

pub(crate) fn mischief(role: NodeRole, draw: &mut Draw) -> Option<Box<dyn Mischief>> {
    match role {
        NodeRole::Corrupt(corruption) => Some(corrupt(corruption, draw)),
        NodeRole::Broken(defect) => broken(defect),
        _ => None,
    }
}

fn corrupt(corruption: Corruption, draw: &mut Draw) -> Box<dyn Mischief> {
    match corruption {
        Corruption::WrongShare => Box::new(wrong_share::WrongShare { signed: true }),
        Corruption::MismatchedShare => Box::new(wrong_share::WrongShare { signed: false }),
        Corruption::TwoShareRoots => Box::new(two_share_roots::TwoShareRoots),
        Corruption::TwoFinals => Box::new(two_finals::TwoFinals::default()),
        Corruption::FalseReceipts => Box::new(false_receipts::FalseReceipts::default()),
        Corruption::SplitReceipts => Box::new(split_receipts::SplitReceipts::default()),
        Corruption::YesVoter => Box::new(yes_voter::YesVoter::default()),
        Corruption::Replayer => Box::new(replayer::Replayer::new(draw.fork())),
        Corruption::SelectiveLeader => Box::new(selective_leader::SelectiveLeader),
        Corruption::OmittingLeader => Box::new(omitting_leader::OmittingLeader),
        Corruption::FickleLeader => Box::new(fickle_leader::FickleLeader::default()),
        Corruption::Flooder => Box::new(flooder::Flooder),
        Corruption::SeedFisher => Box::new(seed_fisher::SeedFisher),
        Corruption::BadRepairs => Box::new(bad_repairs::BadRepairs),
        Corruption::HiddenVoter => Box::new(hidden_voter::HiddenVoter::default()),
        Corruption::ForgedIntents => Box::new(forged_intents::ForgedIntents),
        Corruption::ForeignSite => Box::new(foreign_site::ForeignSite),
        Corruption::WrongRewards => Box::new(wrong_rewards::WrongRewards),
    }
}

fn broken(defect: Defect) -> Option<Box<dyn Mischief>> {
    let mischief: Box<dyn Mischief> = match defect {
        Defect::HastyRelease => Box::new(defects::HastyRelease),
        Defect::LowerQuorum => Box::new(defects::LowerQuorum::default()),
        Defect::SecondFinal => Box::new(defects::SecondFinal),
        Defect::Believer => Box::new(defects::Believer),
        Defect::CarelessVoter => Box::new(defects::CarelessVoter::default()),
        Defect::LeakySeeds => Box::new(defects::LeakySeeds),
        Defect::OpenSeeds => Box::new(defects::OpenSeeds),
        Defect::Doubler => Box::new(defects::Doubler),
        Defect::Abstainer => Box::new(defects::Abstainer),
        Defect::BelievesCertificates => Box::new(defects::BelievesCertificates::default()),
        // Its shell does.
        Defect::BelievesOpenings => return None,
    };
    Some(mischief)
}

impl Me<'_> {
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let me = self.node;
        (1..=self.terms.committee.sizes().n()).filter(move |node| *node != me)
    }

    pub(crate) fn receipt(&self, member: SetMember) -> Message {
        let node = self.node;
        let empty = SignedReceipt { node, member, signature: self.any_signature() };
        let signature = self.terms.domain.sign(self.key, &empty.statement(self.terms));
        Message::Receipts(vec![SignedReceipt { signature, ..empty }])
    }

    pub(crate) fn vote(&self, set_root: B256, size: u32) -> SignedVote {
        let empty = SignedVote { node: self.node, set_root, size, signature: self.any_signature() };
        let signature = self.terms.domain.sign(self.key, &empty.statement(self.terms));
        SignedVote { signature, ..empty }
    }

    pub(crate) fn proposal(&self, cohort: Cohort) -> Message {
        let vote = self.vote(cohort.root(), cohort.size());
        Message::Proposal { cohort, vote }
    }

    pub(crate) fn a_final(&self, set_root: B256) -> Message {
        let empty = SignedFinal { node: self.node, set_root, signature: self.any_signature() };
        let signature = self.terms.domain.sign(self.key, &empty.statement(self.terms));
        Message::Final(SignedFinal { signature, ..empty })
    }

    pub(crate) fn share_root(&self, set_root: B256, root: B256) -> Message {
        let empty = SignedShareRoot { node: self.node, set_root, root, signature: self.any_signature() };
        let signature = self.terms.domain.sign(self.key, &empty.statement(self.terms));
        Message::ShareRoot(SignedShareRoot { signature, ..empty })
    }

    /// Fills a statement's field until the right one is known.
    fn any_signature(&self) -> consilium_core::eip712::Signed {
        self.key.sign(&B256::ZERO)
    }

    /// Everything that this node holds, without the members that `keep` refuses.
    pub(crate) fn cohort(&self, keep: impl Fn(&SetMember) -> bool) -> Option<Cohort> {
        let mut members: Vec<SetMember> = self.round.accepted().iter().copied().filter(|member| keep(member)).collect();
        members.dedup_by_key(|member| member.site);
        Cohort::new(members).ok()
    }
}

pub(crate) fn to(node: usize, message: Message) -> Effect {
    Effect::Send { to: Some(node), message }
}

pub(crate) fn to_all(message: Message) -> Effect {
    Effect::Send { to: None, message }
}
