//! What survives a node's crash: its journal of signed statements, and the contributions it stored.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{Cohort, DatedCertificate, SetMember};
use consilium_core::contribution::Contribution;
use consilium_core::eip712::{Domain, SecretKey, Signed};
use consilium_core::round::{IntentKind, SignedIntent, Statement};
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a node may sign once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Receipt(u64, Address),
    Final(B256),
    ShareRoot(u64),
    Settlement(u64),
    /// Of a Final, by its subject.
    IntentFor(B256),
    /// Of another statement, by its round.
    Intent(u64, u8),
}

/// A stored contribution.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) contribution: Contribution,
    pub(crate) header: Rc<[u8]>,
    pub(crate) values: Rc<[u8]>,
}

/// A node's disk. There is one study, so slots need not name it.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    slots: BTreeMap<Slot, Statement>,
    journal: Vec<(u64, Statement, Signed)>,
    certificates: Vec<(u64, DatedCertificate)>,
    sets: Vec<(u64, Cohort)>,
    /// The first intents of peers: of a Final by its subject, of others by their round.
    held: BTreeMap<(usize, IntentKind, B256, u64), SignedIntent>,
    /// Since when the node knows a round that it saw late, or that it saw it in time.
    sights: BTreeMap<u64, Option<u64>>,
    pub(crate) blobs: BTreeMap<(u64, SetMember), Rc<Blob>>,
}

impl Disk {
    /// Writes a statement down, then signs it; `None` when another one has its slot.
    pub(crate) fn sign(&mut self, domain: &Domain, key: &SecretKey, statement: &Statement) -> Option<Signed> {
        let (round, slot) = place(statement);
        if let Some(slot) = slot {
            let first = self.slots.entry(slot).or_insert_with(|| statement.clone());
            if first != statement {
                return None;
            }
        }
        let signature = statement.sign(domain, key);
        self.journal.push((round, statement.clone(), signature));
        Some(signature)
    }

    /// Keeps certificates with their times.
    pub(crate) fn keep(&mut self, round: u64, certificates: Vec<DatedCertificate>) {
        self.certificates.extend(certificates.into_iter().map(|certificate| (round, certificate)));
    }

    /// Keeps the members of a set.
    pub(crate) fn keep_set(&mut self, round: u64, set: Cohort) {
        self.sets.push((round, set));
    }

    /// The sets that were kept for a round.
    pub(crate) fn sets(&self, wanted: u64) -> Vec<Cohort> {
        self.sets.iter().filter(|(round, _)| *round == wanted).map(|(_, set)| set.clone()).collect()
    }

    /// Keeps a peer's intent unless its slot holds one; the one that it holds.
    pub(crate) fn hold(&mut self, subject: B256, intent: SignedIntent) -> SignedIntent {
        let round = if intent.kind == IntentKind::Final { 0 } else { intent.round };
        self.held.entry((intent.node, intent.kind, subject, round)).or_insert(intent).clone()
    }

    /// The intents that are held for a round about a subject.
    pub(crate) fn held(&self, wanted: u64, about: B256) -> Vec<SignedIntent> {
        let of_slots = self.held.iter().filter(|((_, _, subject, round), _)| *subject == about && [0, wanted].contains(round));
        of_slots.map(|(_, intent)| intent.clone()).collect()
    }

    /// When a round was first seen, if that was too late to judge its age.
    pub(crate) fn sight(&mut self, round: u64, late_since: Option<u64>) -> Option<u64> {
        *self.sights.entry(round).or_insert(late_since)
    }

    /// The certificates that were kept for a round.
    pub(crate) fn certificates(&self, wanted: u64) -> Vec<DatedCertificate> {
        let of_round = self.certificates.iter().filter(|(round, _)| *round == wanted);
        of_round.map(|(_, certificate)| certificate.clone()).collect()
    }

    /// What the journal holds for a round.
    pub(crate) fn journal(&self, wanted: u64) -> Vec<(Statement, Signed)> {
        let of_round = self.journal.iter().filter(|(round, ..)| *round == wanted);
        of_round.map(|(_, statement, signature)| (statement.clone(), *signature)).collect()
    }
}

fn place(statement: &Statement) -> (u64, Option<Slot>) {
    match statement {
        Statement::Receipt(said) => (said.round, Some(Slot::Receipt(said.round, said.site))),
        Statement::Vote(said) => (said.round, None),
        Statement::Final(said) => (said.round, Some(Slot::Final(said.subject))),
        Statement::ShareRoot(said) => (said.round, Some(Slot::ShareRoot(said.round))),
        Statement::Settlement(said) => (said.round, Some(Slot::Settlement(said.round))),
        Statement::Intent { intent, subject, .. } if intent.kind == IntentKind::Final as u8 => {
            (intent.round, Some(Slot::IntentFor(*subject)))
        }
        Statement::Intent { intent, .. } => (intent.round, Some(Slot::Intent(intent.round, intent.kind))),
    }
}
