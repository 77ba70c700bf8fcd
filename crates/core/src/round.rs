//! Section 6: one node's part in one round, as a state machine `apply(now, event) -> effects`.
//!
//! The machine holds statements and decides; it computes nothing large and does no I/O. Around it a shell (the node's
//! service, the simulator) stores contributions, verifies them, signs, sends, talks to the chain and feeds the outcome
//! back as events:
//!
//! ```text
//! Stored -> Verify -> Verified -> Sign(Receipt) -> Send ... Q receipts: certificate      (collect)
//! cutoff -> Sign(Vote) -> Send(Proposal) -> votes -> Q votes: Certify                    (agree)
//! certificate final -> Sign(Final) -> Q finals: Release -> Sign(ShareRoot)               (settle)
//!   -> FetchShare -> Unmask -> Sign(Settlement) -> Q: Settle
//! ```
//!
//! `Effect::Sign` means: write to the journal first, then sign, then feed back [`Event::Signed`]. A journal that already
//! holds another statement for the same slot must refuse; the machine then stays silent for good, which costs liveness
//! and nothing else. `Effect::Keep` is written in the same step, before its statements are signed: since when a node holds
//! a certificate decides what it votes for, and a restart must not change that. Every message may be lost, repeated or reordered: what is missing is asked for again on ticks.

mod agree;
mod collect;
mod effect;
mod event;
mod intent;
mod message;
mod settle;

pub use effect::{Effect, Offender};
pub use event::{ChainEvent, Event, Unmasked, Verdict};
pub use message::{
    Genuine, IntentKind, Known, Message, SignedFinal, SignedIntent, SignedReceipt, SignedSettlement, SignedShareRoot, SignedVote,
    Statement,
};

use crate::certify::{Cohort, DatedCertificate, SetMember};
use crate::eip712::Signed;
use crate::error::Rejection;
use crate::terms::Terms;
use alloy_primitives::{Address, B256};
use std::collections::{BTreeMap, BTreeSet};

/// Milliseconds without progress after which a node asks its peers for what it lacks.
const SYNC_MILLIS: u64 = 1_000;
/// Milliseconds after which a node asks in any case: others must not be able to keep it from asking by sending it news.
const SYNC_AT_LEAST_MILLIS: u64 = 3_000;
/// Milliseconds between the nodes' attempts to send the same transaction, by rank.
const SUBMIT_MILLIS: u64 = 1_000;

/// How far the round has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Contributions are accepted.
    Collecting,
    /// The chain has a certificate.
    Certified,
    /// The certificate is final.
    Final,
    /// The chain has a settlement.
    Settled,
    /// Void, abandoned or fraudulent.
    Closed,
}

/// What a node kept over a restart, and what it knows of the round's age.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// Its own statements about the round, and its Final about the subject if that was for this round.
    pub statements: Vec<(Statement, Signed)>,
    /// Receipt certificates with their times.
    pub certificates: Vec<DatedCertificate>,
    /// The sets that it voted for.
    pub sets: Vec<Cohort>,
    /// Intents of peers for this round's slots.
    pub intents: Vec<SignedIntent>,
    /// Unix milliseconds of the node's first sight of the round, or of its seat, if that was too late to judge the opening time.
    pub late_since: Option<u64>,
}

/// The certificate that the chain shows.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Certificate {
    set_root: B256,
    size: u32,
    voters: Vec<Address>,
}

/// An answer to a peer that asked for everything.
#[derive(Debug, Clone, Copy)]
struct Answered {
    at: u64,
    /// The site with which the next answer's receipts begin; from the first one when nothing was left.
    next: Option<Address>,
    /// When sets were sent last, and whose turn it is if they are too large to be sent together.
    sets_at: u64,
    turn: usize,
}

/// One node's state in one round.
#[derive(Debug, Clone)]
pub struct Round {
    terms: Terms,
    me: usize,
    now: u64,
    progress_at: u64,
    synced_at: u64,
    /// The last answer to each peer that asked for everything: each is large, so none comes at once again.
    answered: BTreeMap<usize, Answered>,
    stage: Stage,
    /// When the node first saw the round, if that was too late to judge the opening time; or when it went on after a pause in
    /// which sites could not reach it.
    late_since: Option<u64>,
    /// Since when an end is on the chain that is not final yet.
    paused_since: Option<u64>,
    /// Whether the certificate was final when the settlement came.
    was_final: bool,
    /// Whether the shell has stopped waiting for what is missing after the settlement.
    given_up: bool,
    collected: collect::Collected,
    agreed: agree::Agreed,
    settling: settle::Settling,
    intents: intent::Intents,
    recollection: intent::Recollection,
    certificate: Option<Certificate>,
    /// Whether the certificate that the chain shows is final.
    is_shown_final: bool,
}

impl Round {
    /// Starts node number `me` in a round at Unix millisecond `now` with what it kept. `start` are 32 bytes that no earlier
    /// start of this node had.
    #[must_use]
    pub fn new(terms: Terms, me: usize, now: u64, start: B256, kept: Kept) -> Self {
        let mut round = Self {
            terms,
            me,
            now,
            progress_at: now,
            synced_at: now,
            answered: BTreeMap::new(),
            stage: Stage::Collecting,
            late_since: kept.late_since,
            paused_since: None,
            was_final: false,
            given_up: false,
            collected: collect::Collected::default(),
            agreed: agree::Agreed::default(),
            settling: settle::Settling::default(),
            intents: intent::Intents::default(),
            recollection: intent::Recollection::new(start),
            certificate: None,
            is_shown_final: false,
        };
        for (statement, signature) in kept.statements {
            round.record_own(&statement, signature);
        }
        round.intents.restore(kept.intents);
        round.agreed.restore(kept.sets);
        round.collected.restore(kept.certificates, round.terms.sites.len());
        round
    }

    /// The round's terms.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// How far the round has come.
    #[must_use]
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether an end of the round is on the chain that is not final yet.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.paused_since.is_some() && self.is_open()
    }

    /// Handles one event at Unix millisecond `now`.
    pub fn apply(&mut self, now: u64, event: Event) -> Vec<Effect> {
        self.now = self.now.max(now);
        let mut effects = Vec::new();
        match event {
            Event::Tick => self.tick(&mut effects),
            Event::Stored(member) => self.on_stored(member, &mut effects),
            Event::Verified { member, verdict } => self.on_verified(member, verdict, &mut effects),
            Event::Message { from, message } => self.on_message(from, message.into_message(), &mut effects),
            Event::Signed { statement, signature } => self.on_signed(&statement, signature, &mut effects),
            Event::Held(intent) => self.on_held(intent, &mut effects),
            Event::Chain(event) => self.on_chain(event, &mut effects),
            Event::Released { root } => self.on_released(root),
            Event::ShareFetched { node } => self.on_share(node),
            Event::Unmasked(unmasked) => self.on_unmasked(unmasked),
        }
        self.count_certificate();
        if self.is_open() && self.paused_since.is_none() && self.is_recovered() {
            self.sign_receipts(&mut effects);
            self.advance_agreement(&mut effects);
        }
        if !self.is_over() {
            self.advance_settlement(&mut effects);
        }
        let fresh = self.collected.take_fresh();
        if !fresh.is_empty() {
            effects.push(Effect::Keep(fresh));
        }
        effects
    }

    /// Which signatures of a message this machine has accepted before.
    #[must_use]
    pub fn known(&self, message: &Message) -> Known {
        let whole = match message {
            Message::Receipts(receipts) => {
                let known = |(place, receipt)| self.collected.knows(receipt).then_some(place);
                return Known(receipts.iter().enumerate().filter_map(known).collect());
            }
            Message::Proposal { vote, .. } | Message::Vote(vote) => self.agreed.knows(vote),
            Message::Final(said) => self.settling.finals.get(&said.node) == Some(said),
            Message::ShareRoot(said) => self.settling.share_roots.get(&said.node) == Some(said),
            Message::Settlement(said) => self.settling.settlements.get(&said.node) == Some(said),
            Message::Cohort(_) | Message::Sync { .. } | Message::SeedRequest { .. } | Message::Seeds { .. } => false,
            Message::Intent(_) | Message::Acknowledged(_) | Message::Recall { .. } | Message::Recalled { .. } => false,
        };
        Known(whole.then_some(0).into_iter().collect())
    }

    /// [`Message::checked`] with what this machine knows.
    #[must_use]
    pub fn checked(&self, message: Message) -> Option<Genuine> {
        let known = self.known(&message);
        message.checked(&self.terms, &known)
    }

    fn is_open(&self) -> bool {
        !matches!(self.stage, Stage::Settled | Stage::Closed)
    }

    /// Whether nothing more will happen. A node that the others overtook goes on after the settlement, until it too has
    /// released its share and holds the aggregate.
    #[must_use]
    pub fn is_over(&self) -> bool {
        match self.stage {
            Stage::Collecting | Stage::Certified | Stage::Final => false,
            Stage::Settled => self.given_up || !self.was_final || self.settling.has_aggregate(),
            Stage::Closed => true,
        }
    }

    fn progressed(&mut self) {
        self.progress_at = self.now;
    }

    fn tick(&mut self, effects: &mut Vec<Effect>) {
        if !self.is_over() {
            self.recall(effects);
        }
        let quiet = self.now >= self.progress_at + SYNC_MILLIS;
        if self.is_over() || !(quiet || self.now >= self.synced_at + SYNC_AT_LEAST_MILLIS) {
            return;
        }
        self.progressed();
        self.synced_at = self.now;
        self.retry_collection(effects);
        self.settling.fetching.clear();
        effects.push(Effect::Send { to: None, message: Message::Sync { receipts: self.collected.summary() } });
    }

    fn on_message(&mut self, from: usize, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::Receipts(receipts) => self.on_receipts(receipts, effects),
            Message::Proposal { cohort, vote } => self.on_proposal(cohort, &vote, effects),
            Message::Vote(vote) => self.record_vote(&vote),
            Message::Cohort(cohort) => self.on_cohort(cohort),
            Message::Final(signed) => {
                // Its signer says that it saw a certificate that is final.
                if self.keep_first(&signed, effects) && matches!(self.stage, Stage::Collecting | Stage::Certified) {
                    effects.push(Effect::Look);
                }
            }
            Message::ShareRoot(signed) => {
                if self.keep_first(&signed, effects) {
                    self.report_if_wrong(&signed, effects);
                }
            }
            Message::Settlement(signed) => {
                self.keep_first(&signed, effects);
            }
            Message::Sync { receipts } => self.on_sync(from, receipts, effects),
            Message::Intent(intent) => self.on_intent(from, intent, effects),
            Message::Acknowledged(intent) => self.on_acknowledged(from, &intent, effects),
            Message::Recall { start, from: page } => self.on_recall(from, start, page, effects),
            Message::Recalled { start, from: page, intents, receipts, next } => {
                self.on_recalled(from, &intent::Answer { start, from: page, intents, receipts, next }, effects);
            }
            Message::SeedRequest { member, numbers } => self.on_seed_request(from, member, numbers, effects),
            Message::Seeds { member, sealed } => self.on_seeds(member, sealed, effects),
        }
    }

    /// Everything that a peer may have missed.
    fn on_sync(&mut self, from: usize, receipts: B256, effects: &mut Vec<Effect>) {
        let answered = self.answered.get(&from).copied();
        let too_soon = answered.is_some_and(|last| self.now < last.at + SYNC_MILLIS / 2);
        if from == self.me || from == 0 || from > self.terms.committee.sizes().n() || too_soon {
            return;
        }
        let mut next = answered.and_then(|last| last.next);
        let mut messages = Vec::new();
        if receipts != self.collected.summary() {
            let (pages, then) = self.collected.pages(next);
            next = then;
            messages.extend(pages.into_iter().map(Message::Receipts));
        }
        let (sets_at, turn) = answered.map_or((0, 0), |last| (last.sets_at, last.turn));
        let due = self.now >= sets_at + SYNC_AT_LEAST_MILLIS;
        let (then_at, then_turn) = if due { (self.now, turn + 1) } else { (sets_at, turn) };
        self.answered.insert(from, Answered { at: self.now, next, sets_at: then_at, turn: then_turn });
        let certified = self.certificate.as_ref().map(|c| c.set_root);
        messages.extend(self.agreed.messages(certified, due.then_some(turn)));
        messages.extend(self.settling.messages());
        effects.extend(messages.into_iter().map(|message| Effect::Send { to: Some(from), message }));
    }

    fn on_signed(&mut self, statement: &Statement, signature: Signed, effects: &mut Vec<Effect>) {
        self.progressed();
        if let Some(message) = self.record_own(statement, signature) {
            effects.push(Effect::Send { to: None, message });
        }
    }

    /// Files an own statement and returns the message that tells the others.
    fn record_own(&mut self, statement: &Statement, signature: Signed) -> Option<Message> {
        let node = self.me;
        match statement {
            Statement::Receipt(receipt) => {
                let signed = SignedReceipt { node, member: SetMember { site: receipt.site, digest: receipt.digest }, signature };
                self.record_receipt(&signed);
                Some(Message::Receipts(vec![signed]))
            }
            Statement::Vote(vote) => self.record_own_vote(vote, signature),
            Statement::Final(statement) => {
                let signed = SignedFinal { node, set_root: statement.setRoot, signature };
                self.settling.finals.insert(node, signed.clone());
                Some(Message::Final(signed))
            }
            Statement::ShareRoot(statement) => {
                let signed = SignedShareRoot { node, set_root: statement.setRoot, root: statement.root, signature };
                self.settling.share_roots.insert(node, signed.clone());
                Some(Message::ShareRoot(signed))
            }
            Statement::Settlement(statement) => {
                let signed = SignedSettlement::new(node, statement, signature);
                self.settling.settlements.insert(node, signed.clone());
                Some(Message::Settlement(signed))
            }
            Statement::Intent { intent, set_root, .. } => {
                self.record_own_intent(intent, *set_root, signature);
                None
            }
        }
    }

    /// The end that the chain had shown is gone. A paused node takes no contributions, so that whoever could come meanwhile is
    /// given the time that a latecomer gives: an endpoint that invents an end must not choose who is in time.
    fn resume(&mut self) {
        let paused_since = self.paused_since.take();
        if paused_since.is_some_and(|since| self.now > since + self.terms.delta_millis()) {
            self.late_since = Some(self.now);
        }
    }

    fn on_chain(&mut self, event: ChainEvent, effects: &mut Vec<Effect>) {
        self.progressed();
        match event {
            // What was final stays final here: another certificate after that means that the endpoint lies.
            ChainEvent::Certified { .. } if matches!(self.stage, Stage::Final | Stage::Settled | Stage::Closed) => {}
            ChainEvent::Certified { set_root, size, voters, votes } => {
                self.show_certificate(Some(Certificate { set_root, size, voters }));
                let about = |vote: &SignedVote| (vote.set_root, vote.size) == (set_root, size);
                for vote in votes {
                    if about(&vote) && vote.is_genuine(&self.terms) {
                        self.record_vote(&vote);
                    }
                }
                if self.agreed.cohort(&set_root).is_none() {
                    effects.push(Effect::Send { to: None, message: Message::Sync { receipts: self.collected.summary() } });
                }
            }
            ChainEvent::CertificateGone if matches!(self.stage, Stage::Collecting | Stage::Certified) => {
                self.show_certificate(None);
            }
            ChainEvent::CertificateFinal => self.is_shown_final = self.certificate.is_some(),
            ChainEvent::Paused => drop(self.paused_since.get_or_insert(self.now)),
            ChainEvent::Resumed => self.resume(),
            ChainEvent::Settled { share_roots, .. } => {
                self.stage = Stage::Settled;
                self.on_settled(share_roots, effects);
            }
            ChainEvent::Closed if self.stage == Stage::Settled => self.given_up = true,
            ChainEvent::Closed => self.stage = Stage::Closed,
            ChainEvent::CertificateGone => {}
        }
    }

    /// What the chain shows now; a certificate that it showed before, and that was not final, is forgotten.
    fn show_certificate(&mut self, shown: Option<Certificate>) {
        self.certificate = shown;
        self.is_shown_final = false;
        self.stage = Stage::Collecting;
    }

    /// The chain says which of the sets counts that were voted for, and never that a set was voted for: a certificate
    /// counts once its Q votes are here.
    fn count_certificate(&mut self) {
        let Some(Certificate { set_root, size, .. }) = &self.certificate else { return };
        let backed = self.agreed.voters(*set_root, *size) >= self.terms.committee.sizes().quorum();
        if self.stage == Stage::Collecting && backed {
            self.stage = Stage::Certified;
        }
        if self.stage == Stage::Certified && self.is_shown_final {
            self.stage = Stage::Final;
            self.was_final = true;
        }
    }

    /// The receipts known for a site's contribution, for the site to collect.
    #[must_use]
    pub fn receipts_of(&self, site: &Address) -> Vec<SignedReceipt> {
        self.collected.receipts_of(site)
    }

    /// The certified set, once it is known.
    #[must_use]
    pub fn certified(&self) -> Option<&Cohort> {
        self.agreed.cohort(&self.certificate.as_ref()?.set_root)
    }

    /// The voters that the chain recorded, in node order.
    #[must_use]
    pub fn voters(&self) -> &[Address] {
        self.certificate.as_ref().map_or(&[], |certificate| &certificate.voters)
    }

    /// Contributions that this node holds and has verified.
    #[must_use]
    pub fn accepted(&self) -> &BTreeSet<SetMember> {
        &self.collected.held
    }

    /// Contributions that this node has rejected, with the step.
    #[must_use]
    pub fn rejected(&self) -> &BTreeMap<SetMember, Rejection> {
        &self.collected.rejected
    }

    /// Share roots that nodes have signed, for auditors.
    #[must_use]
    pub fn share_roots(&self) -> Vec<SignedShareRoot> {
        self.settling.share_roots.values().cloned().collect()
    }

    /// Settlements that nodes have signed, for auditors.
    #[must_use]
    pub fn settlements(&self) -> Vec<SignedSettlement> {
        self.settling.settlements.values().cloned().collect()
    }

    /// Finals that nodes have signed, for auditors.
    #[must_use]
    pub fn finals(&self) -> Vec<SignedFinal> {
        self.settling.finals.values().cloned().collect()
    }
}
