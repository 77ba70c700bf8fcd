//! The whole: nodes, sites, endpoints and the chain; what may happen in a state, and what follows.

use crate::bounds::{Bounds, Endpoints, Mutation, Places, Start};
use crate::cast::{Cast, HONEST_SITES, LATE_SITE, SETS, SITES, WHOLE, bit, locked, nodes_in};
use crate::disk::Disk;
use crate::node::{Node, Seat, Stage, Stimulus};
use crate::table::{Reply, Table};
use consilium_core::error::InvalidParameters;
use consilium_core::round::IntentKind;
use std::sync::{Arc, Mutex};

/// Most nodes of a model.
pub(crate) const MOST: usize = 6;

/// What is on the chain.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Chain {
    /// The certified set and its voters.
    pub(crate) certificate: Option<(u8, u8)>,
    pub(crate) is_final: bool,
    pub(crate) is_settled: bool,
    pub(crate) reorganisations: u8,
}

/// One state of the whole. Nodes stand under their numbers in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) moment: u8,
    pub(crate) nodes: [u32; MOST],
    /// Sites that contributed, by round.
    pub(crate) contributed: [u8; 2],
    /// Sites that contributed under the false opening time.
    pub(crate) forged: u8,
    /// Sites that were told that their round is void.
    pub(crate) told_void: u8,
    pub(crate) restores: u8,
    pub(crate) chain: Chain,
}

/// Something that may happen. Nodes are numbered from 1; rounds, sets and sites from 0; voters are a mask, node 1 in bit 0.
#[allow(missing_docs, reason = "the fields are the numbers of what the variants' descriptions name")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Time passes to the next moment.
    Advance,
    /// A node learns of the late site's certificate.
    Learn { node: usize },
    /// A node gets a proposal.
    Hear { node: usize, place: usize, set: u8, by: usize },
    /// A node's endpoints show a certificate with these votes, and call it final if there is no chain.
    Show { node: usize, place: usize, set: u8, voters: u8 },
    /// A node's endpoints show that the certificate is final.
    ShowFinal { node: usize },
    /// A node's endpoints show that the certificate is gone.
    ShowGone { node: usize },
    /// All but one of the others hold a node's intent; all if `without` is 0.
    Acknowledge { node: usize, place: usize, kind: IntentKind, without: usize },
    /// A node is started with an old copy of its folder.
    Restore { node: usize },
    /// All but one of the others tell a restored node what they hold of it.
    Recall { node: usize, without: usize },
    /// A site contributes to a round; under the false opening time, if it was shown that.
    Contribute { site: u32, place: usize, forged: bool },
    /// A site's endpoints call its round void.
    TellVoid { site: u32 },
    /// A node's endpoints show it the round.
    See { node: usize, forged: bool, late: bool },
    /// Somebody sends a certificate to the chain.
    Certify { set: u8, voters: u8 },
    /// The certificate becomes final.
    Finalise,
    /// The block with the certificate is taken back.
    Reorganise,
}

/// A model within its bounds.
pub struct World {
    pub(crate) bounds: Bounds,
    pub(crate) cast: Cast,
    pub(crate) table: Mutex<Table>,
    backups: Vec<Disk>,
    pub(crate) first: State,
}

impl World {
    /// Sets a model up.
    ///
    /// # Errors
    /// [`InvalidParameters`] for a committee that cannot be.
    pub fn new(bounds: Bounds) -> Result<Self, InvalidParameters> {
        let cast = Cast::new(&bounds)?;
        let mut table = Table::default();
        let mut nodes = [0; MOST];
        (0..bounds.n).for_each(|place| nodes[place] = table.add(Node::new(place + 1)));
        let chain = Chain::default();
        let first = State { moment: 0, nodes, contributed: [0; 2], forged: 0, told_void: 0, restores: 0, chain };
        let backups = vec![Disk::default(); bounds.n];
        let mut world = Self { bounds, cast, table: Mutex::new(table), backups, first };
        world.set_up();
        Ok(world)
    }

    fn set_up(&mut self) {
        let mut state = self.first;
        if self.bounds.start != Start::Unseen {
            self.join(&mut state);
        }
        if !matches!(self.bounds.start, Start::Unseen | Start::Empty) {
            self.collect(&mut state);
        }
        if let Start::Voted(sets) = self.bounds.start {
            self.vote(&mut state, sets);
        }
        if self.bounds.start == Start::Finalised {
            self.vote(&mut state, &[&[WHOLE]]);
        }
        if matches!(self.bounds.start, Start::Unseen | Start::Empty) {
            // The adversary's site contributes everywhere.
            state.contributed = [1 << (SITES - 1); 2];
        }
        let disk = |node: usize| locked(&self.table).node(state.nodes[node - 1]).disk.clone();
        self.backups = (1..=self.bounds.n).map(disk).collect();
        if self.bounds.start == Start::Finalised {
            self.finalise(&mut state);
        }
        self.settle_down(&mut state);
        self.first = state;
    }

    fn join(&self, state: &mut State) {
        let mut table = locked(&self.table);
        let stage = self.stage(state);
        for me in self.honest() {
            let mut node = Node::clone(table.node(state.nodes[me - 1]));
            for place in 0..self.cast.places.len() {
                node.join(&stage, place, false, None);
                node.begin(&stage, place);
            }
            state.nodes[me - 1] = table.add(node);
        }
    }

    /// All hold everything and know of all certificates in time, but for the late site's.
    fn collect(&self, state: &mut State) {
        for place in 0..self.cast.places.len() {
            let late = matches!(self.bounds.start, Start::Collected | Start::Voted(_)).then_some(LATE_SITE);
            state.contributed[place] = (1 << SITES) - 1;
            for site in 0..SITES {
                self.give_all(state, &Stimulus::Contribution { place, site, forged: false });
                if Some(site) != late {
                    self.give_all(state, &Stimulus::Receipts { place, site, signers: self.everyone() });
                }
            }
        }
    }

    /// Everybody votes for these sets, one after the other, at the second and the third moment.
    fn vote(&self, state: &mut State, sets: &[&[u8]]) {
        for moment in 1..=2 {
            state.moment = moment;
            self.give_all(state, &Stimulus::Tick);
            for (place, sets) in sets.iter().enumerate() {
                if moment == 1 {
                    self.propose(state, place, sets[0]);
                    self.give_all(state, &Stimulus::Receipts { place, site: LATE_SITE, signers: self.everyone() });
                }
                sets.iter().for_each(|set| self.propose(state, place, *set));
            }
        }
    }

    /// A set that the leader proposes, or the liar in its place.
    fn propose(&self, state: &mut State, place: usize, set: u8) {
        let proposer = self.bounds.leader;
        self.give_all(state, &Stimulus::Proposal { place, set, by: proposer });
    }

    /// The state in which all have signed the whole set's Final.
    fn finalise(&self, state: &mut State) {
        let votes = self.votes(state, 0, WHOLE);
        for node in self.honest() {
            let certificate = Stimulus::Certificate { place: 0, set: WHOLE, votes, voters: votes };
            self.give(state, node, &certificate);
            self.give(state, node, &Stimulus::CertificateFinal { place: 0 });
        }
        for node in self.honest() {
            self.acknowledge(state, node, 0, IntentKind::Final, 0);
        }
    }

    pub(crate) fn honest(&self) -> impl Iterator<Item = usize> + use<> {
        1..=(self.bounds.n - usize::from(self.bounds.has_liar))
    }

    pub(crate) fn everyone(&self) -> u8 {
        (1..=self.bounds.n).fold(0, |mask, node| mask | bit(node))
    }

    /// The liar's bit, or nothing.
    pub(crate) fn liar(&self) -> u8 {
        if self.bounds.has_liar { bit(self.bounds.n) } else { 0 }
    }

    pub(crate) fn stage(&self, state: &State) -> Stage<'_> {
        let now = 1_000 * self.bounds.moments[usize::from(state.moment)];
        Stage { cast: &self.cast, bounds: &self.bounds, now }
    }

    pub(crate) fn node(&self, state: &State, node: usize) -> Arc<Node> {
        Arc::clone(locked(&self.table).node(state.nodes[node - 1]))
    }

    pub(crate) fn give(&self, state: &mut State, node: usize, stimulus: &Stimulus) -> Reply {
        let stage = self.stage(state);
        let backup = &self.backups[node - 1];
        let (to, reply) = locked(&self.table).step(&stage, backup, state.nodes[node - 1], stimulus);
        state.nodes[node - 1] = to;
        reply
    }

    pub(crate) fn give_all(&self, state: &mut State, stimulus: &Stimulus) {
        for node in self.honest() {
            self.give(state, node, stimulus);
        }
    }

    /// Who voted for a set, the liar always.
    pub(crate) fn votes(&self, state: &State, place: usize, set: u8) -> u8 {
        let voted = |node: &usize| self.node(state, *node).said.votes[place] & (1 << set) != 0;
        self.honest().filter(voted).fold(self.liar(), |mask, node| mask | bit(node))
    }

    pub(crate) fn finals(&self, state: &State, place: usize, set: u8) -> u8 {
        let signed = |node: &usize| self.node(state, *node).said.finals[place] & (1 << set) != 0;
        self.honest().filter(signed).fold(self.liar(), |mask, node| mask | bit(node))
    }

    pub(crate) fn quorum(&self) -> u32 {
        self.cast.sizes.quorum() as u32
    }

    /// Whether a node holds the intents of others; the liar acknowledges everything and remembers nothing.
    fn remembers(&self, node: usize) -> bool {
        self.liar() != bit(node) && self.bounds.mutation != Some(Mutation::NoIntents)
    }

    /// Lets the others hold a node's intent, and brings their answers. A node that is never restored has one intent a slot,
    /// so that it is acknowledged in any case: nobody need hold it.
    pub(crate) fn acknowledge(&self, state: &mut State, node: usize, place: usize, kind: IntentKind, without: usize) {
        let of_seat = |seat: &Seat| seat.intents.get(&kind).cloned();
        let Some(intent) = self.node(state, node).seats[place].as_ref().and_then(of_seat) else { return };
        let others = (1..=self.bounds.n).filter(|other| *other != node && *other != without);
        for other in others {
            let held = if !self.remembers(other) || self.bounds.restorable & bit(node) == 0 {
                Some(intent.clone())
            } else {
                self.give(state, other, &Stimulus::Intent { place, intent: intent.clone() })
                    .and_then(|held| held.first().cloned())
            };
            if let Some(intent) = held {
                self.give(state, node, &Stimulus::Acknowledged { place, from: other, intent });
            }
        }
    }

    /// Brings what the others hold of a restored node.
    fn recall(&self, state: &mut State, node: usize, without: usize) {
        let start = self.node(state, node).start();
        for place in 0..self.cast.places.len() {
            for other in (1..=self.bounds.n).filter(|other| *other != node && *other != without) {
                let reply = if self.remembers(other) {
                    self.give(state, other, &Stimulus::Recall { place, from: node, start })
                } else {
                    Some(Arc::from([]))
                };
                if let Some(intents) = reply.map(|intents| intents.to_vec()) {
                    self.give(state, node, &Stimulus::Recalled { place, from: other, intents });
                }
            }
        }
    }

    /// Does what an action says.
    pub(crate) fn perform(&self, state: &mut State, action: Action) {
        match action {
            Action::Advance => {
                state.moment += 1;
                self.give_all(state, &Stimulus::Tick);
            }
            Action::Learn { node } => {
                let all = self.everyone();
                self.give(state, node, &Stimulus::Receipts { place: 0, site: LATE_SITE, signers: all });
            }
            Action::Hear { node, place, set, by } => {
                if set == WHOLE && !self.knows_late_site(state, node) && self.bounds.start == Start::Collected {
                    let signers = self.everyone();
                    self.give(state, node, &Stimulus::Receipts { place, site: LATE_SITE, signers });
                }
                self.give(state, node, &Stimulus::Proposal { place, set, by });
            }
            Action::Show { node, place, set, voters } => self.show(state, node, place, [set, voters]),
            Action::ShowFinal { node } => {
                self.give(state, node, &Stimulus::CertificateFinal { place: 0 });
            }
            Action::ShowGone { node } => {
                self.give(state, node, &Stimulus::CertificateGone { place: 0 });
            }
            Action::Acknowledge { node, place, kind, without } => self.acknowledge(state, node, place, kind, without),
            Action::Restore { node } => {
                state.restores += 1;
                self.give(state, node, &Stimulus::Restore);
            }
            Action::Recall { node, without } => self.recall(state, node, without),
            Action::Contribute { site, place, forged } => self.contribute(state, site, place, forged),
            Action::TellVoid { site } => state.told_void |= 1 << site,
            Action::See { node, forged, late } => {
                self.give(state, node, &Stimulus::See { forged, late });
            }
            Action::Certify { set, voters } => state.chain.certificate = Some((set, voters)),
            Action::Finalise => state.chain.is_final = true,
            Action::Reorganise => {
                state.chain.reorganisations += 1;
                state.chain.certificate = None;
            }
        }
        self.settle_down(state);
    }

    /// Of what a lying endpoint shows the machine checks the votes; it cannot invent those of honest nodes.
    fn show(&self, state: &mut State, node: usize, place: usize, [set, voters]: [u8; 2]) {
        let votes = match self.bounds.mutation {
            Some(Mutation::BelievesCertificates) => self.everyone(),
            Some(Mutation::SilentCertificate) => 0,
            _ => voters,
        };
        self.give(state, node, &Stimulus::Certificate { place, set, votes, voters });
        if self.bounds.endpoints == Endpoints::Lie {
            self.give(state, node, &Stimulus::CertificateFinal { place });
        }
    }

    fn contribute(&self, state: &mut State, site: u32, place: usize, forged: bool) {
        state.contributed[place] |= 1 << site;
        state.forged |= if forged { 1 << site } else { 0 };
    }

    /// The rule of a site's journal: about one subject it contributes in one study and to one committee.
    pub(crate) fn may_contribute(&self, state: &State, site: u32, place: usize) -> bool {
        let elsewhere = (0..2).any(|other| other != place && state.contributed[other] & (1 << site) != 0);
        let again = self.bounds.mutation == Some(Mutation::ContributesAgain) && state.told_void & (1 << site) != 0;
        let one_place = matches!(self.bounds.places, Places::One | Places::Retry);
        state.contributed[place] & (1 << site) == 0 && (one_place || !elsewhere || again)
    }

    /// Honest sites whose inputs are in both of two sets.
    pub(crate) fn shared([one, other]: [u8; 2]) -> bool {
        let has = |set: u8, site: &u32| SETS[usize::from(set)].contains(site);
        HONEST_SITES.iter().any(|site| has(one, site) && has(other, site))
    }

    /// How many nodes are in a mask.
    pub(crate) fn count(mask: u8) -> u32 {
        nodes_in(mask).count() as u32
    }
}
