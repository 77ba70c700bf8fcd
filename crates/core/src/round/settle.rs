//! Sections 6.7 to 6.11: final, release, unmask, settle; and the evidence that contradictions leave behind.

use super::{
    Effect, IntentKind, Message, Offender, Round, SUBMIT_MILLIS, SignedFinal, SignedSettlement, SignedShareRoot, Stage,
    Statement, Unmasked, intent::hash_of,
};
use crate::audit::{Contradicts, Evidence};
use crate::eip712::{Final, Settlement, ShareRoot, SignerSet};
use crate::terms::Terms;
use alloy_primitives::B256;
use std::collections::{BTreeMap, BTreeSet};

/// Statements of the second half of a round, one a node: the first that arrived.
#[derive(Debug, Clone, Default)]
pub(super) struct Settling {
    pub(super) finals: BTreeMap<usize, SignedFinal>,
    pub(super) share_roots: BTreeMap<usize, SignedShareRoot>,
    pub(super) settlements: BTreeMap<usize, SignedSettlement>,
    /// Nodes whose share is on its way.
    pub(super) fetching: BTreeSet<usize>,
    /// Nodes whose share is here.
    shares: BTreeSet<usize>,
    /// How many shares the last attempt to interpolate had.
    tried_with: usize,
    /// The root of this node's own output share, once it is computed.
    released: Option<B256>,
    unmasked: Option<Unmasked>,
    /// The share roots that the chain settled.
    settled: Option<Vec<B256>>,
    pub(super) asked: BTreeSet<Asked>,
    /// Contradictions that were reported: the kind of statement and the node.
    reported: BTreeSet<(Asked, usize)>,
    quorum_at: Option<u64>,
    submitted_at: Option<u64>,
}

/// Effects that are asked for once, and kinds of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asked {
    Final,
    Release,
    ShareRoot,
    Settlement,
}

impl From<IntentKind> for Asked {
    fn from(kind: IntentKind) -> Self {
        match kind {
            IntentKind::Final => Self::Final,
            IntentKind::ShareRoot => Self::ShareRoot,
            IntentKind::Settlement => Self::Settlement,
        }
    }
}

/// A statement with its signature, of which a node may make only one.
pub(super) trait Once: Clone + PartialEq {
    type Statement: Contradicts;
    const KIND: Asked;
    fn node(&self) -> usize;
    fn evidence(&self, terms: &Terms) -> Evidence<Self::Statement>;
    fn kept(settling: &mut Settling) -> &mut BTreeMap<usize, Self>;
    fn offender(node: usize, pair: Box<[Evidence<Self::Statement>; 2]>) -> Offender;
}

impl Once for SignedFinal {
    type Statement = Final;
    const KIND: Asked = Asked::Final;

    fn node(&self) -> usize {
        self.node
    }

    fn evidence(&self, terms: &Terms) -> Evidence<Final> {
        Evidence { statement: self.statement(terms), signature: self.signature }
    }

    fn kept(settling: &mut Settling) -> &mut BTreeMap<usize, Self> {
        &mut settling.finals
    }

    fn offender(node: usize, pair: Box<[Evidence<Final>; 2]>) -> Offender {
        Offender::Finals(node, pair)
    }
}

impl Once for SignedShareRoot {
    type Statement = ShareRoot;
    const KIND: Asked = Asked::ShareRoot;

    fn node(&self) -> usize {
        self.node
    }

    fn evidence(&self, terms: &Terms) -> Evidence<ShareRoot> {
        Evidence { statement: self.statement(terms), signature: self.signature }
    }

    fn kept(settling: &mut Settling) -> &mut BTreeMap<usize, Self> {
        &mut settling.share_roots
    }

    fn offender(node: usize, pair: Box<[Evidence<ShareRoot>; 2]>) -> Offender {
        Offender::ShareRoots(node, pair)
    }
}

impl Once for SignedSettlement {
    type Statement = Settlement;
    const KIND: Asked = Asked::Settlement;

    fn node(&self) -> usize {
        self.node
    }

    fn evidence(&self, terms: &Terms) -> Evidence<Settlement> {
        Evidence { statement: self.statement(terms), signature: self.signature }
    }

    fn kept(settling: &mut Settling) -> &mut BTreeMap<usize, Self> {
        &mut settling.settlements
    }

    fn offender(node: usize, pair: Box<[Evidence<Settlement>; 2]>) -> Offender {
        Offender::Settlements(node, pair)
    }
}

impl Settling {
    pub(super) fn has_aggregate(&self) -> bool {
        self.unmasked.is_some()
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        let finals = self.finals.values().cloned().map(Message::Final);
        let roots = self.share_roots.values().cloned().map(Message::ShareRoot);
        let settlements = self.settlements.values().cloned().map(Message::Settlement);
        finals.chain(roots).chain(settlements).collect()
    }
}

impl Round {
    /// Keeps the first statement of a node that it may make only once, and reports a different second one. Whether this
    /// one is kept.
    pub(super) fn keep_first<S: Once>(&mut self, new: &S, effects: &mut Vec<Effect>) -> bool {
        let (node, said) = (new.node(), new.evidence(&self.terms));
        let known = S::kept(&mut self.settling).get(&node).cloned();
        let reported = self.settling.reported.contains(&(S::KIND, node));
        if reported || known.as_ref() == Some(new) {
            return false;
        }
        let Some(first) = known.map(|known| known.evidence(&self.terms)) else {
            self.progressed();
            S::kept(&mut self.settling).insert(node, new.clone());
            return true;
        };
        if first.statement != said.statement && first.statement.same_slot(&said.statement) {
            self.settling.reported.insert((S::KIND, node));
            effects.push(Effect::Report(S::offender(node, Box::new([first, said]))));
        }
        false
    }

    /// Everything from the Final on, each as soon as what it needs is here. A paused round signs and releases nothing: if
    /// the end that it shows is final, there is nothing to sign, or the settlement lets it catch up.
    pub(super) fn advance_settlement(&mut self, effects: &mut Vec<Effect>) {
        if !matches!(self.stage, Stage::Final | Stage::Settled) || self.is_paused() {
            return;
        }
        let Some(set_root) = self.certificate.as_ref().map(|c| c.set_root) else { return };
        self.sign_final(set_root, effects);
        self.release(set_root, effects);
        self.sign_share_root(set_root, effects);
        self.fetch_shares(set_root, effects);
        self.unmask(effects);
        self.sign_settlement(effects);
        if self.stage == Stage::Final {
            self.submit_settlement(effects);
        }
    }

    fn sign_final(&mut self, set_root: B256, effects: &mut Vec<Effect>) {
        let known_set = self.certified().is_some();
        if known_set && !self.settling.finals.contains_key(&self.me) {
            let Self { terms, .. } = self;
            let statement = Final { study: terms.study, subject: terms.subject, round: terms.round, setRoot: set_root };
            let hash = hash_of(&statement);
            self.sign_once(IntentKind::Final, Statement::Final(statement), hash, effects);
        }
    }

    /// Only on holding Q Finals for the certified set, this node's own among them, and every member of the set.
    fn release(&mut self, set_root: B256, effects: &mut Vec<Effect>) {
        let finals = self.settling.finals.values().filter(|signed| signed.set_root == set_root).count();
        let mine = self.settling.finals.get(&self.me).is_some_and(|signed| signed.set_root == set_root);
        let Some(cohort) = self.certified() else { return };
        let complete = cohort.members().iter().all(|member| self.collected.held.contains(member));
        if finals >= self.terms.committee.sizes().quorum() && mine && complete {
            let cohort = cohort.clone();
            if self.settling.asked.insert(Asked::Release) {
                effects.push(Effect::Release(cohort));
            }
        }
    }

    /// The share of a round that is over is nobody's any more: what was summed may have been wiped meanwhile.
    pub(super) fn on_released(&mut self, root: B256) {
        if self.is_over() {
            return;
        }
        self.progressed();
        self.settling.shares.insert(self.me);
        self.settling.released = Some(root);
    }

    fn sign_share_root(&mut self, set_root: B256, effects: &mut Vec<Effect>) {
        let Some(root) = self.settling.released else { return };
        if !self.settling.share_roots.contains_key(&self.me) {
            let Self { terms, .. } = self;
            let index = self.me as u8;
            let statement = ShareRoot { study: terms.study, round: terms.round, setRoot: set_root, index, root };
            let hash = hash_of(&statement);
            self.sign_once(IntentKind::ShareRoot, Statement::ShareRoot(statement), hash, effects);
        }
    }

    fn fetch_shares(&mut self, set_root: B256, effects: &mut Vec<Effect>) {
        if !self.settling.shares.contains(&self.me) || self.settling.unmasked.is_some() {
            return;
        }
        let Self { settling, me, .. } = self;
        for (&node, signed) in &settling.share_roots {
            let wanted = node != *me && signed.set_root == set_root && !settling.shares.contains(&node);
            if wanted && settling.fetching.insert(node) {
                effects.push(Effect::FetchShare { node, root: signed.root });
            }
        }
    }

    pub(super) fn on_share(&mut self, node: usize) {
        self.progressed();
        self.settling.fetching.remove(&node);
        self.settling.shares.insert(node);
    }

    fn unmask(&mut self, effects: &mut Vec<Effect>) {
        let have = self.settling.shares.len();
        let enough = have >= self.terms.committee.sizes().agreement();
        if self.settling.unmasked.is_none() && enough && have > self.settling.tried_with {
            self.settling.tried_with = have;
            effects.push(Effect::Unmask(self.settling.shares.iter().copied().collect()));
        }
    }

    pub(super) fn on_unmasked(&mut self, unmasked: Unmasked) {
        self.progressed();
        self.settling.unmasked = Some(unmasked);
    }

    /// A node whose own share is off the polynomial does not sign.
    fn sign_settlement(&mut self, effects: &mut Vec<Effect>) {
        let Some(unmasked) = self.settling.unmasked.as_ref().filter(|_| self.is_open()) else { return };
        let statement = unmasked.settlement.clone();
        let off = unmasked.liars.contains(&self.me);
        if !off && !self.settling.settlements.contains_key(&self.me) {
            let hash = hash_of(&statement);
            self.sign_once(IntentKind::Settlement, Statement::Settlement(statement), hash, effects);
        }
    }

    fn submit_settlement(&mut self, effects: &mut Vec<Effect>) {
        let Some(unmasked) = &self.settling.unmasked else { return };
        let same = |signed: &&SignedSettlement| signed.statement(&self.terms) == unmasked.settlement;
        let signatures: BTreeMap<_, _> =
            self.settling.settlements.values().filter(same).map(|signed| (signed.node, signed.signature)).collect();
        let sizes = self.terms.committee.sizes();
        if signatures.len() < sizes.quorum() {
            return;
        }
        let due = *self.settling.quorum_at.get_or_insert(self.now) + self.terms.rank(self.me) * SUBMIT_MILLIS;
        let again = self.settling.submitted_at.is_none_or(|at| self.now >= at + sizes.n() as u64 * SUBMIT_MILLIS);
        if self.now >= due && again {
            self.settling.submitted_at = Some(self.now);
            let (settlement, share_roots) = (unmasked.settlement.clone(), unmasked.share_roots.clone());
            effects.push(Effect::Settle { settlement, share_roots, signatures: SignerSet::collect(&signatures) });
        }
    }

    pub(super) fn on_settled(&mut self, share_roots: Vec<B256>, effects: &mut Vec<Effect>) {
        self.settling.settled = Some(share_roots);
        for signed in self.settling.share_roots.values() {
            self.report_if_wrong(signed, effects);
        }
    }

    /// After settlement: a signed share root that differs from the settled one, or is for another set.
    pub(super) fn report_if_wrong(&self, signed: &SignedShareRoot, effects: &mut Vec<Effect>) {
        let (Some(certificate), Some(settled)) = (&self.certificate, &self.settling.settled) else { return };
        if signed.set_root != certificate.set_root || settled.get(signed.node - 1) != Some(&signed.root) {
            let evidence = Evidence { statement: signed.statement(&self.terms), signature: signed.signature };
            effects.push(Effect::Report(Offender::WrongShareRoot(signed.node, Box::new(evidence))));
        }
    }

    /// What this node computed, once it has.
    #[must_use]
    pub fn settlement(&self) -> Option<&Settlement> {
        self.settling.unmasked.as_ref().map(|unmasked| &unmasked.settlement)
    }
}
