//! Bugs that an implementation could have. With any of them the oracle must report a failure.

use super::{Me, Mischief, to, to_all};
use alloy_primitives::{B256, Bytes};
use consilium_core::field::Fp;
use consilium_core::round::{Effect, Message, Statement, Verdict};
use std::collections::BTreeSet;

/// Releases as soon as the certificate is final.
#[derive(Debug)]
pub(super) struct HastyRelease;

impl Mischief for HastyRelease {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        let due = matches!(&effect, Effect::Sign(Statement::Final(_)));
        let release = me.round.certified().filter(|_| due).cloned().map(Effect::Release);
        [effect].into_iter().chain(release).collect()
    }
}

/// Releases with Q-1 Finals.
#[derive(Debug, Default)]
pub(super) struct LowerQuorum {
    finals: BTreeSet<usize>,
    released: bool,
}

impl Mischief for LowerQuorum {
    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        if let Message::Final(signed) = message {
            self.finals.insert(signed.node);
        }
        let own = me.round.finals().iter().any(|signed| signed.node == me.node);
        let enough = own && self.finals.len() + 2 >= me.terms.committee.sizes().quorum();
        match me.round.certified() {
            Some(cohort) if enough && !core::mem::replace(&mut self.released, true) => vec![Effect::Release(cohort.clone())],
            _ => Vec::new(),
        }
    }
}

/// Signs a Final for a second set.
#[derive(Debug)]
pub(super) struct SecondFinal;

impl Mischief for SecondFinal {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match &effect {
            Effect::Send { message: Message::Final(_), .. } => vec![to_all(me.a_final(B256::repeat_byte(7))), effect],
            _ => vec![effect],
        }
    }
}

/// Accepts without verifying.
#[derive(Debug)]
pub(super) struct Believer;

impl Mischief for Believer {
    fn verdict(&mut self, _verdict: Verdict) -> Verdict {
        Verdict::Accepted
    }
}

/// Votes for sets that leave sites out.
#[derive(Debug, Default)]
pub(super) struct CarelessVoter {
    voted: BTreeSet<B256>,
}

impl Mischief for CarelessVoter {
    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        match message {
            Message::Proposal { vote, .. } if self.voted.insert(vote.set_root) => {
                vec![to_all(Message::Vote(me.vote(vote.set_root, vote.size)))]
            }
            _ => Vec::new(),
        }
    }

    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Sign(Statement::Vote(_)) => Vec::new(),
            other => vec![other],
        }
    }
}

/// Gives every seed it has to whoever asks.
#[derive(Debug)]
pub(super) struct LeakySeeds;

impl Mischief for LeakySeeds {
    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        let Message::SeedRequest { member, numbers } = message else { return Vec::new() };
        let Some(held) = me.seeds.get(member) else { return Vec::new() };
        let numbers: Vec<usize> = numbers.iter().copied().filter(|number| held.contains_key(number)).collect();
        me.others().map(|node| Effect::AnswerSeeds { to: node, member: *member, numbers: numbers.clone() }).collect()
    }
}

/// Answers requests for seeds without sealing.
#[derive(Debug)]
pub(super) struct OpenSeeds;

impl Mischief for OpenSeeds {
    fn perform(&mut self, me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        let Effect::AnswerSeeds { to: node, member, numbers } = &effect else { return vec![effect] };
        let Some(held) = me.seeds.get(member) else { return Vec::new() };
        let open = |number: &usize| Some((*number, Bytes::copy_from_slice(held.get(number)?.expose())));
        vec![to(*node, Message::Seeds { member: *member, sealed: numbers.iter().filter_map(open).collect() })]
    }
}

/// Computes twice the sum.
#[derive(Debug)]
pub(super) struct Doubler;

impl Mischief for Doubler {
    fn compute(&mut self, share: Vec<Fp>) -> Vec<Fp> {
        share.into_iter().map(|value| value + value).collect()
    }
}

/// Signs a Final for the set that its endpoint shows, whoever voted for it, and releases when Q nodes have.
#[derive(Debug, Default)]
pub(super) struct BelievesCertificates {
    finals: BTreeSet<usize>,
    signed: bool,
    released: bool,
}

impl Mischief for BelievesCertificates {
    fn tick(&mut self, me: &Me<'_>) -> Vec<Effect> {
        match me.round.certified() {
            Some(cohort) if !core::mem::replace(&mut self.signed, true) => vec![to_all(me.a_final(cohort.root()))],
            _ => Vec::new(),
        }
    }

    fn overhear(&mut self, me: &Me<'_>, message: &Message) -> Vec<Effect> {
        if let Message::Final(said) = message {
            self.finals.insert(said.node);
        }
        let Some(cohort) = me.round.certified().filter(|_| self.signed) else { return Vec::new() };
        let enough = self.finals.len() + 1 >= me.terms.committee.sizes().quorum();
        if enough && !core::mem::replace(&mut self.released, true) { vec![Effect::Release(cohort.clone())] } else { Vec::new() }
    }
}

/// Never votes.
#[derive(Debug)]
pub(super) struct Abstainer;

impl Mischief for Abstainer {
    fn perform(&mut self, _me: &Me<'_>, effect: Effect) -> Vec<Effect> {
        match effect {
            Effect::Sign(Statement::Vote(_)) => Vec::new(),
            other => vec![other],
        }
    }
}
