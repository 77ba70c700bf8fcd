//! An honest node: the real machine [`Round`] in every round, a folder, and what the world has heard of it. Everything
//! that happens to a node is a [`Stimulus`].

use crate::bounds::{Bounds, Mutation};
use crate::cast::{Cast, Place, bit, nodes_in, root_of};
use crate::disk::{At, Disk};
use alloy_primitives::B256;
use consilium_core::clock::{self, Seen};
use consilium_core::eip712::Signed;
use consilium_core::round::{ChainEvent, Event, IntentKind, Kept, Message, Round, SignedIntent, SignedVote, Statement};
use std::collections::{BTreeMap, BTreeSet};

/// Something that happens to one node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Stimulus {
    /// Time passed.
    Tick,
    /// Its endpoints show it the round.
    See { forged: bool, late: bool },
    /// A contribution arrives, made under the opening time that its site was shown.
    Contribution { place: usize, site: u32, forged: bool },
    /// These nodes' receipts for it.
    Receipts { place: usize, site: u32, signers: u8 },
    /// A set with its proposer's vote.
    Proposal { place: usize, set: u8, by: usize },
    /// These nodes' votes.
    Votes { place: usize, set: u8, voters: u8 },
    /// A certificate with the votes in its event, and the voters that it names.
    Certificate { place: usize, set: u8, votes: u8, voters: u8 },
    /// The certificate is final.
    CertificateFinal { place: usize },
    /// The certificate is gone.
    CertificateGone { place: usize },
    /// A peer's intent.
    Intent { place: usize, intent: SignedIntent },
    /// A peer's answer to an intent.
    Acknowledged { place: usize, from: usize, intent: SignedIntent },
    /// These nodes' Finals.
    Finals { place: usize, set: u8, signers: u8 },
    /// These nodes' share roots.
    ShareRoots { place: usize, set: u8, signers: u8 },
    /// These nodes' signatures of what this node computed.
    Settlements { place: usize, signers: u8 },
    /// The folder is an old copy, and the process starts with it.
    Restore,
    /// A peer that was started asks what this node holds of it.
    Recall { place: usize, from: usize, start: B256 },
    /// An answer to that.
    Recalled { place: usize, from: usize, intents: Vec<SignedIntent> },
}

/// What is asked of everybody alike.
pub(crate) struct Stage<'a> {
    pub(crate) cast: &'a Cast,
    pub(crate) bounds: &'a Bounds,
    /// Unix milliseconds.
    pub(crate) now: u64,
}

impl Stage<'_> {
    pub(crate) fn lacks(&self, mutation: Mutation) -> bool {
        self.bounds.mutation == Some(mutation)
    }

    pub(crate) fn at(&self, place: usize) -> At {
        let Place { terms, house, .. } = &self.cast.places[place];
        At { place, house: *house, study: terms.study }
    }
}

/// What a node has said over all its lives, whatever it may remember.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Said {
    /// Sets by round.
    pub(crate) votes: [u8; 2],
    pub(crate) proposals: [u8; 2],
    pub(crate) released: [u8; 2],
    /// Statements that may be made once, by slot.
    pub(crate) once: BTreeMap<(usize, IntentKind), BTreeSet<B256>>,
    /// Sets for which it signed a Final, by round.
    pub(crate) finals: [u8; 2],
    /// Whether it sent a certificate for these sets, and a settlement, to the chain.
    pub(crate) certifies: u8,
    pub(crate) settles: bool,
    /// Whether it voted for a set that leaves somebody out before the time for that.
    pub(crate) is_rash: bool,
    /// Whether it voted for a set that leaves out what it knew in time.
    pub(crate) omits: bool,
    /// Nodes that it reported.
    pub(crate) accused: u8,
}

/// A node's part in one round.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub(crate) round: Round,
    /// Whether it joined under the false opening time.
    pub(crate) forged: bool,
    /// Sites whose certificates it knew long enough before the cutoff.
    pub(crate) in_time: u8,
    /// Since when, in Unix milliseconds, it may vote for a set that leaves somebody out.
    pub(crate) earliest: u64,
    /// The certificate that its endpoints show: the set and the voters that it names.
    pub(crate) shown: Option<(u8, u8)>,
    pub(crate) is_final: bool,
    /// The votes that it was told, by set.
    pub(crate) told: [u8; 3],
    pub(crate) proposers: [u8; 3],
    /// Own intents of this life, and those whose statement is signed.
    pub(crate) intents: BTreeMap<IntentKind, SignedIntent>,
    pub(crate) done: BTreeSet<IntentKind>,
    /// Peers that told what they hold of it, since it was restored.
    pub(crate) recalled: u8,
}

/// A node.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) me: usize,
    pub(crate) seats: [Option<Seat>; 2],
    pub(crate) disk: Disk,
    pub(crate) said: Said,
    pub(crate) lives: u8,
    /// The intents in what the last step answered a peer, if it did.
    pub(crate) reply: Option<Vec<SignedIntent>>,
}

impl Node {
    pub(crate) fn new(me: usize) -> Self {
        let (disk, said) = (Disk::default(), Said::default());
        Self { me, seats: [None, None], disk, said, lives: 0, reply: None }
    }

    /// Names a start of the node.
    pub(crate) fn start(&self) -> B256 {
        B256::repeat_byte(self.lives + 1)
    }

    /// Lets something happen to the node. `backup` is the folder that a restore brings back.
    pub(crate) fn step(&mut self, stage: &Stage<'_>, backup: &Disk, stimulus: &Stimulus) {
        match stimulus {
            Stimulus::Tick => (0..2).for_each(|place| self.feed(stage, place, Event::Tick)),
            Stimulus::See { forged, late } => self.see(stage, *forged, *late),
            Stimulus::Contribution { place, site, forged } => self.receive(stage, *place, *site, *forged),
            Stimulus::Restore => self.restore(stage, backup),
            Stimulus::CertificateFinal { place } => {
                self.tell(*place, |seat| seat.is_final = true);
                self.feed(stage, *place, Event::Chain(ChainEvent::CertificateFinal));
            }
            Stimulus::CertificateGone { place } => {
                self.tell(*place, |seat| seat.shown = None);
                self.feed(stage, *place, Event::Chain(ChainEvent::CertificateGone));
            }
            Stimulus::Certificate { place, set, votes, voters } => self.show(stage, *place, *set, [*votes, *voters]),
            other => self.hear_all(stage, other),
        }
    }

    fn hear_all(&mut self, stage: &Stage<'_>, stimulus: &Stimulus) {
        let cast = stage.cast;
        match stimulus {
            Stimulus::Receipts { place, site, signers } => self.learn(stage, *place, *site, *signers),
            Stimulus::Proposal { place, set, by } => self.hear_proposal(stage, *place, *set, *by),
            Stimulus::Votes { place, set, voters } => {
                self.tell(*place, |seat| seat.told[usize::from(*set)] |= voters);
                let votes = nodes_in(*voters).map(|node| (node, Message::Vote(cast.vote(*place, node, *set))));
                self.hear(stage, *place, votes);
            }
            Stimulus::Intent { place, intent } => {
                self.hear(stage, *place, [(intent.node, Message::Intent(intent.clone()))]);
            }
            Stimulus::Acknowledged { place, from, intent } => {
                self.hear(stage, *place, [(*from, Message::Acknowledged(intent.clone()))]);
            }
            Stimulus::Finals { place, set, signers } => {
                self.hear(stage, *place, nodes_in(*signers).map(|node| (node, cast.a_final(*place, node, *set))));
            }
            Stimulus::ShareRoots { place, set, signers } => {
                let root = |node| root_of(node, cast.root(*place, *set));
                let roots = nodes_in(*signers).map(|node| (node, cast.share_root(*place, node, *set, root(node))));
                self.hear(stage, *place, roots);
            }
            Stimulus::Settlements { place, signers } => self.hear_settlements(stage, *place, *signers),
            Stimulus::Recall { place, from, start } => {
                self.hear(stage, *place, [(*from, Message::Recall { start: *start, from: None })]);
            }
            Stimulus::Recalled { place, from, intents } => {
                self.tell(*place, |seat| seat.recalled |= bit(*from));
                self.hear(stage, *place, [(*from, recalled(self.start(), intents.clone()))]);
            }
            _ => {}
        }
    }

    fn tell(&mut self, place: usize, note: impl FnOnce(&mut Seat)) {
        if let Some(seat) = &mut self.seats[place] {
            note(seat);
        }
    }

    /// Hands messages to the machine as a shell does, with their signatures checked.
    fn hear(&mut self, stage: &Stage<'_>, place: usize, messages: impl IntoIterator<Item = (usize, Message)>) {
        for (from, message) in messages {
            if let Some(message) = stage.cast.genuine(place, message).filter(|_| from != self.me) {
                self.feed(stage, place, Event::Message { from, message });
            }
        }
    }

    /// The rule of `crates/node/src/rounds/seat.rs`: an opening time ahead of the clock is refused by all, one that is too
    /// old by those that were following the chain.
    fn see(&mut self, stage: &Stage<'_>, forged: bool, late: bool) {
        let place = &stage.cast.places[0];
        let terms = if forged { &place.forged } else { &place.terms };
        let tolerance = clock::DEFAULT_TOLERANCE_MILLIS;
        let seen = Seen { at: stage.now, followed_at: (!late).then_some(stage.now) };
        let refused = clock::judge(&terms.policy, seen, stage.now, tolerance).is_err();
        if self.seats[0].is_some() || (refused && !stage.lacks(Mutation::UnboundOpening)) {
            return;
        }
        self.join(stage, 0, forged, late.then_some(stage.now));
        self.begin(stage, 0);
    }

    /// Takes part in a round with what the folder holds of it.
    pub(crate) fn join(&mut self, stage: &Stage<'_>, place: usize, forged: bool, late_since: Option<u64>) {
        let at = stage.at(place);
        let Place { terms, forged: false_terms, .. } = &stage.cast.places[place];
        let statements = self.disk.statements_of(at).into_iter().map(|said| {
            let signature: Signed = stage.cast.sign(place, self.me, &said);
            (said, signature)
        });
        let kept = Kept {
            statements: statements.collect(),
            certificates: self.disk.certificates_of(at),
            // No folder is restored to a moment after a vote.
            sets: Vec::new(),
            intents: self.disk.intents_of(at),
            late_since: late_since.filter(|_| !stage.lacks(Mutation::HastyLatecomers)),
        };
        let of_latecomer = late_since.map_or(0, |seen| (seen + terms.deadline_millis()) / 2);
        // A follower that took the false opening time is bound by the true one all the same.
        let of_follower = if late_since.is_some() && forged { 0 } else { terms.cutoff_millis() };
        let shown = if forged { false_terms } else { terms };
        let round = Round::new(shown.clone(), self.me, stage.now, self.start(), kept);
        self.seats[place] = Some(Seat {
            round,
            forged,
            in_time: 0,
            earliest: of_follower.max(of_latecomer),
            shown: None,
            is_final: false,
            told: [0; 3],
            proposers: [0; 3],
            intents: BTreeMap::new(),
            done: BTreeSet::new(),
            recalled: 0,
        });
    }

    /// The others hold nothing of a node that has said nothing yet.
    pub(crate) fn begin(&mut self, stage: &Stage<'_>, place: usize) {
        let start = self.start();
        let others = 1..=stage.bounds.n;
        self.hear(stage, place, others.map(|node| (node, recalled(start, Vec::new()))));
    }

    fn restore(&mut self, stage: &Stage<'_>, backup: &Disk) {
        self.lives += 1;
        self.disk = backup.clone();
        for place in 0..2 {
            let Some(before) = self.seats[place].take() else { continue };
            self.join(stage, place, false, None);
            for member in before.round.accepted() {
                self.feed(stage, place, Event::Stored(*member));
            }
        }
    }

    /// The contribution is bound to the opening time that its site was shown.
    fn receive(&mut self, stage: &Stage<'_>, place: usize, site: u32, forged: bool) {
        let member = stage.cast.member(place, site);
        let same = self.seats[place].as_ref().is_some_and(|seat| seat.forged == forged);
        if same || stage.lacks(Mutation::UnboundOpening) {
            self.feed(stage, place, Event::Stored(member));
        }
    }

    fn learn(&mut self, stage: &Stage<'_>, place: usize, site: u32, signers: u8) {
        let receipts = nodes_in(signers).map(|node| stage.cast.receipt(place, node, site)).collect();
        let terms = &stage.cast.places[place].terms;
        let binding = stage.now + terms.delta_millis() <= terms.cutoff_millis();
        self.tell(place, |seat| seat.in_time |= if binding { 1 << site } else { 0 });
        let from = if self.me == 1 { 2 } else { 1 };
        self.hear(stage, place, [(from, Message::Receipts(receipts))]);
    }

    fn hear_proposal(&mut self, stage: &Stage<'_>, place: usize, set: u8, by: usize) {
        self.tell(place, |seat| {
            seat.proposers[usize::from(set)] |= bit(by);
            seat.told[usize::from(set)] |= bit(by);
        });
        let cohort = stage.cast.places[place].sets[usize::from(set)].clone();
        let vote = stage.cast.vote(place, by, set);
        self.hear(stage, place, [(by, Message::Proposal { cohort, vote })]);
    }

    /// The certificate with its votes, then from a peer the set itself.
    fn show(&mut self, stage: &Stage<'_>, place: usize, set: u8, [votes, voters]: [u8; 2]) {
        let Place { terms, sets, .. } = &stage.cast.places[place];
        let cohort = sets[usize::from(set)].clone();
        let addresses = nodes_in(voters).filter_map(|node| terms.committee.member(node)).map(|member| member.address);
        let votes: Vec<SignedVote> = nodes_in(votes).map(|node| stage.cast.vote(place, node, set)).collect();
        let (set_root, size) = (cohort.root(), cohort.size());
        let event = ChainEvent::Certified { set_root, size, voters: addresses.collect(), votes };
        self.tell(place, |seat| seat.shown = Some((set, voters)));
        self.feed(stage, place, Event::Chain(event));
        let from = if self.me == 1 { 2 } else { 1 };
        self.hear(stage, place, [(from, Message::Cohort(cohort))]);
    }

    fn hear_settlements(&mut self, stage: &Stage<'_>, place: usize, signers: u8) {
        let Some(settlement) = self.seats[place].as_ref().and_then(|seat| seat.round.settlement()).cloned() else { return };
        let said = |node: usize| {
            let signature = stage.cast.sign(place, node, &Statement::Settlement(settlement.clone()));
            (node, stage.cast.settlement(node, &settlement, signature))
        };
        self.hear(stage, place, nodes_in(signers).map(said).collect::<Vec<_>>());
    }
}

fn recalled(start: B256, intents: Vec<SignedIntent>) -> Message {
    Message::Recalled { start, from: None, intents, receipts: Vec::new(), next: None }
}
