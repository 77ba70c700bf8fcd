//! Section 6.14: what keeps a node whose disk was restored from an older copy from saying two things.
//!
//! Before a statement leaves of which a node may make only one, enough others have written down that it will
//! (`Intent -> Acknowledged`). Any two such sets of others share an honest one, which acknowledges the first intent of a
//! slot only. After a start a node asks the others what they hold of it (`Recall -> Recalled`) and signs nothing before
//! n-t-1 have answered.

use super::{Effect, IntentKind, Message, Round, SignedIntent, SignedReceipt, Statement};
use crate::certify::SetMember;
use crate::eip712::{Intent, Receipt, Signed};
use alloy_primitives::{Address, B256};
use alloy_sol_types::SolStruct;
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds after which a node asks again for what others hold of it, and for acknowledgements.
const ASK_MILLIS: u64 = 250;
/// As often the pause between questions that nobody answers doubles: up to a minute.
const SLOWER: u32 = 8;
/// Milliseconds between answers to one peer's `Recall`s.
const ANSWER_MILLIS: u64 = 50;
/// Receipts in one answer to a `Recall`: under a megabyte and a half.
const PAGE: usize = 4096;

/// What this node and others are about to say.
#[derive(Debug, Clone, Default)]
pub(super) struct Intents {
    /// This node's own: it says this and nothing else.
    own: BTreeMap<IntentKind, SignedIntent>,
    /// Intents that were given to the journal.
    asked: BTreeSet<IntentKind>,
    /// Peers that hold this node's intent.
    acknowledged: BTreeMap<IntentKind, BTreeSet<usize>>,
    /// The first intent of each peer for each slot.
    held: BTreeMap<(usize, IntentKind), SignedIntent>,
    asked_at: BTreeMap<IntentKind, u64>,
}

/// What others hold of this node.
#[derive(Debug, Clone)]
pub(super) struct Recollection {
    /// Names this start.
    start: B256,
    /// Peers that have told all.
    answered: BTreeSet<usize>,
    /// From which site on each peer is asked next.
    pages: BTreeMap<usize, Address>,
    asked_at: Option<u64>,
    /// How often everybody was asked without an answer: peers that are away, or have closed the round, are asked less and less.
    unanswered: u32,
    /// When each peer's question was answered last, and about which start.
    answers: BTreeMap<usize, (u64, B256)>,
}

impl Intents {
    pub(super) fn restore(&mut self, held: Vec<SignedIntent>) {
        self.held.extend(held.into_iter().map(|intent| ((intent.node, intent.kind), intent)));
    }
}

impl Recollection {
    pub(super) fn new(start: B256) -> Self {
        Self { start, answered: BTreeSet::new(), pages: BTreeMap::new(), asked_at: None, unanswered: 0, answers: BTreeMap::new() }
    }
}

impl Round {
    /// Whether enough others have told what they hold of this node since it was started.
    #[must_use]
    pub fn is_recovered(&self) -> bool {
        let (answered, needed) = self.recalled();
        answered >= needed
    }

    /// How many others have told what they hold of this node since it was started, and how many have to before it signs.
    #[must_use]
    pub fn recalled(&self) -> (usize, usize) {
        let sizes = self.terms.committee.sizes();
        (self.recollection.answered.len(), sizes.n() - sizes.t() - 1)
    }

    /// Asks others for what they hold of this node, until it is recovered.
    pub(super) fn recall(&mut self, effects: &mut Vec<Effect>) {
        let pause = ASK_MILLIS << self.recollection.unanswered.saturating_sub(1).min(SLOWER);
        let due = self.recollection.asked_at.is_none_or(|at| self.now >= at + pause);
        if self.is_recovered() || !due {
            return;
        }
        self.recollection.asked_at = Some(self.now);
        self.recollection.unanswered = self.recollection.unanswered.saturating_add(1);
        for node in (1..=self.terms.committee.sizes().n()).filter(|node| *node != self.me) {
            self.recall_of(node, effects);
        }
    }

    fn recall_of(&self, node: usize, effects: &mut Vec<Effect>) {
        if !self.recollection.answered.contains(&node) {
            let from = self.recollection.pages.get(&node).copied();
            let message = Message::Recall { start: self.recollection.start, from };
            effects.push(Effect::Send { to: Some(node), message });
        }
    }

    /// Answers at any time, also while this node recovers itself: else nodes that start together wait for each other.
    pub(super) fn on_recall(&mut self, from: usize, start: B256, page: Option<Address>, effects: &mut Vec<Effect>) {
        let known = from != self.me && (1..=self.terms.committee.sizes().n()).contains(&from);
        let last = self.recollection.answers.get(&from).copied();
        if !known || last.is_some_and(|(at, _)| self.now < at + ANSWER_MILLIS) {
            return;
        }
        self.recollection.answers.insert(from, (self.now, start));
        let intents = self.intents.held.iter().filter(|((node, _), _)| *node == from).map(|(_, intent)| intent.clone());
        let (receipts, next) = self.collected.receipts_by(from, page, PAGE);
        let message = Message::Recalled { start, from: page, intents: intents.collect(), receipts, next };
        effects.push(Effect::Send { to: Some(from), message });
        // The peer has just come up: it may answer now what it did not hear before.
        if last.is_none_or(|(_, known)| known != start) && !self.is_recovered() {
            self.recall_of(from, effects);
        }
    }

    /// Takes up what a peer holds of this node; other nodes' statements in the answer count for nothing.
    pub(super) fn on_recalled(&mut self, from: usize, answer: &Answer, effects: &mut Vec<Effect>) {
        let asked = self.recollection.pages.get(&from).copied();
        if answer.start != self.recollection.start || answer.from != asked || from == self.me {
            return;
        }
        self.recollection.unanswered = 0;
        let me = self.me;
        for intent in answer.intents.iter().filter(|intent| intent.node == me) {
            self.adopt_intent(intent, effects);
        }
        for receipt in answer.receipts.iter().filter(|receipt| receipt.node == me) {
            self.adopt_receipt(receipt, effects);
        }
        match answer.next {
            // Pages go forward, so that a liar cannot keep this node asking.
            Some(next) if asked.is_none_or(|asked| asked < next) => {
                self.recollection.pages.insert(from, next);
                self.recall_of(from, effects);
            }
            _ => {
                self.progressed();
                self.recollection.answered.insert(from);
            }
        }
    }

    /// An own receipt that this node does not know: its disk is older than the receipt. The journal gets it back.
    fn adopt_receipt(&mut self, receipt: &SignedReceipt, effects: &mut Vec<Effect>) {
        let SetMember { site, digest } = receipt.member;
        if self.terms.admits(&site) && !self.collected.has_receipt_of(&site, self.me) {
            let said = Receipt { study: self.terms.study, round: self.terms.round, site, digest };
            self.record_receipt(receipt);
            effects.push(Effect::Sign(Statement::Receipt(said)));
        }
    }

    /// An own intent that this node does not know: from now on it can say nothing else in that slot.
    fn adopt_intent(&mut self, intent: &SignedIntent, effects: &mut Vec<Effect>) {
        if self.intents.own.contains_key(&intent.kind) {
            return;
        }
        self.intents.own.insert(intent.kind, intent.clone());
        self.intents.asked.insert(intent.kind);
        let (subject, set_root) = (self.terms.subject, intent.set_root);
        effects.push(Effect::Sign(Statement::Intent { intent: intent.statement(&self.terms), subject, set_root }));
    }

    /// Signs a statement of which a node may make only one, once enough others know that it will. Called again until then.
    pub(super) fn sign_once(&mut self, kind: IntentKind, statement: Statement, hash: B256, effects: &mut Vec<Effect>) {
        let Some(set_root) = self.certificate.as_ref().map(|c| c.set_root).filter(|_| self.is_recovered()) else { return };
        let Some(own) = self.intents.own.get(&kind) else {
            if self.intents.asked.insert(kind) {
                let intent = Intent { study: self.terms.study, round: self.terms.round, kind: kind as u8, hash };
                effects.push(Effect::Sign(Statement::Intent { intent, subject: self.terms.subject, set_root }));
            }
            return;
        };
        if own.hash != hash || own.round != self.terms.round {
            return;
        }
        let acknowledged = self.intents.acknowledged.get(&kind).map_or(0, BTreeSet::len);
        if acknowledged < self.terms.committee.sizes().acknowledgements() {
            self.ask_for_acknowledgements(kind, effects);
        } else if self.settling.asked.insert(kind.into()) {
            effects.push(Effect::Sign(statement));
        }
    }

    fn ask_for_acknowledgements(&mut self, kind: IntentKind, effects: &mut Vec<Effect>) {
        let due = self.intents.asked_at.get(&kind).is_none_or(|at| self.now >= at + ASK_MILLIS);
        let Some(own) = self.intents.own.get(&kind).filter(|_| due) else { return };
        self.intents.asked_at.insert(kind, self.now);
        let known = self.intents.acknowledged.get(&kind);
        let others = (1..=self.terms.committee.sizes().n()).filter(|node| *node != self.me);
        for node in others.filter(|node| known.is_none_or(|known| !known.contains(node))) {
            effects.push(Effect::Send { to: Some(node), message: Message::Intent(own.clone()) });
        }
    }

    /// An own intent is in the journal.
    pub(super) fn record_own_intent(&mut self, intent: &Intent, set_root: B256, signature: Signed) {
        let kind = match intent.kind {
            1 => IntentKind::Final,
            2 => IntentKind::ShareRoot,
            _ => IntentKind::Settlement,
        };
        let signed = SignedIntent { node: self.me, round: intent.round, kind, set_root, hash: intent.hash, signature };
        self.intents.asked.insert(kind);
        self.intents.own.entry(kind).or_insert(signed);
    }

    /// A peer is about to sign something. The first intent for a slot is kept, and any other answered with that one; without
    /// looking at the chain, which this node may see later than the peer.
    pub(super) fn on_intent(&mut self, from: usize, intent: SignedIntent, effects: &mut Vec<Effect>) {
        if intent.node != from || from == self.me || intent.round != self.terms.round {
            return;
        }
        match self.intents.held.get(&(from, intent.kind)) {
            Some(held) => effects.push(acknowledge(held.clone())),
            None => effects.push(Effect::Hold(intent)),
        }
    }

    pub(super) fn on_held(&mut self, intent: SignedIntent, effects: &mut Vec<Effect>) {
        let first = self.intents.held.entry((intent.node, intent.kind)).or_insert(intent);
        effects.push(acknowledge(first.clone()));
    }

    /// A peer holds an intent of this node: the one that it asked about, or one that its own disk has forgotten.
    pub(super) fn on_acknowledged(&mut self, from: usize, intent: &SignedIntent, effects: &mut Vec<Effect>) {
        if intent.node != self.me || from == self.me {
            return;
        }
        match self.intents.own.get(&intent.kind) {
            // The hash is what is signed: a liar may have shown this node its own intent with another set root.
            Some(own) if (own.round, own.hash) == (intent.round, intent.hash) => {
                self.progressed();
                self.intents.acknowledged.entry(intent.kind).or_default().insert(from);
            }
            Some(_) => {}
            None => self.adopt_intent(intent, effects),
        }
    }
}

/// What a peer answers to a `Recall`.
pub(super) struct Answer {
    pub(super) start: B256,
    pub(super) from: Option<Address>,
    pub(super) intents: Vec<SignedIntent>,
    pub(super) receipts: Vec<SignedReceipt>,
    pub(super) next: Option<Address>,
}

fn acknowledge(held: SignedIntent) -> Effect {
    Effect::Send { to: Some(held.node), message: Message::Acknowledged(held) }
}

/// The hash by which an intent names a statement.
pub(super) fn hash_of<S: SolStruct>(statement: &S) -> B256 {
    statement.eip712_hash_struct()
}
