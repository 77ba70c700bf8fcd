//! What a node's shell does with the machine's effects: journal, sign, remember, compute, until nothing is left to do.

use crate::bounds::Mutation;
use crate::cast::{WHOLE, bit, root_of};
use crate::disk::kind_of;
use crate::node::{Node, Stage};
use alloy_primitives::{Address, B256};
use consilium_core::certify::Cohort;
use consilium_core::eip712::{Settlement, Signed};
use consilium_core::round::{Effect, Event, IntentKind, Message, SignedIntent, Statement, Unmasked, Verdict};
use consilium_core::settle::{reward_root, share_roots_hash};
use std::collections::VecDeque;

impl Node {
    /// Gives the machine an event and carries out what it wants.
    pub(crate) fn feed(&mut self, stage: &Stage<'_>, place: usize, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(seat) = &mut self.seats[place] else { return };
            for effect in seat.round.apply(stage.now, event) {
                events.extend(self.carry_out(stage, place, effect));
            }
        }
    }

    fn carry_out(&mut self, stage: &Stage<'_>, place: usize, effect: Effect) -> Option<Event> {
        match effect {
            Effect::Verify(member) => Some(Event::Verified { member, verdict: Verdict::Accepted }),
            Effect::Sign(statement) => self.sign(stage, place, statement),
            Effect::Keep(certificates) => {
                self.disk.keep(stage.at(place), certificates);
                None
            }
            Effect::Hold(intent) => Some(Event::Held(self.disk.hold(stage.at(place), intent))),
            Effect::Send { message, .. } => {
                self.send(stage, place, message);
                None
            }
            Effect::Certify { set_root, .. } => {
                self.said.certifies |= stage.cast.set_of(place, set_root).map_or(0, |set| 1 << set);
                None
            }
            Effect::Release(cohort) => self.release(stage, place, &cohort),
            Effect::FetchShare { node, .. } => Some(Event::ShareFetched { node }),
            Effect::Unmask(_) => self.unmask(stage, place).map(Event::Unmasked),
            Effect::Settle { .. } => {
                self.said.settles = true;
                None
            }
            Effect::Report(offender) => {
                self.said.accused |= bit(offender.node());
                None
            }
            Effect::Pull { .. } | Effect::AnswerSeeds { .. } | Effect::OpenSeeds { .. } | Effect::Look => None,
            Effect::KeepSet(_) => None,
        }
    }

    fn send(&mut self, stage: &Stage<'_>, place: usize, message: Message) {
        match message {
            Message::Acknowledged(intent) => self.reply = Some(vec![intent]),
            Message::Recalled { intents, .. } => self.reply = Some(intents),
            Message::Proposal { cohort, .. } => {
                self.said.proposals[place] |= stage.cast.set_of(place, cohort.root()).map_or(0, |set| 1 << set);
            }
            _ => {}
        }
    }

    fn sign(&mut self, stage: &Stage<'_>, place: usize, statement: Statement) -> Option<Event> {
        let seat = self.seats[place].as_mut()?;
        let after_certificate = matches!(statement, Statement::Vote(_)) && seat.shown.is_some();
        if after_certificate && stage.lacks(Mutation::SilentCertificate) {
            return None;
        }
        if !self.disk.enter(stage.at(place), &statement) {
            return None;
        }
        let signature = stage.cast.sign(place, self.me, &statement);
        self.note(stage, place, &statement, signature);
        Some(Event::Signed { statement, signature })
    }

    /// What the world knows from now on.
    fn note(&mut self, stage: &Stage<'_>, place: usize, statement: &Statement, signature: Signed) {
        match statement {
            Statement::Vote(vote) => {
                let Some(set) = stage.cast.set_of(place, vote.setRoot) else { return };
                self.said.votes[place] |= 1 << set;
                self.judge_vote(stage, place, set);
            }
            Statement::Intent { intent, set_root, .. } => {
                let (kind, set_root) = (kind_of(intent.kind), *set_root);
                let signed = SignedIntent { node: self.me, round: intent.round, kind, set_root, hash: intent.hash, signature };
                if let Some(seat) = &mut self.seats[place] {
                    seat.intents.insert(kind, signed);
                }
            }
            Statement::Final(said) => {
                self.said.finals[place] |= stage.cast.set_of(place, said.setRoot).map_or(0, |set| 1 << set);
                self.note_once(stage, place, IntentKind::Final, stage.cast.digest(place, said));
            }
            Statement::ShareRoot(said) => self.note_once(stage, place, IntentKind::ShareRoot, stage.cast.digest(place, said)),
            Statement::Settlement(said) => self.note_once(stage, place, IntentKind::Settlement, stage.cast.digest(place, said)),
            Statement::Receipt(_) => {}
        }
    }

    /// Two of these for one slot are an offence. A Final's slot is the subject within a study.
    fn note_once(&mut self, stage: &Stage<'_>, place: usize, kind: IntentKind, digest: B256) {
        let at = stage.at(place);
        let of_subject = if at.house == 0 { at.study as usize } else { 64 + at.house };
        let slot = if kind == IntentKind::Final { of_subject } else { place };
        self.said.once.entry((slot, kind)).or_default().insert(digest);
        if let Some(seat) = &mut self.seats[place] {
            seat.done.insert(kind);
        }
    }

    fn judge_vote(&mut self, stage: &Stage<'_>, place: usize, set: u8) {
        let Some(seat) = &self.seats[place] else { return };
        let members = crate::cast::SETS[usize::from(set)];
        self.said.is_rash |= set != WHOLE && stage.now < seat.earliest;
        self.said.omits |= (0..8).any(|site| seat.in_time & (1 << site) != 0 && !members.contains(&site));
    }

    fn release(&mut self, stage: &Stage<'_>, place: usize, cohort: &Cohort) -> Option<Event> {
        let set = stage.cast.set_of(place, cohort.root())?;
        self.said.released[place] |= 1 << set;
        stage.bounds.settles.then(|| Event::Released { root: root_of(self.me, cohort.root()) })
    }

    /// Shares of honest nodes are on one polynomial; the liar serves none.
    fn unmask(&self, stage: &Stage<'_>, place: usize) -> Option<Unmasked> {
        let seat = self.seats[place].as_ref()?;
        let cohort = seat.round.certified()?;
        let terms = &stage.cast.places[place].terms;
        let share_roots: Vec<B256> = (1..=stage.bounds.n).map(|node| root_of(node, cohort.root())).collect();
        let voters: &[Address] = seat.round.voters();
        let settlement = Settlement {
            study: terms.study,
            round: terms.round,
            setRoot: cohort.root(),
            shareRootsHash: share_roots_hash(&share_roots),
            aggregateRoot: B256::repeat_byte(0xa9),
            rewardRoot: reward_root(cohort, voters),
        };
        Some(Unmasked { settlement, share_roots, liars: Vec::new() })
    }
}
