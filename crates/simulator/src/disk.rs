//! What survives a node's crash: its journal of signed statements, and the contributions it stored.

use alloy_primitives::{Address, B256};
use consilium_core::certify::{DatedCertificate, SetMember};
use consilium_core::contribution::Contribution;
use consilium_core::eip712::{Domain, SecretKey, Signed};
use consilium_core::round::Statement;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What a node may sign once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Receipt(u64, Address),
    Final(B256),
    ShareRoot(u64),
    Settlement(u64),
}

/// A stored contribution.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) contribution: Contribution,
    pub(crate) header: Rc<[u8]>,
    pub(crate) values: Rc<[u8]>,
}

/// A node's disk. There is one study, so slots need not name it.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    slots: BTreeMap<Slot, Statement>,
    journal: Vec<(u64, Statement, Signed)>,
    certificates: Vec<(u64, DatedCertificate)>,
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
        let signature = match statement {
            Statement::Receipt(receipt) => domain.sign(key, receipt),
            Statement::Vote(vote) => domain.sign(key, vote),
            Statement::Final(statement) => domain.sign(key, statement),
            Statement::ShareRoot(root) => domain.sign(key, root),
            Statement::Settlement(settlement) => domain.sign(key, settlement),
        };
        self.journal.push((round, statement.clone(), signature));
        Some(signature)
    }

    /// Keeps certificates with their times.
    pub(crate) fn keep(&mut self, round: u64, certificates: Vec<DatedCertificate>) {
        self.certificates.extend(certificates.into_iter().map(|certificate| (round, certificate)));
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
    }
}
