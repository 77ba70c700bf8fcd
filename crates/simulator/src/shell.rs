//! A node: the same state machine as the real one ([`consilium_core::round::Round`]) with a simulated disk, network and
//! chain around it. An adversary may sit between the machine and the world.

use crate::adversary::{Me, Mischief};
use crate::disk::{Blob, Disk};
use crate::draw::Draw;
use crate::endpoint::{Told, View};
use crate::keys::{Keys, NodeKeys};
use crate::wire::{Party, Wire};
use alloy::sol_types::SolCall;
use alloy_primitives::B256;
use consilium_core::certify::{Cohort, SetMember};
use consilium_core::clock::{self, Seen};
use consilium_core::contribution::Contribution;
use consilium_core::eip712::Signed;
use consilium_core::field::Fp;
use consilium_core::mask::Seed;
use consilium_core::round::{Effect, Event, Kept, Message, Offender, Round, Stage, Statement};
use consilium_core::terms::Terms;
use consilium_core::verify::{Accepted, Verifier};
use consilium_ledger::contracts::Consilium as C;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// What the oracle is told about a node.
#[derive(Debug)]
pub(crate) enum Note {
    Refuses,
    Signed(Statement, Signed),
    Releases(Cohort),
    Answers { to: usize, numbers: Vec<usize> },
    Reports(Offender),
    Aggregate(Vec<Fp>),
}

/// What a node does to the world in one step.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub(crate) packets: Vec<(Party, Wire)>,
    pub(crate) calls: Vec<Vec<u8>>,
    pub(crate) notes: Vec<Note>,
    /// Whether the node looks at the chain now.
    pub(crate) look: bool,
}

/// How a node comes to see a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// It was following the chain when the round appeared.
    Following,
    /// It was not.
    Late,
    /// Whatever the opening time says is true to it: a defect.
    Believing,
}

/// What a crash wipes out.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) round: Round,
    pub(crate) terms: Rc<Terms>,
    pub(crate) seeds: BTreeMap<SetMember, BTreeMap<usize, Seed>>,
    pub(crate) accepted: BTreeMap<SetMember, Accepted>,
    pub(crate) share: Option<Vec<Fp>>,
    pub(crate) fetched: BTreeMap<usize, Vec<Fp>>,
    wanted: BTreeMap<usize, B256>,
    told: Told,
}

/// One node.
#[derive(Debug)]
pub(crate) struct Shell {
    pub(crate) node: usize,
    keys: Rc<Keys>,
    disk: Disk,
    backup: Option<Disk>,
    pub(crate) process: Option<Process>,
    pub(crate) mischief: Option<Box<dyn Mischief>>,
    pub(crate) draw: Draw,
}

impl Shell {
    pub(crate) fn new(node: usize, mischief: Option<Box<dyn Mischief>>, draw: Draw) -> Self {
        Self { node, keys: Keys::get(), disk: Disk::default(), backup: None, process: None, mischief, draw }
    }

    pub(crate) fn keys(&self) -> &NodeKeys {
        self.keys.node(self.node)
    }

    /// Joins a round that appears, or that was there before the process was: then the node followed nothing.
    pub(crate) fn start(&mut self, terms: &Rc<Terms>, sight: Sight, now: u64, out: &mut Output) {
        let seen = Seen { at: now, followed_at: Some(now).filter(|_| sight == Sight::Following) };
        let judged = match sight {
            Sight::Believing => Ok(true),
            Sight::Following | Sight::Late => clock::judge(&terms.policy, seen, now, clock::DEFAULT_TOLERANCE_MILLIS),
        };
        let Ok(in_time) = judged else {
            out.notes.push(Note::Refuses);
            return;
        };
        let kept = Kept {
            statements: self.disk.journal(terms.round),
            certificates: self.disk.certificates(terms.round),
            sets: self.disk.sets(terms.round),
            intents: self.disk.held(terms.round, terms.subject),
            late_since: self.disk.sight(terms.round, (!in_time).then_some(now)),
        };
        let mut start = B256::ZERO;
        start[..8].copy_from_slice(&self.draw.below(u64::MAX).to_le_bytes());
        let round = Round::new(Terms::clone(terms), self.node, now, start, kept);
        self.process = Some(Process {
            round,
            terms: terms.clone(),
            seeds: BTreeMap::new(),
            accepted: BTreeMap::new(),
            share: None,
            fetched: BTreeMap::new(),
            wanted: BTreeMap::new(),
            told: Told::default(),
        });
        let of_round = self.disk.blobs.keys().filter(|(round, _)| *round == terms.round);
        for member in of_round.map(|(_, member)| *member).collect::<Vec<_>>() {
            self.apply(now, Event::Stored(member), out);
        }
    }

    pub(crate) fn crash(&mut self) {
        self.process = None;
    }

    /// Copies the disk, as a backup does.
    pub(crate) fn back_up(&mut self) {
        self.backup = Some(self.disk.clone());
    }

    /// Puts the copy in place of the disk.
    pub(crate) fn restore(&mut self) {
        self.disk = self.backup.take().unwrap_or_default();
    }

    pub(crate) fn stage(&self) -> Option<Stage> {
        self.process.as_ref().map(|process| process.round.stage())
    }

    pub(crate) fn blob(&self, member: &SetMember) -> Option<&Rc<Blob>> {
        self.disk.blobs.get(&(self.process.as_ref()?.terms.round, *member))
    }

    /// Twice a second.
    pub(crate) fn tick(&mut self, now: u64, out: &mut Output) {
        self.apply(now, Event::Tick, out);
        self.misbehave(now, out, |mischief, me| mischief.tick(me));
    }

    /// Looks at the chain.
    pub(crate) fn poll(&mut self, view: &View<'_>, now: u64, out: &mut Output) {
        let Some(process) = &mut self.process else { return };
        for event in view.news(&mut process.told, &process.round, now) {
            self.apply(now, event, out);
        }
    }

    /// A message from the network.
    pub(crate) fn receive(&mut self, from: Party, wire: Wire, message: Option<Message>, now: u64, out: &mut Output) {
        match (wire, from) {
            (Wire::Contribution(header, values), _) => self.store(header, values, now, out),
            (Wire::AskReceipts, Party::Site(site)) => {
                let address = self.keys.site_address(site);
                let receipts = self.process.as_ref().map(|process| process.round.receipts_of(&address)).unwrap_or_default();
                out.packets.push((from, Wire::Receipts(receipts)));
            }
            (Wire::Pull(member), Party::Node(_)) => {
                let found = self.blob(&member).map(|blob| Wire::Contribution(blob.header.clone(), blob.values.clone()));
                out.packets.extend(found.map(|wire| (from, wire)));
            }
            (Wire::Peer(_), Party::Node(from)) => {
                let Some(message) = message else { return };
                self.misbehave(now, out, |mischief, me| mischief.overhear(me, &message));
                let genuine = self.process.as_ref().and_then(|process| process.round.checked(message));
                if let Some(message) = genuine {
                    self.apply(now, Event::Message { from, message }, out);
                }
            }
            (Wire::AskShare, Party::Node(_)) => self.serve(from, out),
            (Wire::Share(bytes), Party::Node(from)) => self.take_share(from, &bytes, now, out),
            _ => {}
        }
    }

    fn store(&mut self, header: Rc<[u8]>, values: Rc<[u8]>, now: u64, out: &mut Output) {
        let Some(process) = &self.process else { return };
        let terms = process.terms.clone();
        let Ok(contribution) = Contribution::from_bytes(&header, &terms.shape()) else { return };
        let digest = contribution.body.digest(&terms.context().of_site(contribution.site));
        let member = SetMember { site: contribution.site, digest };
        let right_round = (contribution.study, contribution.round) == (terms.study, terms.round);
        if !right_round || !terms.admits(&member.site) || self.blob(&member).is_some() {
            return;
        }
        if contribution.authenticate(&terms.domain, &terms.context()).is_ok() {
            let blob = Blob { contribution, header, values };
            self.disk.blobs.insert((terms.round, member), Rc::new(blob));
            self.apply(now, Event::Stored(member), out);
        }
    }

    fn misbehave(&mut self, now: u64, out: &mut Output, what: impl FnOnce(&mut dyn Mischief, &Me<'_>) -> Vec<Effect>) {
        let key = &self.keys.node(self.node).signing;
        let (Some(mischief), Some(process)) = (&mut self.mischief, &self.process) else { return };
        let Process { round, terms, seeds, .. } = process;
        let me = Me { node: self.node, now, terms, key, round, seeds };
        let effects = what(mischief.as_mut(), &me);
        let mut events = VecDeque::new();
        for effect in effects {
            self.perform(effect, &mut events, out);
        }
        while let Some(event) = events.pop_front() {
            self.apply(now, event, out);
        }
    }

    /// Lets the machine handle an event and does what it says, until nothing is left to do.
    fn apply(&mut self, now: u64, event: Event, out: &mut Output) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(process) = &mut self.process else { return };
            let effects = process.round.apply(now, event);
            for effect in effects {
                for effect in self.instead_of(now, effect) {
                    self.perform(effect, &mut events, out);
                }
            }
        }
    }

    fn instead_of(&mut self, now: u64, effect: Effect) -> Vec<Effect> {
        let key = &self.keys.node(self.node).signing;
        let (Some(mischief), Some(process)) = (&mut self.mischief, &self.process) else { return vec![effect] };
        let Process { round, terms, seeds, .. } = process;
        mischief.perform(&Me { node: self.node, now, terms, key, round, seeds }, effect)
    }

    fn perform(&mut self, effect: Effect, events: &mut VecDeque<Event>, out: &mut Output) {
        let Some(process) = &self.process else { return };
        let terms = process.terms.clone();
        match effect {
            Effect::Verify(member) => events.extend(self.verify(&terms, member)),
            Effect::OpenSeeds { member, sealed } => events.extend(self.open_seeds(&terms, member, &sealed)),
            Effect::AnswerSeeds { to, member, numbers } => self.answer_seeds(&terms, to, member, numbers, out),
            Effect::Pull { member, from } => self.pull(&terms, member, from, out),
            Effect::Sign(statement) => {
                let key = &self.keys.node(self.node).signing;
                if let Some(signature) = self.disk.sign(&terms.domain, key, &statement) {
                    out.notes.push(Note::Signed(statement.clone(), signature));
                    events.push_back(Event::Signed { statement, signature });
                }
            }
            Effect::Hold(intent) => events.push_back(Event::Held(self.disk.hold(terms.subject, intent))),
            Effect::KeepSet(set) => self.disk.keep_set(terms.round, set),
            Effect::Keep(certificates) => self.disk.keep(terms.round, certificates),
            Effect::Send { to, message } => self.send(&terms, to, &message, out),
            Effect::Certify { set_root, size, votes } => {
                let (study, round) = (terms.study, terms.round);
                let (signers, signatures) = (votes.signers, votes.signatures);
                let call = C::certifyCall { study, round, setRoot: set_root, size, signers, signatures };
                out.calls.push(call.abi_encode());
            }
            Effect::Release(cohort) => events.extend(self.release(&cohort, out)),
            Effect::FetchShare { node, root } => {
                if let Some(process) = &mut self.process {
                    process.wanted.insert(node, root);
                }
                out.packets.push((Party::Node(node), Wire::AskShare));
            }
            Effect::Unmask(nodes) => events.extend(self.unmask(&terms, &nodes, out)),
            Effect::Settle { settlement, share_roots, signatures } => {
                let call = C::settleCall {
                    study: terms.study,
                    round: terms.round,
                    shareRoots: share_roots,
                    aggregateRoot: settlement.aggregateRoot,
                    rewardRoot: settlement.rewardRoot,
                    signers: signatures.signers,
                    signatures: signatures.signatures,
                };
                out.calls.push(call.abi_encode());
            }
            Effect::Look => out.look = true,
            Effect::Report(offender) => out.notes.push(Note::Reports(offender)),
        }
    }

    fn send(&self, terms: &Terms, to: Option<usize>, message: &Message, out: &mut Output) {
        let bytes: Rc<[u8]> = serde_json::to_vec(message).unwrap_or_else(|error| panic!("a message has no JSON: {error}")).into();
        let all = 1..=terms.committee.sizes().n();
        for node in all.filter(|node| *node != self.node && to.is_none_or(|to| to == *node)) {
            out.packets.push((Party::Node(node), Wire::Peer(bytes.clone())));
        }
    }

    fn pull(&self, terms: &Terms, member: SetMember, from: Vec<usize>, out: &mut Output) {
        let everyone = || (1..=terms.committee.sizes().n()).filter(|node| *node != self.node).collect();
        let from: Vec<usize> = if from.is_empty() { everyone() } else { from };
        out.packets.extend(from.into_iter().map(|node| (Party::Node(node), Wire::Pull(member))));
    }

    fn take_share(&mut self, from: usize, bytes: &[u8], now: u64, out: &mut Output) {
        let Some(process) = &mut self.process else { return };
        let length = process.terms.program.output_len();
        let Ok(share) = consilium_core::field::from_bytes(bytes, length, "output share") else { return };
        let right = process.wanted.get(&from) == Some(&consilium_core::merkle::vector_root(&share));
        if right && process.fetched.insert(from, share).is_none() {
            self.apply(now, Event::ShareFetched { node: from }, out);
        }
    }

    pub(crate) fn verifier<'a>(&self, terms: &'a Terms) -> Verifier<'a> {
        Verifier { committee: terms.committee.sizes(), program: &*terms.program, node: self.node }
    }
}
