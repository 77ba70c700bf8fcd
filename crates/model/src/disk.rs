//! What survives a node's crash, by the rules of a node's data folder (`crates/node/src/store`): a slot holds one
//! statement for ever, and the first intent of each peer.

use alloy_primitives::{Address, B256};
use consilium_core::certify::DatedCertificate;
use consilium_core::round::{IntentKind, SignedIntent, Statement};
use std::collections::BTreeMap;

/// What may be said once. A Final's slot is its subject within a study; all rounds of a model are about one subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Receipt(usize, Address),
    Vote(usize, B256),
    Final(u64),
    ShareRoot(usize),
    Settlement(usize),
    Intent(u64, usize, IntentKind),
}

/// A node's folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk {
    /// Statements with the number of their round.
    statements: BTreeMap<(usize, Slot), (usize, Statement)>,
    certificates: Vec<(usize, DatedCertificate)>,
    held: BTreeMap<(usize, usize, Slot), SignedIntent>,
}

/// Where things are written: the round's number in the model, whose journal it is, and the study.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) place: usize,
    pub(crate) house: usize,
    pub(crate) study: u64,
}

impl At {
    fn slot(self, statement: &Statement) -> Slot {
        match statement {
            Statement::Receipt(said) => Slot::Receipt(self.place, said.site),
            Statement::Vote(said) => Slot::Vote(self.place, said.setRoot),
            Statement::Final(_) => Slot::Final(self.study),
            Statement::ShareRoot(_) => Slot::ShareRoot(self.place),
            Statement::Settlement(_) => Slot::Settlement(self.place),
            Statement::Intent { intent, .. } => self.intent(kind_of(intent.kind)),
        }
    }

    fn intent(self, kind: IntentKind) -> Slot {
        let place = if kind == IntentKind::Final { 0 } else { self.place };
        Slot::Intent(self.study, place, kind)
    }
}

pub(crate) fn kind_of(kind: u8) -> IntentKind {
    match kind {
        1 => IntentKind::Final,
        2 => IntentKind::ShareRoot,
        _ => IntentKind::Settlement,
    }
}

impl Disk {
    /// Whether the statement may be signed: its slot was free or holds the very same one.
    pub(crate) fn enter(&mut self, at: At, statement: &Statement) -> bool {
        let key = (at.house, at.slot(statement));
        let first = self.statements.entry(key).or_insert_with(|| (at.place, statement.clone()));
        first.1 == *statement
    }

    pub(crate) fn keep(&mut self, at: At, certificates: Vec<DatedCertificate>) {
        self.certificates.extend(certificates.into_iter().map(|kept| (at.place, kept)));
    }

    /// The first intent of a peer for its slot.
    pub(crate) fn hold(&mut self, at: At, intent: SignedIntent) -> SignedIntent {
        let key = (at.house, intent.node, at.intent(intent.kind));
        self.held.entry(key).or_insert(intent).clone()
    }

    pub(crate) fn statements_of(&self, at: At) -> Vec<Statement> {
        let here = self.statements.values().filter(|(place, _)| *place == at.place);
        here.map(|(_, statement)| statement.clone()).collect()
    }

    pub(crate) fn certificates_of(&self, at: At) -> Vec<DatedCertificate> {
        let here = self.certificates.iter().filter(|(place, _)| *place == at.place);
        here.map(|(_, kept)| kept.clone()).collect()
    }

    pub(crate) fn intents_of(&self, at: At) -> Vec<SignedIntent> {
        let here = |((house, _, slot), _): &(&(usize, usize, Slot), &SignedIntent)| {
            let kinds = [IntentKind::Final, IntentKind::ShareRoot, IntentKind::Settlement];
            *house == at.house && kinds.iter().any(|kind| *slot == at.intent(*kind))
        };
        self.held.iter().filter(here).map(|(_, intent)| intent.clone()).collect()
    }
}
